"""Which executor executes which type of step, and how an attempt that goes wrong becomes an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from chalicelib.domain import template
from chalicelib.domain.definition import StepSpec, StepType
from chalicelib.domain.outcome import Completed, Failed, Outcome
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import Run
from chalicelib.domain.scope import Scope
from chalicelib.domain.step import Claim, StepError
from chalicelib.domain.value import Offloaded, size_of
from chalicelib.gateways.errors import CallFailed
from chalicelib.services.executors import (
    agent,
    approval,
    branch,
    break_loop,
    http_request,
    job,
    lambda_function,
    parallel,
    sleep,
    sub_script,
    sub_workflow,
    transform,
    wait_for_event,
)
from chalicelib.services.executors.call import Executor, StepCall
from chalicelib.services.outside import Outside
from chalicelib.services.values import LARGEST_OUTPUT_BYTES

# Approvals, jobs and waits by key write their ticket beside the step's own record: a write more, not worth a thread.
EXECUTORS: Mapping[StepType, Executor] = MappingProxyType(
    {
        StepType.AGENT: Executor(execute=agent.execute, inline=False),
        StepType.APPROVAL: Executor(execute=approval.execute),
        StepType.BRANCH: Executor(execute=branch.execute, raw=frozenset({"branches"})),
        StepType.BREAK: Executor(execute=break_loop.execute, raw=frozenset({"condition"})),
        StepType.HTTP_REQUEST: Executor(execute=http_request.execute, inline=False, timeout=timedelta(seconds=30)),
        StepType.JOB: Executor(execute=job.execute),
        StepType.LAMBDA: Executor(execute=lambda_function.execute, inline=False, timeout=timedelta(minutes=5)),
        StepType.PARALLEL: Executor(execute=parallel.execute),
        StepType.SLEEP: Executor(execute=sleep.execute),
        StepType.SLEEP_UNTIL: Executor(execute=sleep.execute_until),
        StepType.SUB_SCRIPT: Executor(execute=sub_script.execute, inline=False, timeout=timedelta(minutes=5)),
        StepType.SUB_WORKFLOW: Executor(execute=sub_workflow.execute, inline=False),
        StepType.TRANSFORM: Executor(execute=transform.execute),
        StepType.WAIT_FOR_EVENT: Executor(execute=wait_for_event.execute),
    },
)


def timeout_of(spec: StepSpec) -> timedelta:
    """Return how long one attempt at a step may take."""
    return spec.timeout or EXECUTORS[spec.type].timeout


def attempt(
    run: Run,
    spec: StepSpec,
    scope: Scope,
    claim: Claim,
    *,
    now: datetime,
    outside: Outside,
) -> Outcome:
    """Make one attempt at a step and return what it came to; what goes wrong in it is the step's failure, never ours.

    Its scope has been looked up before, so that another thread may make it.
    """
    executor = EXECUTORS[spec.type]
    try:
        config = {
            name: value if name in executor.raw else template.render(value, scope)
            for name, value in spec.config.items()
        }
        call = StepCall(
            run=run,
            spec=spec,
            claim=claim,
            config=config,
            scope=scope,
            now=now,
            timeout=timeout_of(spec),
            outside=outside,
        )
        return _within_limit(executor.execute(call), claim)
    except template.TemplateError as error:
        return _failed(claim, "template", str(error))
    except CallFailed as error:
        pause = timedelta(seconds=error.retry_after) if error.retry_after is not None else None
        fault = StepError(code=error.code, message=error.message, step=claim.key)
        return Failed(error=fault, retryable=error.retryable, retry_after=pause)
    except Refusal as refused:
        return _failed(claim, refused.code, refused.message)
    except (ValueError, RecursionError) as error:
        return _failed(claim, "invalid_field", str(error))


def _within_limit(outcome: Outcome, claim: Claim) -> Outcome:
    if not isinstance(outcome, Completed) or isinstance(outcome.output, Offloaded):
        return outcome
    size = size_of(outcome.output)
    if size <= LARGEST_OUTPUT_BYTES:
        return outcome
    return _failed(claim, "output_too_large", f"the output is {size} bytes; the limit is {LARGEST_OUTPUT_BYTES}")


def _failed(claim: Claim, code: str, message: str) -> Outcome:
    return Failed(error=StepError(code=code, message=message, step=claim.key), retryable=False)
