"""What moto's Step Functions interpreter needs beside it to run `park.asl.json` as AWS does, each with its reason."""

from __future__ import annotations

import functools
import threading
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_lambda,
)
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

_making = threading.Lock()


def mend(url: str) -> None:
    """Have executions call AWS at this address, with clients made once, and pass `InvocationType` on to Lambda."""

    @functools.cache
    def made(service: str, region: str) -> Any:
        session: Any = boto3.session.Session()  # whose type lists the services; a state machine may name any
        return session.client(
            service,
            region_name=region,
            endpoint_url=url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, max_pool_connections=64),
        )

    def client_for(region: str, service: str, state_credentials: object = None) -> Any:
        del state_credentials
        # moto makes a client for each state, from boto3's default session, which two threads may not do at once.
        with _making:
            return made(service, region)

    for module in (lambda_eval_utils, state_task_service_aws_sdk):
        vars(module)["boto_client_for"] = client_for
    # AWS documents it for `lambda:invoke`; moto leaves it out, and so would wait for the function to end.
    state_task_service_lambda._SUPPORTED_API_PARAM_BINDINGS["invoke"].add("InvocationType")  # noqa: SLF001


def stop_executions() -> None:
    """Abort what runs, so that nothing that an earlier stack parked is woken into the next."""
    for execution in _running():
        execution.stop(stop_date=datetime.now(UTC), error="Stopped", cause="The local stack stopped")


def unsettled() -> bool:
    """Return whether an execution is on its way: neither ended, nor waiting for its token to be answered."""
    return any(not _waits(execution) for execution in _running())


def _running() -> list[Any]:
    return [
        execution
        for account in list(stepfunctions_parser_backends.values())
        for backend in list(account.values())
        for machine in list(backend.state_machines)
        for execution in list(machine.executions)
        if getattr(execution, "exec_status", None) == ExecutionStatus.RUNNING
    ]


def _waits(execution: Any) -> bool:
    worker = execution.exec_worker
    if worker is None or worker.env is None:
        return False
    history = worker.env.event_manager.get_event_history()
    if not history or "taskSubmittedEventDetails" not in history[-1]:
        return False
    endpoints = list(worker.env.callback_pool_manager._pool.values())  # noqa: SLF001 - nothing public tells
    return all(endpoint.get_outcome() is None for endpoint in endpoints)
