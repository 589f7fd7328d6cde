"""The table of a step's moves, against the contract's words."""

from __future__ import annotations

import pytest

from chalicelib.domain.step import ENDED, MOVES, StepError, StepStatus

CONTRACT = {
    "pending": "waiting, running, skipped, canceled, completed",
    "waiting": "running, completed, failed, skipped, canceled",
    "running": "completed, failed, canceled, pending",
    "completed": "",
    "failed": "",
    "skipped": "",
    "canceled": "",
}


@pytest.mark.parametrize("before", list(StepStatus))
@pytest.mark.parametrize("after", list(StepStatus))
def test_a_step_moves_as_the_contract_says(before: StepStatus, after: StepStatus) -> None:
    legal = set(CONTRACT[before].split(", ")) - {""}
    if before is StepStatus.RUNNING:
        # An attempt at a step that waits, such as a sleep, comes to its wait.
        legal.add("waiting")
    assert (after in MOVES[before]) == (after.value in legal)


def test_a_step_that_has_ended_moves_no_more_by_itself() -> None:
    assert {status for status, after in MOVES.items() if not after} == ENDED
    assert {status for status in StepStatus if status.ended} == ENDED


def test_an_error_shows_its_code_its_message_and_its_step() -> None:
    error = StepError(code="timeout", message="too slow", step="each.1.work")
    assert error.as_json() == {"code": "timeout", "message": "too slow", "step": "each.1.work"}
