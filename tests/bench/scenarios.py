"""What is measured: each scenario is deployed once, and then run as often as it is asked to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol

from infra.local import LocalStack
from tests.bench import echo, workflows
from tests.bench.client import Client, deploy, publish, trigger

#: Arms of the fans.
_ARMS: Final = 100
_RUNS: Final = 100
_AT_ONCE: Final = 16
_PATIENCE: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Timed:
    """How long one go took, in seconds."""

    #: From the request that starts it until the last invocation has ended.
    whole: float
    #: From the first invocation's beginning: without the API and Lambda.
    driving: float
    #: The part that the steps' own calls take when they are made alone.
    own: float = 0.0
    #: Processor time of this process, the API, Lambda and client in it included: other programs do not disturb it.
    cpu: float = 0.0


class Scenario(Protocol):
    """Something to measure."""

    #: How many steps one go makes.
    steps: int

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        """Deploy what it needs; it goes on until that is left."""

    def go(self) -> Timed:
        """Do it once."""

    def check(self) -> None:
        """Raise AssertionError unless what was done last came to a good end."""


class OneRun:
    """One run of a workflow, from its trigger to its end."""

    def __init__(self, graph: workflows.Graph) -> None:
        self.steps = len(graph["nodes"])
        self._graph = graph

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        self._stack, self._client = stack, until.enter_context(Client(stack.url, stack.key))
        self._path = deploy(self._client, self._graph)

    def go(self) -> Timed:
        start = _Start(self._stack)
        self._run_id = trigger(self._client, self._path)
        return start.until_idle()

    def check(self) -> None:
        _must_be_complete(self._client, self._path, self._run_id)


class Requests(OneRun):
    """One run of a fan of `http_request` steps to a server that takes time of its own."""

    def __init__(self, url: str) -> None:
        super().__init__(workflows.fan_of_requests(_ARMS, url))
        self._url = url

    def go(self) -> Timed:
        timed = super().go()
        # All arms are under way at once: so many invocations of `work`, so many threads in each.
        own = echo.calls(self._url, _ARMS, threads=_ARMS)
        return replace(timed, own=own)


class Waiting(OneRun):
    """One run that waits for an event in Step Functions, which is sent once it does."""

    def __init__(self) -> None:
        super().__init__(workflows.wait())

    def go(self) -> Timed:
        start = _Start(self._stack)
        self._run_id = trigger(self._client, self._path)
        before = start.until_idle()
        start = _Start(self._stack)
        event = {"instanceId": self._run_id, "eventType": "go", "payload": {"approved": True}}
        self._client.post(f"{self._path}/trigger", {"connectionId": "conn_default", "params": event})
        after = start.until_idle()
        return Timed(
            whole=before.whole + after.whole, driving=before.driving + after.driving, cpu=before.cpu + after.cpu
        )


class Signal:
    """One run that waits for an event in Step Functions: from the event being sent to the run's end, nothing before."""

    steps = 1

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        self._stack, self._client = stack, until.enter_context(Client(stack.url, stack.key))
        self._path = publish(self._client, workflows.steps_that_wait("bench-{{ payload.orderId }}"))

    def go(self) -> Timed:
        self._run_id = trigger(self._client, self._path)
        assert self._stack.wait_idle(_PATIENCE), "the run does not come to wait"
        start = _Start(self._stack)
        self._client.post("/v1/events/bench-ord_001/send", {"payload": {"paid": True}})
        return start.until_idle()

    def check(self) -> None:
        _must_be_complete(self._client, self._path, self._run_id)


class ReadySteps(OneRun):
    """One run of many steps that are ready at once, of which so many run beside each other."""

    def __init__(self, count: int, *, parallel: int) -> None:
        super().__init__(workflows.chain(1))
        self.steps, self._parallel = count, parallel

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        self._stack, self._client = stack, until.enter_context(Client(stack.url, stack.key))
        steps = workflows.steps_side_by_side(self.steps)
        self._path = publish(self._client, steps, max_parallel_steps=self._parallel)


class ManyRuns:
    """A hundred runs of three steps, started sixteen at a time through the API."""

    steps = 3 * _RUNS

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        self._stack = stack
        self._clients = [until.enter_context(Client(stack.url, stack.key)) for _ in range(_AT_ONCE)]
        self._path = deploy(self._clients[0], workflows.chain(3))

    def go(self) -> Timed:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            start = _Start(self._stack)
            self._started = [run_id for batch in pool.map(self._start, range(_AT_ONCE)) for run_id in batch]
        return start.until_idle()

    def check(self) -> None:
        assert len(self._started) == _RUNS
        for run_id in self._started:
            _must_be_complete(self._clients[0], self._path, run_id)

    def _start(self, client: int) -> list[str]:
        return [trigger(self._clients[client], self._path) for _ in range(client, _RUNS, _AT_ONCE)]


class _Start:
    """The moment at which something begins."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack, self._logged = stack, len(stack.lambda_log)
        self._at, self._cpu = time.time(), time.process_time()

    def until_idle(self) -> Timed:
        """Wait until all that was begun has ended, and return how long it took."""
        assert self._stack.wait_idle(_PATIENCE), "the run does not come to an end"
        cpu = time.process_time() - self._cpu
        invocations = self._stack.lambda_log[self._logged :]
        ended = max(each.started_at + each.seconds for each in invocations)
        return Timed(whole=ended - self._at, driving=ended - min(each.started_at for each in invocations), cpu=cpu)


def _must_be_complete(client: Client, path: str, run_id: str) -> None:
    run = client.get(f"{path}/runs/{run_id}")
    assert run["status"] == "complete", run


#: By name; each is given the address of the echo server.
SCENARIOS: Final[Mapping[str, Callable[[str], Scenario]]] = MappingProxyType(
    {
        "chain-10": lambda _url: OneRun(workflows.chain(10)),
        "chain-100": lambda _url: OneRun(workflows.chain(100)),
        "chain-1000": lambda _url: OneRun(workflows.chain(1000)),
        "fan-transform": lambda _url: OneRun(workflows.fan_of_transforms(_ARMS)),
        "fan-http": Requests,
        "ready-1000": lambda _url: ReadySteps(1000, parallel=50),
        "wait": lambda _url: Waiting(),
        "signal": lambda _url: Signal(),
        "runs": lambda _url: ManyRuns(),
    },
)
