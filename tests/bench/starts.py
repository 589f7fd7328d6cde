"""Starts of runs through each API: how often each asks AWS for something, the run's own driving apart."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from infra.local import LocalStack
from tests.bench import workflows
from tests.bench.client import Client, deploy, publish
from tests.bench.meter import Counts, metered
from tests.bench.verbs import undriven

_PATIENCE: Final = 60.0

#: Where a start is sent to, and its body.
_Start: TypeAlias = tuple[str, Any]


def _of_the_trigger_api(_stack: LocalStack, client: Client) -> _Start:
    path = deploy(client, workflows.chain(1))
    return f"{path}/trigger", {"connectionId": "conn_default", "params": {"orderId": "ord_001"}}


def _of_the_workflow_runs_api(_stack: LocalStack, client: Client) -> _Start:
    workflow_id = publish(client, workflows.steps_side_by_side(1)).rpartition("/")[2]
    return f"/v1/workflows/{workflow_id}/trigger", {"payload": {"orderId": "ord_001"}}


#: By name: what has something to start, and says how that is asked for.
STARTS: Final[Mapping[str, Callable[[LocalStack, Client], _Start]]] = MappingProxyType(
    {
        "trigger": _of_the_trigger_api,
        "v1 trigger": _of_the_workflow_runs_api,
    },
)


def measure(stack: LocalStack) -> dict[str, Counts]:
    """Return what each start asks of AWS, without and with an idempotency key."""
    with ExitStack() as until:
        client = until.enter_context(Client(stack.url, stack.key))
        counted: dict[str, Counts] = {}
        for name, prepare in STARTS.items():
            path, body = prepare(stack, client)
            client.post(path, body)  # the first one: the definition is kept, and the key has been read
            assert stack.wait_idle(_PATIENCE)
            counted[name] = _counted(stack, client, path, body)
            counted[f"{name}, with a key"] = _counted(stack, client, path, body, key=uuid.uuid4().hex)
        return counted


def _counted(stack: LocalStack, client: Client, path: str, body: Any, *, key: str | None = None) -> Counts:
    with undriven(stack), metered(stack) as counts:
        client.post(path, body, key=key)
        assert stack.wait_idle(_PATIENCE)
    return counts
