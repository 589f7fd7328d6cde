"""A run's moves: every status by every command."""

from __future__ import annotations

import itertools

import pytest

from chalicelib.domain.refusal import IllegalMove
from chalicelib.domain.run import ENDED, MOVES, TARGETS, Run, RunCommand, RunStatus, move
from chalicelib.domain.step import StepError, WaitKind
from tests.domain.building import T0, seconds

LATER = T0 + seconds(60)
ENDINGS = {"complete": "completed", "fail": "failed", "time out": "timed_out", "cancel": "canceled"}
#: The contracts' moves; every other is illegal. A queued run can be paused (trigger API), and can outlive its time.
LEGAL = {
    "pending": {"start": "running", "pause": "paused", "cancel": "canceled", "time out": "timed_out"},
    "running": {"pause": "paused", **ENDINGS},
    "paused": {"resume": "running", **ENDINGS},
    **{ended: {"reopen": "running"} for ended in ENDINGS.values()},
}
TABLE = list(itertools.product(RunStatus, RunCommand))


def a_run(status: RunStatus) -> Run:
    ended = status in ENDED
    return Run(
        id="run",
        project_id="p",
        workflow_id="wf",
        version_id="v",
        version=1,
        connection_id="conn_default",
        status=status,
        triggered_by="api",
        created_by="ada",
        created_at=T0,
        updated_at=T0,
        finished_at=T0 if ended else None,
        output="o" if ended else None,
        error=StepError(code="test", message="broken") if ended else None,
        waiting_for=() if ended else (WaitKind.EVENT,),
        next_check_at=None if ended else T0,
    )


@pytest.mark.parametrize(("status", "command"), [pair for pair in TABLE if pair[1].value in LEGAL[pair[0]]])
def test_a_legal_command_moves_the_run_and_tells_of_it(status: RunStatus, command: RunCommand) -> None:
    after, fact = move(a_run(status), command, actor="ada", at=LATER, reason="because")
    assert after.status == LEGAL[status][command] == TARGETS[command]
    assert after.updated_at == LATER
    assert (fact.run_id, fact.command, fact.before, fact.after) == ("run", command, status, after.status)
    assert (fact.actor, fact.at, fact.reason) == ("ada", LATER, "because")


@pytest.mark.parametrize(("status", "command"), [pair for pair in TABLE if pair[1].value not in LEGAL[pair[0]]])
def test_an_illegal_command_changes_nothing(status: RunStatus, command: RunCommand) -> None:
    run = a_run(status)
    with pytest.raises(IllegalMove, match=f"cannot {command} a run that is {status}"):
        move(run, command, actor="ada", at=LATER)
    assert run == a_run(status)


def test_every_status_has_its_row() -> None:
    assert set(MOVES) == set(RunStatus) == set(LEGAL)


@pytest.mark.parametrize("command", ENDINGS)
def test_a_run_that_ends_says_when_and_is_looked_at_no_more(command: str) -> None:
    after, _ = move(a_run(RunStatus.RUNNING), RunCommand(command), actor="ada", at=LATER)
    assert (after.finished_at, after.next_check_at, after.waiting_for) == (LATER, None, ())


def test_a_run_that_starts_says_when_and_one_that_resumes_does_not() -> None:
    started, _ = move(a_run(RunStatus.PENDING), RunCommand.START, actor="ada", at=LATER)
    assert started.started_at == LATER
    resumed, _ = move(a_run(RunStatus.PAUSED), RunCommand.RESUME, actor="ada", at=LATER)
    assert resumed.started_at is None


@pytest.mark.parametrize("status", sorted(ENDED))
def test_a_run_that_is_reopened_has_not_ended(status: RunStatus) -> None:
    after, _ = move(a_run(status), RunCommand.REOPEN, actor="ada", at=LATER)
    assert (after.finished_at, after.error, after.output) == (None, None, None)
    assert not after.status.ended
