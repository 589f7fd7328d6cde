"""Whatever write fails, and however.

The run ends right, no result is lost, no attempt is uncounted, and nothing is left unwatched. In the statistics of its
workflow it counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import Definition, StepType
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepStatus, WaitKind
from chalicelib.domain.value import Json, Value
from chalicelib.services import verbs
from chalicelib.store.errors import StoreError
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.counting import check_statistics
from tests.services.faults import Fault, writes
from tests.services.house import Crash, House, a_call, a_house

pytestmark = pytest.mark.store


@dataclass(frozen=True)
class Case:
    """A workflow, what the world does to it, and what it must come to."""

    definition: Definition
    output: Json
    #: What the outside answers to a step's nth request.
    answers: Callable[[str, int], int] = lambda _key, _nth: 200
    #: Whether an event is sent once the run waits.
    event: bool = False


CHAIN = Case(
    a_definition(
        [
            a_call("a"),
            a_step("b", config={"value": "{{ a.of }}"}),
            a_call("c"),
            a_step("d", config={"value": "{{ b }}"}),
        ],
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
    ),
    output="a",
)
DIAMOND = Case(
    a_definition(
        [a_step("top", config={"value": 1}), a_call("left", retries=4), a_call("right", retries=4), a_call("bottom")],
        ("top", "left"),
        ("top", "right"),
        ("left", "bottom"),
        ("right", "bottom"),
    ),
    output={"status": 200, "headers": {}, "body": {"of": "bottom"}},
    answers=lambda key, nth: 503 if nth == 1 and key in {"left", "right"} else 200,
)
WAITING = Case(
    a_definition(
        [
            a_call("ask"),
            a_step("wait", StepType.WAIT_FOR_EVENT, config={"eventType": "go", "timeout": "2 hours"}),
            a_call("act"),
            a_step("end", config={"value": "{{ wait }}"}),
        ],
        ("ask", "wait"),
        ("wait", "act"),
        ("act", "end"),
    ),
    output={"yes": True},
    event=True,
)
CASES = {"chain": CHAIN, "diamond": DIAMOND, "waiting": WAITING}


def is_waiting(run: Run) -> bool:
    return run.status.ended or WaitKind.EVENT in run.waiting_for


def carry_through(house: House, case: Case) -> str:
    """Carry a run to its end; the sender of the event tries again, as a client does that got no answer."""
    house.answers = case.answers
    run_id = house.start(case.definition, payload="order")
    if case.event:
        house.settle(run_id, until=is_waiting)
        for _ in range(3):
            if house.run(run_id).status.ended:
                break
            try:
                verbs.deliver(
                    "p",
                    run_id,
                    event_type="go",
                    payload={"yes": True},
                    actor=Actor(key_id="k", name="ada"),
                    now=house.clock.now(),
                    outside=house.outside,
                )
            except (Crash, StoreError):
                continue
            break
    house.settle(run_id)
    return run_id


def check(house: House, run_id: str, case: Case) -> None:
    run, records = house.run(run_id), house.records(run_id)
    assert (run.status, run.output) == (RunStatus.COMPLETED, case.output)
    assert {key: record.status for key, record in records.items()} == dict.fromkeys(
        case.definition.steps,
        StepStatus.COMPLETED,
    )
    uncounted = {key: count for key, count in house.sent.items() if count > records[key].attempt}
    assert uncounted == {}
    assert (run.next_check_at, run.lease, run.park_token) == (None, None, None)
    # An execution whose token was taken, but not answered before a crash, waits for its time; its end changes nothing.
    house.clock.at += timedelta(days=1)
    house.parking.time_out()
    house.drain()
    assert house.parking.waiting == {}
    assert (house.run(run_id), house.records(run_id)) == (run, records)


def keep_watch_on_results(house: House, run_id: str, seen: dict[str, Value]) -> None:
    """Remember each step's recorded output, and hold the run to it from then on."""
    for key, record in house.records(run_id).items():
        if record.status is StepStatus.COMPLETED:
            assert seen.setdefault(key, record.output) == record.output


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


@pytest.mark.parametrize("name", CASES)
def test_without_a_fault_each_step_is_executed_as_often_as_it_must_be(house: House, name: str) -> None:
    case = CASES[name]
    check(house, carry_through(house, case), case)
    assert house.deaths == 0
    expected = {
        "chain": {"a": 1, "c": 1},
        "diamond": {"left": 2, "right": 2, "bottom": 1},
        "waiting": {"ask": 1, "act": 1},
    }
    assert house.sent == expected[name]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("lambda_retries", [True, False], ids=["lambda retries", "lambda does not retry"])
@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("name", CASES)
def test_a_run_ends_right_whatever_write_fails(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fault: Fault,
    lambda_retries: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    case = CASES[name]
    at, failures = 0, Counter[str]()
    ended: list[Run] = []
    while True:
        at += 1
        house = a_house(table, monkeypatch)
        house.lambda_retries = lambda_retries
        # The trigger's own write comes first; when it fails, its caller is told so, and there is no run.
        with writes(at=at + 1, fault=fault) as watched:
            run_id = carry_through(house, case)
        check(house, run_id, case)
        ended.append(house.run(run_id))
        if watched.failed:
            failures[watched.failed] += 1
        elif failures["TransactWriteItems"] >= (2 if case.event else 1):
            break
        else:
            # Steps side by side end in either order, at a write more or less: this round was over before the write at
            # which the round before was not yet at its end. The two are tried again.
            at -= 2
    check_statistics(ended)
    assert failures["PutItem"] >= len(case.definition.steps)
    assert failures["UpdateItem"] >= 2
    # The run's end, and the event's delivery. Steps side by side end in either order: a round may meet one twice.
    assert failures["TransactWriteItems"] >= (2 if case.event else 1)


def test_a_result_on_record_stays_as_it_is(house: House) -> None:
    seen: dict[str, Value] = {}
    run_id = house.start(DIAMOND.definition, payload="order")
    house.answers = DIAMOND.answers
    nth = 0
    while not house.run(run_id).status.ended:
        nth += 1
        with writes(at=nth % 7 + 1, fault=list(Fault)[nth % 4]):
            house.drain()
        keep_watch_on_results(house, run_id, seen)
        if not house.run(run_id).status.ended and not house.invoker.queue:
            house.clock.at = max(house.clock.at, house.run(run_id).next_check_at or house.clock.at)
            house.parking.time_out()
            house.sweep()
    assert seen.keys() == DIAMOND.definition.steps.keys()
