"""A whole Stepwell but for the outside: the real store on a real table; Lambda, Step Functions and clock in hand.

Nothing runs by itself: ``settle`` carries out what has been invoked, and lets time pass only where nothing else is
left to do.
"""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb import DynamoDBClient

from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepRecord
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Deployment, WorkflowKind, WorkflowSettings
from chalicelib.gateways.agents import FakeAgents
from chalicelib.gateways.credentials import FakeCredentials
from chalicelib.gateways.functions import FakeFunctions
from chalicelib.gateways.http_fake import FakeHttp
from chalicelib.gateways.http_requests import HttpRequest, HttpResponse
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.gateways.uploads import FakeUploads
from chalicelib.services import definitions, drive, sweep, work
from chalicelib.services.outside import Outside
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.store import runs
from tests.domain.building import T0, a_definition, a_step

FUNCTION_SECONDS = 900
#: Lambda makes an asynchronous invocation again this often.
LAMBDA_RETRIES = 2


def a_call(ref: str, *, retries: int = 0) -> StepSpec:
    """Return a step that asks the world outside, sending the payload."""
    config: dict[str, Json] = {"method": "POST", "url": f"https://example.com/{ref}", "body": {"of": "{{ payload }}"}}
    return a_step(ref, StepType.HTTP_REQUEST, config=config, retries=retries)


def a_wait(ref: str, timeout: str = "1 hour") -> StepSpec:
    """Return a step that waits for an event of the type ``go``."""
    return a_step(ref, StepType.WAIT_FOR_EVENT, config={"eventType": "go", "timeout": timeout})


def a_line(*steps: StepSpec) -> Definition:
    """Return the definition of steps one after the other."""
    refs = [spec.ref for spec in steps]
    return a_definition(steps, *pairwise(refs))


def a_deployment(settings: WorkflowSettings | None = None, **changes: object) -> Deployment:
    """Return the deployment of a version of the workflow ``wf``; a test names what matters of it."""
    deployment = Deployment(
        id="dep",
        project_id="p",
        workflow_id="wf",
        connection_id="conn_default",
        version_id="v1",
        version=1,
        kind=WorkflowKind.WORKFLOW,
        settings=settings or WorkflowSettings(),
        created_by="ada",
        created_at=T0,
    )
    return replace(deployment, **changes)  # type: ignore[arg-type] # a test names the parts


class Crash(BaseException):
    """The process dies here; nothing catches it."""


