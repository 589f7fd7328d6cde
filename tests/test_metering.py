"""A meter counts what is used while it is on, in every thread that is given its context, and nothing else."""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import metering
from chalicelib.domain.usage import NO_UNITS, UNIT_NAMES, Units, summed
from chalicelib.store import capacity
from chalicelib.workers.invocations import LambdaContext, invoked

ONE_WRITE = Units(write_halves=2)


def counted(meter: metering.Meter) -> Units:
    """What a meter has counted, without its invocation's time."""
    units = meter.total()
    return Units(**{name: getattr(units, name) for name in UNIT_NAMES if name != "lambda_mb_ms"})


def test_units_add_up_one_by_one() -> None:
    one = Units(**{name: place for place, name in enumerate(UNIT_NAMES, start=1)})
    assert one + one == Units(**{name: 2 * place for place, name in enumerate(UNIT_NAMES, start=1)})
    assert summed([one, NO_UNITS]) == one
    assert summed([]) == NO_UNITS


def test_nothing_is_counted_where_nothing_is_measured() -> None:
    metering.add(ONE_WRITE)
    assert not metering.is_on()
    assert metering.used(closing=ONE_WRITE) == NO_UNITS


def test_an_invocation_counts_itself_and_its_time() -> None:
    with metering.measured(memory_mb=512) as meter:
        assert counted(meter) == Units(invocations=1)
        assert 0 < meter.total().lambda_mb_ms < 512 * 60_000


def test_what_is_used_includes_the_write_that_is_yet_to_be_made() -> None:
    with metering.measured(memory_mb=512) as meter:
        metering.add(Units(read_halves=3))
        assert metering.used(closing=ONE_WRITE).write_halves == 2
        assert counted(meter) == Units(invocations=1, read_halves=3)


def test_one_meter_hears_nothing_of_another() -> None:
    with metering.measured(memory_mb=512) as outer:
        with metering.measured(memory_mb=512) as inner:
            metering.add(ONE_WRITE)
        metering.add(Units(s3_reads=1))
    assert counted(inner) == Units(invocations=1, write_halves=2)
    assert counted(outer) == Units(invocations=1, s3_reads=1)


def test_threads_that_are_given_the_context_lose_nothing() -> None:
    def many() -> None:
        for _ in range(1000):
            metering.add(ONE_WRITE)

    with metering.measured(memory_mb=512) as meter, ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(contextvars.copy_context().run, many) for _ in range(8)]:
            one.result()
    assert counted(meter).write_halves == 8 * 1000 * 2


def test_lambda_tells_its_memory_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        aws_request_id = "req-1"
        memory_limit_in_mb = "2048"

        def get_remaining_time_in_millis(self) -> int:
            return 1000

    context: LambdaContext = Context()
    monkeypatch.setattr(metering, "time", SimpleNamespace(monotonic=iter([10.0, 10.0995]).__next__))
    with invoked(context):
        assert metering.used(closing=NO_UNITS).lambda_mb_ms == 2048 * 100


@pytest.mark.parametrize(
    ("operation", "consumed", "units"),
    [
        ("GetItem", {"CapacityUnits": 1.0}, Units(read_halves=2)),
        ("Query", {"CapacityUnits": 0.5}, Units(read_halves=1)),
        ("BatchGetItem", [{"CapacityUnits": 1.0}, {"CapacityUnits": 2.5}], Units(read_halves=7)),
        ("PutItem", {"CapacityUnits": 4.0}, Units(write_halves=8)),
        ("TransactWriteItems", [{"CapacityUnits": 6.0}], Units(write_halves=12)),
        ("PutItem", None, NO_UNITS),
    ],
)
def test_dynamodbs_answers_say_what_they_cost(operation: str, consumed: Any, units: Units) -> None:
    with metering.measured(memory_mb=512) as meter:
        capacity.count(operation, {"ConsumedCapacity": consumed})
    assert counted(meter) == units + Units(invocations=1)


@pytest.mark.parametrize(
    ("operation", "code", "units"),
    [
        ("UpdateItem", "ConditionalCheckFailedException", Units(write_halves=2)),
        ("TransactWriteItems", "TransactionCanceledException", Units(write_halves=12)),
        ("UpdateItem", "ThrottlingException", NO_UNITS),
        ("GetItem", "ResourceNotFoundException", NO_UNITS),
    ],
)
def test_a_write_that_is_refused_for_its_condition_costs_too(operation: str, code: str, units: Units) -> None:
    with metering.measured(memory_mb=512) as meter:
        capacity.count_refusal(operation, {"TransactItems": [{}, {}, {}]}, code)
    assert counted(meter) == units + Units(invocations=1)
