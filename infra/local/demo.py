"""`make demo`: the order workflow of `examples/`, deployed, triggered, approved and told as a timeline."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from chalicelib.domain.timeline import Entry
from examples.order.shop import Shop
from infra.local.stack import LocalStack
from infra.local.telling import Asking, Columns, DemoFailed, counted, leave, print_table, say, short, told

ORDER: Final = Path(__file__).parents[2] / "examples" / "order"
#: What the workflow calls its shop; the demo's own is at another address.
SHOP: Final = "http://shop.example.com"

_PROJECT: Final = "proj_dev"
_CONNECTION: Final = "conn_default"
#: No part of the demo takes longer unless something is wrong.
_LONGEST_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_ENDED: Final = frozenset({"complete", "errored", "terminated"})


class Demo:
    """One telling of the example, from its deployment to its timeline."""

    def __init__(self, stack: LocalStack, shop_url: str) -> None:
        self._stack = stack
        self._shop_url = shop_url
        self._asking = Asking(stack.url, stack.key)
        self._writes = Counter[str]()

    def go(self) -> None:
        """Tell it."""
        workflow_id = self._deploy()
        self._count_writes()
        invoked = len(self._stack.lambda_log)
        run_id = self._trigger(workflow_id)
        self._show_wait(run_id)
        self._approve(workflow_id, run_id)
        self._settle()
        self._print_timeline(run_id)
        entered = [name for arn in self._executions(run_id) for name in self._states_entered(arn)]
        # An execution that parks a run writes its token into the run's record, by no client of ours.
        writes = self._writes.total() + entered.count("HoldUntilWoken")
        print(
            f"This run took {counted(len(self._stack.lambda_log) - invoked, 'Lambda invocation')}, "
            f"{counted(len(entered), 'state transition')} and {counted(writes, 'DynamoDB write')}."
        )

    def _deploy(self) -> str:
        graph = json.loads((ORDER / "workflow.json").read_text().replace(SHOP, self._shop_url))
        made = self._ask("POST", "/workflows", {"name": "order", "kind": "workflow"})
        path = f"/workflows/{made['id']}"
        saved = self._ask("POST", f"{path}/versions", {"ir": graph})
        self._ask("POST", f"{path}/deploy", {"connectionId": _CONNECTION})
        say("deploy", f"POST {_shown(path)}/deploy", f"version {saved['version']}, {len(graph['nodes'])} steps")
        return str(made["id"])

    def _trigger(self, workflow_id: str) -> str:
        order = json.loads((ORDER / "order.json").read_text())
        path = f"/workflows/{workflow_id}"
        run = self._ask("POST", f"{path}/trigger", {"connectionId": _CONNECTION, "params": order})
        say("trigger", f"POST {_shown(path)}/trigger", f"order {order['orderId']}: {run['status']}")
        self._until("paused", workflow_id, run["id"])
        say("poll", f"GET {_shown(path)}/runs/{short(run['id'])}", "paused: it waits for a person")
        return str(run["id"])

    def _show_wait(self, run_id: str) -> None:
        self._settle()
        holding = [arn for arn, status in self._executions(run_id).items() if status == "RUNNING"]
        if len(holding) != 1:
            raise DemoFailed(f"{len(holding)} Step Functions executions hold the run, not one")
        say("", f"Step Functions execution {short(holding[0].rpartition(':')[2])}", "holds it; no Lambda runs")

    def _settle(self) -> None:
        if not self._stack.wait_idle(_LONGEST_SECONDS):
            raise DemoFailed("a Lambda invocation does not end")

    def _approve(self, workflow_id: str, run_id: str) -> None:
        decision = {"approved": True, "comment": "Looks good"}
        event = {"instanceId": run_id, "eventType": "approval-approve", "payload": decision}
        path = f"/workflows/{workflow_id}"
        self._ask("POST", f"{path}/trigger", {"connectionId": _CONNECTION, "params": event})
        say("approve", f"POST {_shown(path)}/trigger", "event approval-approve")
        run = self._until("complete", workflow_id, run_id)
        say("poll", f"GET {_shown(path)}/runs/{short(run_id)}", "complete")
        print(f"\n{json.dumps(run['output'], indent=2)}\n")

    def _until(self, status: str, workflow_id: str, run_id: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while True:
            run = self._ask("GET", f"/workflows/{workflow_id}/runs/{run_id}")
            if run["status"] == status:
                return run
            if run["status"] in _ENDED or time.monotonic() > deadline:
                raise DemoFailed(f"the run is {run['status']}, not {status}: {run['error']}")
            time.sleep(_POLL_SECONDS)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._asking.ask(method, f"/api{path}", body)
        return found

    def _executions(self, run_id: str) -> Mapping[str, str]:
        """Return the run's Step Functions executions, by ARN, with their status."""
        page = self._stack.stepfunctions.list_executions(stateMachineArn=self._stack.resources.park)
        return {one["executionArn"]: one["status"] for one in page["executions"] if one["name"].startswith(run_id)}

    def _states_entered(self, execution_arn: str) -> list[str]:
        """Return the names of the states that an execution entered: each is a state transition that AWS charges."""
        history = self._stack.stepfunctions.get_execution_history(executionArn=execution_arn)
        entered = (event.get("stateEnteredEventDetails") for event in history["events"])
        return [details["name"] for details in entered if details is not None]

    def _count_writes(self) -> None:
        from chalicelib.store import table  # noqa: PLC0415 - the app is imported once its environment is set

        def count(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            if model.name in {"PutItem", "UpdateItem", "DeleteItem"}:
                self._writes[model.name] += 1
            elif model.name == "TransactWriteItems":
                written = [item for item in params["TransactItems"] if "ConditionCheck" not in item]
                self._writes[model.name] += len(written)

        table.connection().connection.client.meta.events.register("provide-client-params.dynamodb", count)

    def _print_timeline(self, run_id: str) -> None:
        from chalicelib.services import timelines  # noqa: PLC0415 - as above

        print_table(_COLUMNS, timelines.load(_PROJECT, run_id))


def _shown(path: str) -> str:
    """Return the path of a workflow with as much of its id as tells it apart."""
    return f"/api{path.rpartition('/')[0]}/{short(path.rpartition('/')[2])}"


def _note(entry: Entry) -> str:
    if entry.wait is not None:
        return "waited in Step Functions"
    if entry.branch is not None:
        return f"took {entry.branch!r}"
    if entry.error is not None:
        return entry.error.message
    return "tried again" if entry.attempt > 1 else ""


def _milliseconds(duration: timedelta | None) -> str:
    return "" if duration is None else f"{duration / timedelta(milliseconds=1):.0f} ms"


#: The timeline's columns.
_COLUMNS: Final[Columns[Entry]] = {
    "step": ("<", lambda entry: entry.key),
    "type": ("<", lambda entry: entry.type),
    "status": ("<", lambda entry: entry.status),
    "attempts": (">", lambda entry: str(entry.attempt or "")),
    "took": (">", lambda entry: _milliseconds(entry.duration)),
    "": ("<", _note),
}


def tell() -> None:
    """Tell it on a stack of its own."""
    with LocalStack(sweep_seconds=None) as stack, Shop() as shop:
        print(f"Stepwell on {stack.url}, the order's shop on {shop.url}\n", flush=True)
        Demo(stack, shop.url).go()


def main() -> int:
    """Return 0 if all of it went as it should."""
    return told(tell)


if __name__ == "__main__":
    leave(main())
