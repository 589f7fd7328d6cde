"""The whole stack in this process: its resources, its functions, its schedule and its API."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_stepfunctions import SFNClient

from chalicelib.gateways import agents_local
from infra.local import interpreter, permissions, resources
from infra.local.api import ApiServer
from infra.local.aws import REGION, aws
from infra.local.functions import Function, Functions, Handler, Invocation
from infra.local.iam import Role

#: By the template's names: which of the app's handlers is behind each function.
HANDLERS: Final = {"Drive": "drive", "Work": "work", "Sweep": "sweep", "Uploaded": "uploaded"}

#: What a step may reach besides the public internet: this machine.
_LOOPBACK: Final = "127.0.0.0/8,::1/128"

#: Stacks of one process have names of their own: what is left of one never meets the next.
_numbers = itertools.count(1)


class LocalStack:
    """A stack, as a context manager. A process has one at a time: a second one ends what moto held for the first."""

    def __init__(
        self,
        *,
        port: int = 0,
        dynamodb_endpoint: str | None = None,
        key: str | None = None,
        sweep_seconds: float | None = 60.0,
        retry_delays: Sequence[float] = (1.0, 2.0),
        function_timeout_seconds: int = 900,
        agent_commands: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """Say what the stack will be.

        ``port``: the API's, 0 for a free one. ``key``: the API key to accept, else one is made. ``sweep_seconds``:
        None leaves the sweep to ``invoke("sweep")``. ``retry_delays``: Lambda's, before its second and third attempt.
        ``function_timeout_seconds``: what the contexts of drive and work tell them. ``agent_commands``: what runs as an
        agent, by ``cliId``; None leaves that to this process's environment (``STEPWELL_AGENT_CLAUDE`` and so on).
        ``parameters``: the template's; with an ``AgentCluster`` agents are tasks of moto's ECS, which do nothing.
        """
        self.dynamodb_endpoint = dynamodb_endpoint
        self.functions = Functions(retry_delays=retry_delays)
        self.key = key or ""
        self.url = ""
        self._port = port
        self._sweep_seconds = sweep_seconds
        self._function_timeout_seconds = function_timeout_seconds
        self._agent_commands = agent_commands or {}
        self._parameters = parameters or {}
        self._pepper = secrets.token_hex(32)
        self._name = f"stepwell-local-{next(_numbers)}"
        self._stopping = threading.Event()
        self._exit = ExitStack()
        self._environment: dict[str, str] = {}
        self._replaced: dict[str, str | None] | None = None

    def __enter__(self) -> Self:
        """Create everything, in the order in which a deployment would; on trouble, leave nothing behind."""
        with self._exit:
            self._exit.callback(self.functions.close)
            self._create()
            self._exit.callback(self.deactivate)
            self.activate()
            app = importlib.import_module("app").app
            self._register(app.handler_map)
            self.key = self.add_project("proj_dev", key=self.key or None)
            api = ApiServer(app, port=self._port, role=self.roles["APIHandler"])
            self._exit.callback(api.close)
            self.port = api.port
            self.url = f"http://127.0.0.1:{api.port}"
            # Agents report to it; they end before it does.
            self._environment["STEPWELL_PUBLIC_URL"] = self.url
            self.activate()
            self._exit.callback(agents_local.close_all)
            self._exit.callback(self._stopping.set)
            if self._sweep_seconds is not None:
                threading.Thread(target=self._tick, args=[self._sweep_seconds], name="sweep", daemon=True).start()
            self._exit = self._exit.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving, start nothing more, put the environment back. Invocations under way end with the process."""
        self._exit.close()

    @property
    def lambda_log(self) -> list[Invocation]:
        """Every invocation of the stack's functions that has ended, in the order in which they ended."""
        return list(self.functions.log)

    @property
    def stepfunctions(self) -> SFNClient:
        """A client for Step Functions."""
        return self._clients.stepfunctions

    @property
    def dynamodb(self) -> DynamoDBClient:
        """A client for DynamoDB, the real one if there is one."""
        return self._clients.dynamodb

    @property
    def s3(self) -> S3Client:
        """A client for S3."""
        return self._clients.s3

    def register(self, name: str, handler: Handler, *, retries: int = 2) -> None:
        """Deploy a function for `lambda` steps to call: any callable of an event and a context."""
        self.functions.register(Function(name=name, handler=handler, retries=retries))

    def invoke(self, handler: str, payload: Any = None) -> Any:
        """Run one of the app's functions (`drive`, `work`, `sweep`) in this thread and return what it answers."""
        names = {short: self.resources.functions[logical] for logical, short in HANDLERS.items()}
        event = payload if payload is not None else _scheduled_event(names[handler])
        answer = self.functions.call(names[handler], json.dumps(event))
        if answer.failed:
            message = f"{handler} raised: {answer.body}"
            raise AssertionError(message)
        return json.loads(answer.body)

    def wait_idle(self, timeout: float = 30.0) -> bool:
        """Wait until no invocation runs or is due, and each execution has ended or waits; return whether that came."""
        deadline = time.monotonic() + timeout
        while True:
            if not self.functions.wait(max(0.0, deadline - time.monotonic())):
                return False
            # An execution that was just woken invokes drive a moment later, so look at both again, in this order.
            if not interpreter.unsettled() and not self.functions.busy:
                return True
            if time.monotonic() >= deadline:
                return False
            self._stopping.wait(0.005)

    def add_project(self, project_id: str, *, key: str | None = None) -> str:
        """Have one more project and return a key with every scope for it: the given one, or a new one."""
        from infra.local.seed import seed  # noqa: PLC0415 - the app is imported once its environment is set

        return seed(project_id, key=key)

    @property
    def intact(self) -> bool:
        """Whether it still has its resources: moto's `mock_aws`, in the same process, forgets them."""
        try:
            self.stepfunctions.describe_state_machine(stateMachineArn=self.resources.park)
        except self.stepfunctions.exceptions.StateMachineDoesNotExist:
            return False
        return True

    def activate(self) -> None:
        """Point the app at this stack: its environment, and none of the clients that it made before."""
        if self._replaced is None:
            self._replaced = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        forget_clients()

    def deactivate(self) -> None:
        """Put the process's environment back as it was."""
        for name, value in (self._replaced or {}).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._replaced = None
        forget_clients()

    def _create(self) -> None:
        permissions.enforce()
        server = aws()
        server.attach(self.functions, dynamodb_endpoint=self.dynamodb_endpoint)
        self._clients = resources.Clients.at(server.url, dynamodb_endpoint=self.dynamodb_endpoint)
        self.resources = resources.create(
            self._name,
            self._clients,
            {"KeyPepper": self._pepper, "HttpAllow": _LOOPBACK, **self._parameters},
            dynamodb_endpoint=self.dynamodb_endpoint,
        )
        #: What each function may do, by the template's names for them.
        self.roles = {name: Role.load(each.role) for name, each in self.resources.function_resources.items()}
        server.tell(self.resources.notifications)
        self._exit.callback(self._delete_table)
        self._environment = {
            **self.resources.environment,
            "STEPWELL_FUNCTION_TIMEOUT_SECONDS": str(self._function_timeout_seconds),
            "STEPWELL_AGENTS": "ecs" if self._parameters.get("AgentCluster") else "local",
            **{f"STEPWELL_AGENT_{cli_id.upper()}": command for cli_id, command in self._agent_commands.items()},
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb_endpoint or server.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "POWERTOOLS_SERVICE_NAME": "stepwell",
            "POWERTOOLS_TRACE_DISABLED": "true",
            # A person reads this terminal: POWERTOOLS_LOG_LEVEL=INFO shows every line there, too.
            "POWERTOOLS_LOG_LEVEL": os.environ.get("POWERTOOLS_LOG_LEVEL") or "WARNING",
            "POWERTOOLS_METRICS_DISABLED": "true",
        }

    def _delete_table(self) -> None:
        """Delete the table that outlives this process; moto's goes with moto, and CloudFormation has protected it."""
        if self.dynamodb_endpoint is not None:
            self._clients.dynamodb.delete_table(TableName=self.resources.table)

    def _register(self, handlers: Mapping[str, Handler]) -> None:
        for logical, short in HANDLERS.items():
            function = self.resources.function_resources[logical]
            self.functions.register(
                Function(
                    name=function.name,
                    handler=handlers[short],
                    timeout_seconds=min(function.timeout_seconds, self._function_timeout_seconds),
                    retries=function.retries,
                    role=self.roles[logical],
                )
            )

    def _tick(self, seconds: float) -> None:
        name = self.resources.functions["Sweep"]
        while not self._stopping.wait(seconds):
            self.functions.start(name, json.dumps(_scheduled_event(name)))


def forget_clients() -> None:
    """Have each module of the app that keeps something for the process (settings, clients) forget it: ``reset()``.

    The domain keeps nothing; its resets are a run's.
    """
    for name, module in list(sys.modules.items()):
        keeps = name.startswith("chalicelib.") and not name.startswith("chalicelib.domain.")
        reset = getattr(module, "reset", None) if keeps else None
        if callable(reset):
            reset()


def _scheduled_event(function: str) -> dict[str, Any]:
    """Return what EventBridge gives a function that runs on a schedule."""
    return {
        "version": "0",
        "id": secrets.token_hex(16),
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "account": "123456789012",
        "region": REGION,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "resources": [f"arn:aws:events:{REGION}:123456789012:rule/{function}"],
        "detail": {},
    }
