"""Events by key: sent to all who wait, once; called off; and found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.definition import Definition
from chalicelib.domain.refusal import Conflict, NotFound, TooLarge
from chalicelib.domain.run import RunStatus
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.domain.value import Json
from chalicelib.services import event_keys
from chalicelib.services.event_keys import EventStatus
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_house, a_line
from tests.services.waiting import a_wait_by_key, listed, send, terminate, terminate_unheard, ticket_of, waiting

pytestmark = pytest.mark.store


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def a_waiting_run(house: House, *, key: str = "paid", **parts: object) -> str:
    return waiting(house, a_line(a_wait_by_key(key=key, **parts)))  # type: ignore[arg-type] # a test names the parts


def call_off(house: House, key: str = "paid") -> None:
    event_keys.cancel("p", key, actor_name="ada", now=house.clock.now(), outside=house.outside)


def page(
    status: EventStatus | None = None, *, run_id: str | None = None, cursor: str | None = None, limit: int = 50
) -> list[Ticket]:
    return list(event_keys.page("p", status, run_id=run_id, cursor=cursor, limit=limit).items)


def test_an_event_sent_by_its_rendered_key_is_the_steps_output(house: House) -> None:
    definition = a_line(
        a_wait_by_key(key="order-{{ payload }}/paid"), a_step("after", config={"value": "{{ wait.n }}"})
    )
    run_id = waiting(house, definition, payload=7)
    assert ticket_of(house, run_id, "wait").name == "order-7/paid"
    sent = send(house, {"n": 3}, key="order-7/paid")
    assert (sent.status, sent.result, sent.closed_by) == (TicketStatus.DONE, {"n": 3}, "ada")
    assert house.settle(run_id).output == 3


def test_an_event_reaches_every_step_of_the_project_that_waits_for_it(house: House) -> None:
    ids = [a_waiting_run(house) for _ in range(12)]
    other = a_waiting_run(house, key="else")
    newest = send(house, 5)
    assert newest.run_id in ids
    assert [house.settle(run_id).output for run_id in ids] == [5] * 12
    assert house.run(other).status is RunStatus.RUNNING


def test_two_waits_of_one_run_are_both_told(house: House) -> None:
    run_id = waiting(house, a_definition([a_wait_by_key("a"), a_wait_by_key("b")]))
    send(house, 5)
    assert house.settle(run_id).output == {"a": 5, "b": 5}


def test_an_event_that_nobody_has_waited_for_is_unknown_and_not_kept(house: House) -> None:
    for key in ("paid", "", "a\nb", "x" * 513):
        with pytest.raises(NotFound, match=r"^event not found$"):
            send(house, key=key)
    run_id = a_waiting_run(house)
    assert house.run(run_id).status is RunStatus.RUNNING
    assert event_keys.find("p", "paid").status is TicketStatus.OPEN


def test_the_same_event_again_changes_nothing_and_another_is_refused(house: House) -> None:
    run_id = a_waiting_run(house)
    sent = send(house, {"a": 1, "b": 2})
    house.settle(run_id)
    assert send(house, {"b": 2, "a": 1}) == sent
    with pytest.raises(Conflict, match=r"^event is received; nobody waits for it$"):
        send(house, {"a": 2})


def test_a_wait_that_begins_after_the_event_waits_for_another(house: House) -> None:
    first = a_waiting_run(house)
    send(house, 1)
    house.settle(first)
    house.clock.at += timedelta(seconds=1)
    second = a_waiting_run(house)
    assert house.run(second).status is RunStatus.RUNNING
    assert event_keys.find("p", "paid").run_id == second
    send(house, 2)
    assert house.settle(second).output == 2


def test_a_wait_by_key_that_is_over_is_timed_out(house: House) -> None:
    run_id = a_waiting_run(house, timeout="10 minutes")
    house.clock.at += timedelta(minutes=11)
    with pytest.raises(Conflict, match="event is timed_out"):
        send(house)
    run = house.settle(run_id)
    assert (run.status, run.error and run.error.message) == (RunStatus.FAILED, "event trigger timed out")
    assert [one.run_id for one in page(EventStatus.TIMED_OUT)] == [run_id]
    assert page(EventStatus.WAITING) == []


def test_a_wait_that_is_begun_again_is_told_by_the_same_key(house: House) -> None:
    run_id = a_waiting_run(house, timeout="10 minutes", retries=1)
    first = ticket_of(house, run_id, "wait")
    house.settle(run_id, until=lambda _run: ticket_of(house, run_id, "wait").id != first.id)
    house.drain()
    send(house, 2)
    assert house.settle(run_id).output == 2
    assert {one.status for one in listed(TicketKind.EVENT)} == {TicketStatus.TIMED_OUT, TicketStatus.DONE}


def test_an_event_called_off_fails_the_step_for_good(house: House) -> None:
    run_id = a_waiting_run(house, retries=3)
    call_off(house)
    run = house.settle(run_id)
    assert (run.status, run.error and run.error.message) == (RunStatus.FAILED, "event canceled")
    assert house.records(run_id)["wait"].attempt == 1
    assert [one.run_id for one in page(EventStatus.CANCELED)] == [run_id]
    for refused in (lambda: call_off(house), lambda: send(house)):
        with pytest.raises(Conflict, match="event is canceled"):
            refused()
    with pytest.raises(NotFound):
        call_off(house, "else")


def test_canceling_a_run_cancels_its_waits_by_key(house: House) -> None:
    run_id = a_waiting_run(house)
    terminate(house, run_id)
    assert ticket_of_run(run_id).status is TicketStatus.CANCELED
    with pytest.raises(Conflict, match="event is canceled"):
        send(house)


def test_a_wait_that_a_crash_left_open_is_closed_by_who_meets_it(house: House) -> None:
    run_id = a_waiting_run(house)
    terminate_unheard(house, run_id)
    assert [one.run_id for one in page(EventStatus.WAITING)] == [run_id]
    with pytest.raises(Conflict, match="event is canceled"):
        send(house)
    assert ticket_of_run(run_id).status is TicketStatus.CANCELED


def test_an_event_ends_the_waits_for_its_own_key_alone(house: House) -> None:
    run_id = waiting(house, a_definition([a_wait_by_key("a"), a_wait_by_key("b", key="else")]))
    send(house, 1, key="else")
    house.drain()
    assert [one.name for one in page(EventStatus.WAITING)] == ["paid"]
    assert [one.name for one in page(EventStatus.RECEIVED)] == ["else"]
    assert house.run(run_id).status is RunStatus.RUNNING


def test_what_a_run_waits_for_is_listed_newest_first_page_by_page(house: House) -> None:
    definition: Definition = a_definition([a_wait_by_key(f"w{index}", key=f"k{index}") for index in range(5)])
    run_id = waiting(house, definition)
    a_waiting_run(house)
    whole = page(run_id=run_id)
    assert {one.name for one in whole} == {f"k{index}" for index in range(5)}
    first = event_keys.page("p", None, run_id=run_id, cursor=None, limit=3)
    rest = event_keys.page("p", None, run_id=run_id, cursor=first.cursor, limit=3)
    assert [*first.items, *rest.items] == whole
    assert rest.cursor is None
    send(house, key="k1")
    assert [one.name for one in page(EventStatus.RECEIVED, run_id=run_id)] == ["k1"]
    assert len(page()) == 6
    with pytest.raises(NotFound, match="workflow run not found"):
        page(run_id="none")


def test_an_emitted_event_need_not_be_waited_for(house: House) -> None:
    def emit(key: str, output: Json) -> int:
        return event_keys.emit("p", key, output, actor_name="run r", now=house.clock.now(), outside=house.outside)

    large = "x" * 200_000
    assert (emit("paid", 1), emit("", 1)) == (0, 0)
    run_id = waiting(house, a_line(a_wait_by_key(), a_step("after", config={"value": "{{ length(wait) }}"})))
    assert emit("paid", large) == 1
    assert house.settle(run_id).output == 200_000


def test_a_payload_over_the_limit_is_refused_by_name(house: House) -> None:
    a_waiting_run(house)
    with pytest.raises(TooLarge, match="payload is 102403 bytes of JSON; the limit is 102400"):
        send(house, "x" * 102_401)


@pytest.mark.parametrize("key", ["", "{{ payload }}", "a\u2028b", "x" * 513])
def test_a_key_that_is_none_fails_its_step(house: House, key: str) -> None:
    run = house.settle(house.start(a_line(a_wait_by_key(key=key)), payload={"not": "text"}))
    assert run.error is not None
    assert (run.error.code, run.error.message[:13]) == ("invalid_field", "eventKey must")


def test_a_wait_by_key_lasts_thirty_days_at_most(house: House) -> None:
    run = house.settle(house.start(a_line(a_wait_by_key(timeout="31 days"))))
    assert run.error is not None
    assert run.error.message == "the duration may be 30 days at most"


def ticket_of_run(run_id: str) -> Ticket:
    [found] = page(run_id=run_id)
    return found
