"""Counts what the app asks of AWS: DynamoDB calls with the units they consume, other calls, invocations, transitions.

It listens on the app's own clients. The units are DynamoDB's own answer to `ReturnConsumedCapacity: INDEXES`; moto
makes its answer up (one unit a call), so units count on DynamoDB Local only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib.gateways import clients
from chalicelib.store import table
from infra.local import LocalStack

#: Calls that write one item. A transaction counts as many as it holds, checks included.
WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_TRANSACTION: Final = "TransactWriteItems"
_ID: Final = "stepwell-bench"


@dataclass(kw_only=True)
class Counts:
    """What some piece of work asked of AWS."""

    #: DynamoDB calls by the app, by operation, refused ones included.
    calls: Counter[str] = field(default_factory=Counter)
    #: Items written by the app; a refused write counts, because DynamoDB charges for it.
    writes: int = 0
    #: Items written by Step Functions, as it parks a run.
    park_writes: int = 0
    #: Units: the table's own and the indexes', in capacity units.
    table_write: float = 0.0
    index_write: float = 0.0
    table_read: float = 0.0
    index_read: float = 0.0
    #: Calls to S3, by operation.
    s3: Counter[str] = field(default_factory=Counter)
    #: Calls to Step Functions and Lambda, by operation.
    others: Counter[str] = field(default_factory=Counter)
    #: Lambda invocations, by the function's short name.
    invocations: Counter[str] = field(default_factory=Counter)
    #: Step Functions: executions started, and states they entered.
    executions: int = 0
    transitions: int = 0

    @property
    def all_calls(self) -> int:
        """All calls to AWS, whatever they ask for."""
        return self.calls.total() + self.s3.total() + self.others.total()

    @property
    def write_units(self) -> float:
        """All write units."""
        return self.table_write + self.index_write

    @property
    def read_units(self) -> float:
        """All read units."""
        return self.table_read + self.index_read

    def as_json(self) -> dict[str, Any]:
        """Return it as the JSON report has it."""
        return {
            "dynamodb_calls": dict(sorted(self.calls.items())),
            "writes": self.writes,
            "park_writes": self.park_writes,
            "write_units": {"table": self.table_write, "indexes": self.index_write, "total": self.write_units},
            "read_units": {"table": self.table_read, "indexes": self.index_read, "total": self.read_units},
            "s3_calls": dict(sorted(self.s3.items())),
            "other_calls": dict(sorted(self.others.items())),
            "lambda_invocations": dict(sorted(self.invocations.items())),
            "executions": self.executions,
            "state_transitions": self.transitions,
        }


@contextmanager
def metered(stack: LocalStack) -> Iterator[Counts]:
    """Count what the app does meanwhile; the counts are whole once the block has been left."""
    counts = Counts()
    logged, parked = len(stack.lambda_log), _executions(stack)
    dynamodb = table.connection().connection.client.meta.events
    s3 = clients.s3().meta.events
    others = (clients.step_functions().meta.events, clients.own_lambda().meta.events)
    dynamodb.register("provide-client-params.dynamodb", _ask_for_capacity, unique_id=_ID)
    dynamodb.register(
        "after-call.dynamodb",
        lambda model, parsed, **_: _take(counts, model.name, parsed),
        unique_id=f"{_ID}-answers",
    )
    dynamodb.register(
        "before-call.dynamodb", lambda model, params, **_: _call(counts, model.name, params), unique_id=f"{_ID}-calls"
    )
    s3.register("before-call.s3", lambda model, **_: counts.s3.update([model.name]), unique_id=_ID)
    for events in others:
        events.register("before-call", lambda model, **_: counts.others.update([model.name]), unique_id=_ID)
    try:
        yield counts
    finally:
        dynamodb.unregister("provide-client-params.dynamodb", unique_id=_ID)
        dynamodb.unregister("after-call.dynamodb", unique_id=f"{_ID}-answers")
        dynamodb.unregister("before-call.dynamodb", unique_id=f"{_ID}-calls")
        s3.unregister("before-call.s3", unique_id=_ID)
        for events in others:
            events.unregister("before-call", unique_id=_ID)
    short = {stack.resources.functions[logical]: logical.lower() for logical in stack.resources.functions}
    counts.invocations.update(short.get(each.function, each.function) for each in stack.lambda_log[logged:])
    for arn in _executions(stack) - parked:
        _count_states(counts, stack, arn)


def _ask_for_capacity(params: dict[str, Any], **_: object) -> None:
    if "ReturnConsumedCapacity" in params:
        # PynamoDB asks with each call, for the total.
        params["ReturnConsumedCapacity"] = "INDEXES"


def _call(counts: Counts, operation: str, params: Mapping[str, Any]) -> None:
    counts.calls[operation] += 1
    if operation in WRITES:
        counts.writes += 1
    elif operation == _TRANSACTION:
        counts.writes += bytes(params["body"]).count(b'"TableName"')


def _take(counts: Counts, operation: str, parsed: Mapping[str, Any]) -> None:
    consumed = parsed.get("ConsumedCapacity") or []
    writing = operation in WRITES or operation == _TRANSACTION
    for each in consumed if isinstance(consumed, list) else [consumed]:
        in_table = each.get("Table", {}).get("CapacityUnits", 0.0)
        in_indexes = sum(
            index.get("CapacityUnits", 0.0) for index in (each.get("GlobalSecondaryIndexes") or {}).values()
        )
        if writing:
            counts.table_write += in_table
            counts.index_write += in_indexes
        else:
            counts.table_read += in_table
            counts.index_read += in_indexes


def _executions(stack: LocalStack) -> set[str]:
    pages = stack.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=stack.resources.park)
    return {each["executionArn"] for page in pages for each in page["executions"]}


def _count_states(counts: Counts, stack: LocalStack, arn: str) -> None:
    history = stack.stepfunctions.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    counts.executions += 1
    counts.transitions += sum(event["type"].endswith("StateEntered") for event in history)
    counts.park_writes += sum(event["type"] == "TaskSubmitted" for event in history)
