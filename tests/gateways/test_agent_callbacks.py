"""What a local agent's watcher tells: again where that may help, and no longer where it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.gateways.agent_callbacks import AgentCallbacks
from tests.gateways.far_end import FarEnd, far_end, refusal
from tests.gateways.servers import Answer


@pytest.fixture
def end() -> Iterator[FarEnd]:
    with far_end() as serving:
        yield serving


@pytest.fixture
def callbacks(end: FarEnd) -> Iterator[AgentCallbacks]:
    made = AgentCallbacks(end.url, "token", delays=(0, 0))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("statuses", "posts"),
    [([200], 1), ([503, 200], 2), ([429, 500, 200], 3), ([500, 500, 500, 200], 3), ([400], 1), ([409], 1)],
)
def test_what_may_pass_is_posted_again_and_only_that(
    callbacks: AgentCallbacks, end: FarEnd, statuses: list[int], posts: int
) -> None:
    end.says["fail"] = [Answer(status=status) for status in statuses]
    callbacks.fail("code", "message", "tail")
    assert len(end.came["fail"]) == posts


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (Answer(), None),
        (refusal(400, "is required", field="output"), "output: is required"),
        (refusal(413, "is over 1 MB"), "is over 1 MB"),
        (Answer(status=400, body=b"<html>"), "the report was answered with status 400"),
        (Answer(status=422, body=b'{"error": "no"}'), "the report was answered with status 422"),
        (refusal(409, "it is over"), None),
        (refusal(401, "who are you"), None),
        (refusal(503, "later"), None),
    ],
)
def test_a_refusal_is_told_if_another_word_would_be_heard(
    callbacks: AgentCallbacks, end: FarEnd, answer: Answer, refused: str | None
) -> None:
    end.says["report"] = [answer]
    assert callbacks.report(b'{"output": 1}') == refused


@pytest.mark.parametrize(("status", "wanted"), [(200, True), (503, True), (429, True), (409, False), (401, False)])
def test_a_heartbeat_asks_once_whether_it_is_still_wanted(
    callbacks: AgentCallbacks,
    end: FarEnd,
    status: int,
    wanted: bool,  # noqa: FBT001 - a table's column
) -> None:
    end.says["heartbeat"] = [Answer(status=status)]
    assert callbacks.heartbeat("tail") is wanted
    assert len(end.came["heartbeat"]) == 1


def test_a_far_end_that_is_not_there_is_tried_and_left() -> None:
    with far_end() as end:
        url = end.url
    callbacks = AgentCallbacks(url, "token", delays=(0,))
    assert callbacks.heartbeat("") is True
    assert callbacks.report(b"{}") is None
    callbacks.close()
