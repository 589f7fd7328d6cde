"""Verbs on up to a hundred runs at once in the workflow-runs API; what becomes of each is told, in the order sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import Body, Shown, api
from chalicelib.api.workflow_runs_api.triggers import Reason, new_run_id
from chalicelib.domain.access import Scope
from chalicelib.services import bulk
from chalicelib.services.runs import Ask


class ManyRuns(Body):
    """Runs to act on."""

    workflow_run_ids: Annotated[
        list[Annotated[str, StringConstraints(max_length=128)]], Field(min_length=1, max_length=100)
    ]
    #: For the history of each.
    reason: Reason | None = None


class Canceled(Shown):
    """What became of one run."""

    workflow_run_id: str
    status: Literal["canceled", "failed"]
    #: Why it was not canceled.
    error: str | None = None


class BulkCanceled(Shown):
    """What became of all."""

    canceled: int
    failed: int
    results: Sequence[Canceled]


class Replayed(Shown):
    """What became of one run."""

    original_run_id: str
    new_run_id: str | None = None
    status: Literal["replayed", "failed"]
    #: Why it was not replayed.
    error: str | None = None


class BulkReplayed(Shown):
    """What became of all."""

    replayed: int
    failed: int
    results: Sequence[Replayed]


@api.endpoint("POST", "/v1/workflow-runs/bulk-cancel", scope=Scope.RUNS_CONTROL, body=ManyRuns)
def bulk_cancel(caller: Caller, body: ManyRuns) -> BulkCanceled:
    """Cancel up to a hundred runs. Those that are unknown or have ended count as failed; the rest are canceled."""
    done = bulk.cancel(caller.project_id, body.workflow_run_ids, ask=_ask(caller, body), now=caller.now)
    results = [
        Canceled(workflow_run_id=one.id, status="failed" if one.refused else "canceled", error=_error(one))
        for one in done
    ]
    failed = _failed(done)
    return BulkCanceled(canceled=len(done) - failed, failed=failed, results=results)


@api.endpoint("POST", "/v1/workflow-runs/bulk-replay", scope=Scope.RUNS_CONTROL, body=ManyRuns)
def bulk_replay(caller: Caller, body: ManyRuns) -> BulkReplayed:
    """Start up to a hundred runs that have ended anew, each as its own retry would."""
    done = bulk.replay(
        caller.project_id,
        body.workflow_run_ids,
        new_id=lambda run_id: new_run_id(caller, f"replay of {run_id}"),
        ask=_ask(caller, body),
        now=caller.now,
    )
    results = [
        Replayed(
            original_run_id=one.id,
            new_run_id=one.new_id,
            status="failed" if one.refused else "replayed",
            error=_error(one),
        )
        for one in done
    ]
    failed = _failed(done)
    return BulkReplayed(replayed=len(done) - failed, failed=failed, results=results)


def _ask(caller: Caller, body: ManyRuns) -> Ask:
    return Ask(actor=caller.actor, request_id=caller.request_id, reason=body.reason)


def _failed(done: Sequence[bulk.Done]) -> int:
    return sum(one.refused is not None for one in done)


def _error(one: bulk.Done) -> str | None:
    return api.dialect.message(one.refused) if one.refused is not None else None
