"""The numbers of a workflow's runs: each its own, none left out, and the newest run known by the way."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.store import counters, runs
from chalicelib.store.counters import LastRun
from chalicelib.store.errors import Full
from tests.store.builders import NOW, a_run, later
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_workflows = itertools.count(1)


def a_workflow_id() -> str:
    return f"wf-numbered-{next(_workflows)}"


def test_runs_are_numbered_from_one_each_with_one_write(calls: Calls) -> None:
    workflow = a_workflow_id()
    assert [counters.next_number(workflow, run_id=f"r{n}", at=later(n)) for n in range(3)] == [1, 2, 3]
    assert calls.operations == ["UpdateItem"] * 3
    assert counters.last_runs([workflow]) == {workflow: LastRun(run_id="r2", at=later(2))}


def test_the_newest_run_stays_so_when_an_older_one_is_numbered_later() -> None:
    workflow = a_workflow_id()
    numbers = [counters.next_number(workflow, run_id=f"r{n}", at=later(n)) for n in (5, 3, 5, 6)]
    assert numbers == [1, 2, 3, 4]
    assert counters.last_runs([workflow])[workflow].run_id == "r6"


def test_runs_of_many_threads_have_dense_numbers() -> None:
    workflow = a_workflow_id()

    def number(place: int) -> int:
        return counters.next_number(workflow, run_id=f"r{place}", at=later(place))

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(number, range(20))) == list(range(1, 21))
    assert counters.last_runs([workflow])[workflow].run_id == "r19"


def test_numbering_and_counting_share_a_counter_and_disturb_each_other_not() -> None:
    workflow = a_workflow_id()
    counted = [a_run(workflow_id=workflow, counted=True) for _ in range(6)]

    def begin(place: int) -> int:
        number = counters.next_number(workflow, run_id=counted[place].id, at=NOW, most=6)
        runs.put(counted[place], most_concurrent=6)
        return number

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(begin, range(6))) == [1, 2, 3, 4, 5, 6]
    assert counters.active_runs(workflow) == 6


def test_a_run_that_finds_no_place_takes_no_number() -> None:
    workflow = a_workflow_id()
    runs.put(a_run(workflow_id=workflow, counted=True), most_concurrent=1)
    for at in (later(1), later(0)):
        with pytest.raises(Full):
            counters.next_number(workflow, run_id="r", at=at, most=1)
    assert counters.next_number(workflow, run_id="r", at=NOW, most=2) == 1


def test_a_lost_answer_leaves_a_number_out_and_gives_none_twice(calls: Calls) -> None:
    workflow = a_workflow_id()
    calls.lose = 1
    first = counters.next_number(workflow, run_id="r1", at=later(1))
    assert counters.next_number(workflow, run_id="r2", at=later(2)) == first + 1


def test_last_runs_are_read_with_one_call_and_a_workflow_without_any_has_none(calls: Calls) -> None:
    numbered, silent = a_workflow_id(), a_workflow_id()
    counters.next_number(numbered, run_id="r", at=NOW)
    runs.put(a_run(workflow_id=silent, counted=True), most_concurrent=1)
    calls.sent.clear()
    found = counters.last_runs([numbered, silent, a_workflow_id()])
    assert found == {numbered: LastRun(run_id="r", at=NOW)}
    assert calls.operations == ["BatchGetItem"]
