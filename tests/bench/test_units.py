"""What a run says that it has used of AWS is what it has: held to the benchmark's meter, and to DynamoDB's figures."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.domain.usage import Units
from chalicelib.store import runs
from infra.local import LocalStack
from tests.bench import starts, workflows
from tests.bench.client import Client, deploy, publish, trigger
from tests.bench.echo import echo_server
from tests.bench.meter import Counts, metered
from tests.bench.verbs import undriven

pytestmark = pytest.mark.store

#: As near as the figures of the writes that carry them must be, which nobody knows before they are made.
NEAR = 2.0


@dataclass(frozen=True, kw_only=True)
class Used:
    """A run's own figures, and those of the meter."""

    units: Units
    counts: Counts

    def must_be_near(self, *, left_out: int = 0) -> None:
        """Compare them. Local counts the items of a transaction once that lie in one partition: ``left_out`` more."""
        written = self.counts.write_units + self.counts.park_writes + 2 * left_out
        assert self.units.write_halves / 2 == pytest.approx(written, abs=NEAR)


@pytest.fixture
def client(stack: LocalStack) -> Iterator[Client]:
    with Client(stack.url, stack.key) as opened:
        yield opened


def used(stack: LocalStack, client: Client, path: str, *, key: str | None = None) -> Used:
    """What a run uses, once the process has kept its definition, until it ends or waits."""
    trigger(client, path)
    assert stack.wait_idle(30)
    with metered(stack) as counts:
        run_id = trigger(client, path, key=key)
        assert stack.wait_idle(30)
    run = runs.load(run_id)
    assert run is not None
    return Used(units=run.units, counts=counts)


@pytest.fixture
def exact(dynamodb_endpoint: str | None) -> None:
    if dynamodb_endpoint is None:
        pytest.skip("moto makes its units up")


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("key", [None, "a key"])
def test_a_run_uses_of_dynamodb_what_it_says(stack: LocalStack, client: Client, key: str | None) -> None:
    chain = used(stack, client, deploy(client, workflows.chain(10)), key=key)
    # At its end the statistics of a day, and of a quarter of an hour.
    chain.must_be_near(left_out=1)
    assert chain.units.read_halves / 2 == pytest.approx(chain.counts.read_units, abs=NEAR)


@pytest.mark.usefixtures("exact")
def test_a_run_that_is_parked_has_counted_its_parking(stack: LocalStack, client: Client) -> None:
    waiting = used(stack, client, deploy(client, workflows.wait()))
    assert waiting.counts.park_writes == 1
    waiting.must_be_near()


@pytest.mark.usefixtures("exact")
def test_what_work_uses_is_its_runs(stack: LocalStack, client: Client) -> None:
    with echo_server() as url:
        fan = used(stack, client, deploy(client, workflows.fan_of_requests(40, url)))
    assert fan.counts.invocations["work"] == 2
    fan.must_be_near(left_out=1)


@pytest.mark.usefixtures("exact")
def test_the_end_of_a_counted_run_with_a_large_output_is_near_enough(stack: LocalStack, client: Client) -> None:
    large: Any = {"step_ref": "only", "step_type": "transform", "payload": "x" * 10_000}
    counted = used(stack, client, publish(client, [large], max_concurrent_runs=5))
    # The statistics, and the counter.
    counted.must_be_near(left_out=2)


def test_a_run_counts_its_invocations_their_time_and_its_states(stack: LocalStack, client: Client) -> None:
    units = used(stack, client, deploy(client, workflows.chain(3))).units
    # The one that answers the request, and the one that drives.
    assert (units.api_requests, units.invocations, units.transitions) == (1, 2, 0)
    assert 0 < units.lambda_mb_ms < 1024 * 60_000

    units = used(stack, client, deploy(client, workflows.wait())).units
    assert (units.api_requests, units.invocations, units.transitions) == (1, 2, 2)


def test_large_values_are_counted_where_they_are_put_and_got(stack: LocalStack, client: Client) -> None:
    steps: list[Any] = [
        {"step_ref": "large", "step_type": "transform", "payload": ["x" * 40_000]},
        {"step_ref": "after", "step_type": "transform", "depends_on": ["large"], "payload": "{{ length(large) }}"},
    ]
    found = used(stack, client, publish(client, steps))
    assert found.counts.s3.total() > 0
    assert (found.units.s3_writes, found.units.s3_reads) == (found.counts.s3["PutObject"], found.counts.s3["GetObject"])


@pytest.mark.usefixtures("exact")
def test_a_start_with_all_that_can_be_needed_is_near_enough(stack: LocalStack, client: Client) -> None:
    path, body = starts.STARTS["runs/start"](client)
    with undriven(stack):
        client.post(path, body)
        with metered(stack) as counts:
            run_id = client.post(path, body, key=uuid.uuid4().hex)["data"]["runId"]
            assert stack.wait_idle(30)
        run = runs.load(run_id)
        client.delete(f"/v1/workflow-runs/{run_id}")
    assert run is not None
    Used(units=run.units, counts=counts).must_be_near()
    assert run.units.read_halves / 2 == pytest.approx(counts.read_units, abs=NEAR)
