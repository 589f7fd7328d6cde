from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.idempotency import FirstUse
from chalicelib.domain.refusal import Conflict, IdempotencyMismatch, IllegalMove, Refusal, TryLater
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.services import once
from chalicelib.services.once import LOST_AFTER, REMEMBERED, Made, Sent
from chalicelib.store import idempotency, table, transactions
from chalicelib.store.errors import StoreError, Unavailable

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table", "payloads")]

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
ANSWER = Made(status=201, headers={"X-Next-Cursor": "c"}, body='{"id":"1"}')
ROUNDS = range(8)


class Died(BaseException):
    """The process died; nothing catches it."""


def sent(*, key: str = "k", digest: str = "d", after: timedelta = timedelta(0), scope: str = "POST /v1/things") -> Sent:
    return Sent(project_id="proj_1", scope=scope, key=key, digest=digest, now=NOW + after)


@dataclass
class View:
    """What is asked to be done once."""

    answer: Made = ANSWER
    #: What goes wrong, in the order of the calls, once it has been done.
    faults: list[BaseException] = field(default_factory=list)
    #: The ids that it has created, in order.
    created: list[str] = field(default_factory=list)

    def __call__(self, use: FirstUse) -> Made:
        self.created.append(use.derived_id("thing"))
        if self.faults:
            raise self.faults.pop(0)
        return self.answer


def never(use: FirstUse) -> Made:
    pytest.fail("it must not be done again")


def fail(view: View, how: type[BaseException], *, after: timedelta = timedelta(0)) -> None:
    with pytest.raises(how):
        once.once(sent(after=after), view)


def test_the_first_is_made_and_its_repeat_is_told_the_same() -> None:
    assert once.once(sent(), View()) == ANSWER
    assert once.once(sent(after=timedelta(hours=23)), never) == replace(ANSWER, replayed=True)


def test_an_answer_that_is_nothing_is_kept_too() -> None:
    nothing = Made(status=204, headers={}, body="")
    once.once(sent(), View(nothing))
    assert once.once(sent(), never) == replace(nothing, replayed=True)


def test_a_large_answer_lies_outside_its_record(payloads: FakePayloadStore) -> None:
    large = replace(ANSWER, body=f'"{"ä" * 500_000}"')
    once.once(sent(), View(large))
    record = idempotency.load("proj_1", "POST /v1/things", "k", now=NOW)
    assert record is not None
    assert len(record.response or "") < 200
    assert once.once(sent(), never) == replace(large, replayed=True)


def test_another_request_with_the_same_key_is_refused_even_while_the_first_is_in_flight() -> None:
    fail(View(faults=[Died()]), Died)
    with pytest.raises(IdempotencyMismatch, match="Idempotency-Key") as refused:
        once.once(sent(digest="other"), never)
    assert refused.value.field == "Idempotency-Key"


@pytest.mark.parametrize("other", [sent(key="other"), sent(scope="POST /v1/others"), replace(sent(), project_id="p2")])
def test_a_key_is_its_projects_and_its_endpoints_own(other: Sent) -> None:
    view = View()
    once.once(sent(), view)
    assert not once.once(other, view).replayed
    assert len(set(view.created)) == 2


def test_a_request_in_flight_is_not_made_again() -> None:
    fail(View(faults=[Died()]), Died)
    with pytest.raises(Conflict, match="still in flight; try again"):
        once.once(sent(after=LOST_AFTER - timedelta(seconds=1)), never)


def test_a_request_whose_process_died_is_made_again_with_the_same_ids() -> None:
    view = View(faults=[Died()])
    fail(view, Died)
    assert once.once(sent(after=LOST_AFTER), view) == ANSWER
    assert len(view.created) == 2
    assert len(set(view.created)) == 1


def test_a_request_that_was_taken_over_is_in_flight_anew_and_ends_when_the_first_would_have() -> None:
    view = View(faults=[Died(), Died()])
    fail(view, Died)
    fail(view, Died, after=LOST_AFTER)
    with pytest.raises(Conflict):
        once.once(sent(after=LOST_AFTER * 1.5), never)
    once.once(sent(after=LOST_AFTER * 2), view)
    assert len(set(view.created)) == 1
    assert not once.once(sent(after=REMEMBERED, digest="other"), View()).replayed


def test_a_refusal_frees_the_key_for_any_request() -> None:
    view = View(faults=[IllegalMove("no")])
    fail(view, IllegalMove)
    assert once.once(sent(digest="other"), view) == ANSWER


@pytest.mark.parametrize("fault", [TryLater("later"), Unavailable("no answer"), KeyError("bug")])
def test_a_failure_of_unknown_effect_lets_the_same_request_and_no_other_be_made_again_at_once(fault: Exception) -> None:
    view = View(faults=[fault])
    fail(view, type(fault))
    with pytest.raises(IdempotencyMismatch):
        once.once(sent(digest="other"), never)
    assert once.once(sent(after=timedelta(seconds=1)), view) == ANSWER
    assert len(set(view.created)) == 1


def test_after_its_time_a_key_begins_anew_and_leads_to_other_ids() -> None:
    view = View()
    once.once(sent(), view)
    assert not once.once(sent(digest="other", after=REMEMBERED), view).replayed
    assert len(set(view.created)) == 2


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View()
    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "answer", unavailable)
        assert once.once(sent(), view) == ANSWER
    with pytest.raises(Conflict):
        once.once(sent(), never)
    once.once(sent(after=LOST_AFTER), view)
    assert len(set(view.created)) == 1


@pytest.mark.parametrize("fault", [IllegalMove("no"), KeyError("bug")])
def test_a_key_that_cannot_be_freed_leaves_what_went_wrong_as_it_is(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "remove", unavailable)
    monkeypatch.setattr(idempotency, "take_over", unavailable)
    fail(View(faults=[fault]), type(fault))


def unavailable(*_: object, **__: object) -> None:
    raise Unavailable("DynamoDB does not answer")


def test_it_costs_two_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    dispatch = table.dispatch

    def counted(operation: str, arguments: dict[str, Any]) -> None:
        made.append(operation)
        dispatch(operation, arguments)

    monkeypatch.setattr(transactions, "dispatch", counted)
    once.once(sent(), View())
    assert made == ["PutItem", "PutItem"]


def at_once(count: int, act: Callable[[timedelta], Made]) -> list[Made | Exception]:
    """Do it so many times at one moment, the clock going on by a microsecond for each; return what each came to."""
    gate = threading.Barrier(count)

    def outcome(place: int) -> Made | Exception:
        gate.wait()
        try:
            return act(timedelta(microseconds=place))
        except (Refusal, StoreError) as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(outcome, range(count)))


@pytest.mark.parametrize("_round", ROUNDS)
def test_of_many_at_once_one_is_made_and_the_others_wait_or_are_told_the_same(_round: int) -> None:
    view = View()
    outcomes = at_once(4, lambda moment: once.once(sent(after=moment), view))
    assert len(view.created) == 1
    for one in outcomes:
        assert isinstance(one, Conflict) or (isinstance(one, Made) and one.body == ANSWER.body)


@pytest.mark.parametrize("_round", ROUNDS)
def test_of_many_that_take_a_lost_request_over_one_does(_round: int) -> None:
    view = View(faults=[Died()])
    fail(view, Died)
    outcomes = at_once(4, lambda moment: once.once(sent(after=LOST_AFTER + moment), view))
    assert len(view.created) == 2
    for one in outcomes:
        assert isinstance(one, Conflict) or (isinstance(one, Made) and one.body == ANSWER.body)
