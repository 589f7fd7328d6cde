"""What a run begins with: records of another, and that one's history, written with the run or before it."""

from __future__ import annotations

import pytest

from chalicelib.domain.step import StepRecord
from chalicelib.store import history, runs
from chalicelib.store.errors import Exists
from tests.conftest import Table
from tests.store.builders import a_history_record, a_record, a_run, a_stored_run

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


def records(count: int, **changes: object) -> list[StepRecord]:
    return [a_record(f"s{number}", **changes) for number in range(count)]


@pytest.mark.parametrize("count", [1, 25, 26, 60])
def test_a_run_begins_with_its_records_few_or_many(table: Table, count: int) -> None:
    run = a_run()
    runs.put(run, records=records(count))
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert sorted(loaded.records.values(), key=lambda one: int(one.key[1:])) == records(count)


def test_few_records_that_are_long_are_written_before_the_run(table: Table) -> None:
    run = a_run()
    runs.put(run, records=records(20, output="x" * 300_000))
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert len(loaded.records) == 20


def test_the_history_of_another_run_is_written_with_the_run(table: Table) -> None:
    before = a_stored_run()
    told = a_history_record(before, command="retry")
    runs.put(a_run(), history=told)
    assert history.page(before.id, cursor=None, limit=10).items == (told,)


@pytest.mark.parametrize("count", [2, 40])
def test_a_run_that_is_there_keeps_its_records_and_nothing_is_told(table: Table, count: int) -> None:
    before, run = a_stored_run(), a_run()
    runs.put(run, records=records(count))
    made_since = a_record("s0", output="made since", revision=2)
    runs.put_step(run.id, made_since, write_id="w")
    with pytest.raises(Exists):
        runs.put(run, records=records(count), history=a_history_record(before, command="retry"))
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.records["s0"] == made_since
    assert history.page(before.id, cursor=None, limit=10).items == ()
