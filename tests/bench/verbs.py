"""Verbs on a run that is held in Step Functions: how often each asks AWS for something, the run's own driving apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from infra.local import LocalStack
from infra.local.functions import Function
from tests.bench.client import Client, publish, trigger
from tests.bench.meter import Counts, metered

#: The step that waits, and the step after it.
_STEPS: Final = (
    {"step_ref": "wait", "step_type": "approval", "approval_approvers": ["*"]},
    {"step_ref": "after", "step_type": "transform", "depends_on": ["wait"], "payload": 1},
)
_PATIENCE: Final = 60.0

#: By name: the verbs that lead up to it, and its own path and body; ``None`` is a DELETE of the run.
VERBS: Final[Mapping[str, tuple[tuple[str, ...], str | None, Any]]] = {
    "pause": ((), "pause", {}),
    "resume": (("pause",), "resume", {}),
    "cancel": ((), None, None),
    "approve": ((), "steps/wait/approve", {}),
    "reject": ((), "steps/wait/reject", {}),
    "skip": ((), "steps/wait/skip", {}),
    "force-complete": ((), "steps/wait/force-complete", {"result": {"a": 1}}),
    "replay-subtree": ((), "steps/wait/replay-subtree", {}),
}


def measure(stack: LocalStack) -> dict[str, Counts]:
    """Return what each verb asks of AWS."""
    with ExitStack() as until:
        client = until.enter_context(Client(stack.url, stack.key))
        path = publish(client, _STEPS)
        return {name: _counted(stack, client, path, name) for name in VERBS}


def _counted(stack: LocalStack, client: Client, path: str, name: str) -> Counts:
    before, verb, body = VERBS[name]
    run = f"/v1/workflow-runs/{trigger(client, path)}"
    for one in before:
        assert stack.wait_idle(_PATIENCE)
        client.post(f"{run}/{one}", {})
    assert stack.wait_idle(_PATIENCE)
    with undriven(stack), metered(stack) as counts:
        if verb is None:
            client.delete(run)
        else:
            client.post(f"{run}/{verb}", body)
        assert stack.wait_idle(_PATIENCE)
    return counts


@contextmanager
def undriven(stack: LocalStack) -> Iterator[None]:
    """Have nobody drive meanwhile: what a driver asks of AWS is not the verb's."""
    drive = stack.resources.functions["Drive"]
    real = stack.functions.find(drive)
    stack.functions.register(Function(name=drive, handler=lambda _event, _context: None))
    try:
        yield
    finally:
        stack.functions.register(real)