@dataclass
class HandClock:
    """A clock that passes when told to."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Invocation:
    function: str
    event: dict[str, object]
    request_id: str
    tries: int = 1


@dataclass
class HandInvoker:
    queue: deque[Invocation] = field(default_factory=deque)

    def drive(self, run_id: str) -> None:
        self.add("drive", {"run_id": run_id})

    def work(self, run_id: str, step_keys: Sequence[str], owner: str) -> None:
        self.add("work", {"run_id": run_id, "keys": list(step_keys), "owner": owner})

    def add(self, function: str, event: dict[str, object]) -> None:
        self.queue.append(Invocation(function=function, event=event, request_id=uuid.uuid4().hex))


@dataclass(frozen=True, kw_only=True)
class Execution:
    run_id: str
    lease_seq: int
    ends_at: datetime


@dataclass
class HandParking:
    """What `park.asl.json` does, step by step."""

    client: DynamoDBClient
    table: str
    clock: HandClock
    invoker: HandInvoker
    waiting: dict[str, Execution] = field(default_factory=dict)
    started: int = 0

    def park(self, *, run_id: str, pk: str, wake_seq: int, lease_seq: int, timeout_seconds: float) -> str:
        token = f"{run_id}-{wake_seq}-{lease_seq}"
        self.started += 1
        execution = Execution(
            run_id=run_id,
            lease_seq=lease_seq,
            ends_at=self.clock.now() + timedelta(seconds=max(1, timeout_seconds)),
        )
        try:
            self.client.update_item(
                TableName=self.table,
                Key={"pk": {"S": pk}, "sk": {"S": "#RUN"}},
                UpdateExpression="SET park_token = :token",
                ConditionExpression=(
                    "attribute_exists(pk) AND attribute_exists(next_check_at) "
                    "AND wake_seq = :seq AND lease_seq = :lease"
                ),
                ExpressionAttributeValues={
                    ":token": {"S": token},
                    ":seq": {"N": str(wake_seq)},
                    ":lease": {"N": str(lease_seq)},
                },
            )
        except ClientError:
            self._drive(execution)
        else:
            self.waiting[token] = execution
        return token

    def answer(self, token: str) -> bool:
        execution = self.waiting.pop(token, None)
        if execution is not None:
            self._drive(execution)
        return execution is not None

    def check(self) -> None:
        pass

    def time_out(self) -> None:
        for token, execution in list(self.waiting.items()):
            if execution.ends_at <= self.clock.now():
                del self.waiting[token]
                self._drive(execution)

    def _drive(self, execution: Execution) -> None:
        self.invoker.add("drive", {"run_id": execution.run_id, "lease_seq": str(execution.lease_seq)})


@dataclass
class House:
    client: DynamoDBClient
    table: str
    definitions: dict[str, Definition] = field(default_factory=dict)
    clock: HandClock = field(default_factory=HandClock)
    invoker: HandInvoker = field(default_factory=HandInvoker)
    http: FakeHttp = field(default_factory=FakeHttp)
    #: How often each step's request was sent, by the step's key.
    sent: Counter[str] = field(default_factory=Counter)
    #: What the world outside answers to a step's nth request.
    answers: Callable[[str, int], int] = field(default=lambda _key, _nth: 200)
    #: Whether Lambda makes invocations that died again.
    lambda_retries: bool = True
    deaths: int = 0

    def __post_init__(self) -> None:
        self.parking = HandParking(self.client, self.table, self.clock, self.invoker)
        self.http.answer = self._answer
        self.outside = Outside(
            http=self.http,
            functions=FakeFunctions(),
            credentials=FakeCredentials(),
            payloads=FakePayloadStore(),
            parking=self.parking,
            invoker=self.invoker,
            agents=FakeAgents(),
            uploads=FakeUploads(),
        )

    def start(self, definition: Definition, *, payload: Json = None, invoked: bool = True, **parts: object) -> str:
        run_id, now = uuid.uuid4().hex, self.clock.now()
        self.definitions[run_id] = definition
        run = Run(
            id=run_id,
            project_id="p",
            workflow_id="wf",
            version_id="v1",
            version=1,
            connection_id="conn_default",
            status=RunStatus.PENDING,
            triggered_by="api",
            created_by="ada",
            created_at=now,
            updated_at=now,
            payload=payload,
            next_check_at=now + CHECK_AFTER,
            **parts,  # type: ignore[arg-type] # a test names the parts
        )
        runs.put(run)
        if invoked:
            self.invoker.drive(run_id)
        return run_id

    def invoke(self, invocation: Invocation) -> None:
        """Carry out one invocation; one that dies is invoked again with the same request id, as Lambda does."""
        event, run_id = invocation.event, str(invocation.event["run_id"])
        deadline = self.clock.now() + timedelta(seconds=FUNCTION_SECONDS)
        try:
            if invocation.function == "drive":
                parked = event.get("lease_seq")
                given = drive.Invocation(
                    owner=invocation.request_id,
                    started_at=self.clock.now(),
                    deadline=deadline,
                    parked_under=int(str(parked)) if parked is not None else None,
                )
                drive.drive(run_id, given, clock=self.clock, outside=self.outside)
            else:
                step_keys = event["keys"]
                assert isinstance(step_keys, list)
                work.work(
                    run_id,
                    step_keys,
                    owner=str(event["owner"]),
                    deadline=deadline,
                    clock=self.clock,
                    outside=self.outside,
                )
        except (Crash, Exception):  # noqa: BLE001 - Lambda does not ask what an invocation died of
            self.deaths += 1
            again = invocation.function == "drive" and self.lambda_retries and invocation.tries <= LAMBDA_RETRIES
            if again:
                self.invoker.queue.append(
                    Invocation(
                        function="drive",
                        event=event,
                        request_id=invocation.request_id,
                        tries=invocation.tries + 1,
                    ),
                )

    def drain(self) -> None:
        """Carry out what has been invoked, and what that invokes."""
        for _ in range(5000):
            if not self.invoker.queue:
                return
            self.invoke(self.invoker.queue.popleft())
        raise AssertionError("invocations do not come to an end")

    def settle(self, run_id: str, *, until: Callable[[Run], bool] = lambda run: run.status.ended) -> Run:
        """Carry on, letting time pass where nothing else happens, until the run is as wanted."""
        for _ in range(200):
            self.drain()
            run = self.run(run_id)
            if until(run):
                return run
            assert run.next_check_at is not None, "nobody will look at the run again"
            times = [run.next_check_at, *(e.ends_at for e in self.parking.waiting.values() if e.run_id == run_id)]
            self.clock.at = max(self.clock.at, min(times))
            self.parking.time_out()
            self.sweep()
        raise AssertionError(f"the run does not come to it: {self.run(run_id)}")

    def sweep(self) -> sweep.Swept:
        return sweep.sweep(now=self.clock.now(), outside=self.outside)

    def run(self, run_id: str) -> Run:
        run = runs.load(run_id)
        assert run is not None
        return run

    def records(self, run_id: str) -> dict[str, StepRecord]:
        loaded = runs.load_collection(run_id)
        assert loaded is not None
        return loaded.records

    def _answer(self, request: HttpRequest) -> HttpResponse:
        key = request.headers["Idempotency-Key"].split("/")[1]
        self.sent[key] += 1
        return HttpResponse(status=self.answers(key, self.sent[key]), headers={}, body={"of": key})


def a_house(table: object, monkeypatch: pytest.MonkeyPatch) -> House:
    """Return a house on a test's table, whose runs' definitions are the test's own."""
    house = House(table.client, table.name)  # type: ignore[attr-defined] # tests.conftest.Table, which cannot be imported twice
    monkeypatch.setattr(definitions, "of", lambda run, _values: house.definitions[run.id])
    return house
