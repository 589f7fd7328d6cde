"""The demo runs, prints what README.md shows, and its workflow takes each of its ways."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import urllib3

from examples.order.shop import Shop
from infra.local import LocalStack
from tests.conftest import Project

ROOT = Path(__file__).parents[1]
ORDER = ROOT / "examples" / "order"


def alike(output: str) -> list[str]:
    """Return the lines of a demo's output without what differs from run to run: ids, ports, times, costs."""
    text = re.sub(r"(?:wf_)?[0-9a-f]+…", "<id>", output)
    text = re.sub(r":\d{4,5}\b", ":<port>", text)
    text = re.sub(r"\d+ ms", "<time>", text)
    text = re.sub(r"\d+\.\d{9}", "<dollars>", text)
    text = re.sub(r"\d[\d,.]*(?=  [A-Za-z -]+<dollars>)", "<quantity>", text)
    return [re.sub(r" +", " ", line).strip() for line in text.strip().splitlines()]


def told_by(demo: str) -> subprocess.CompletedProcess[str]:
    """Run a demo to its end."""
    command = [sys.executable, "-m", f"infra.local.{demo}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90)


def shown_of(demo: str) -> str:
    """Return what the README shows of a demo's output."""
    readme = (ROOT / "README.md").read_text()
    return readme.partition(f"<!-- {demo}: begin -->\n```text\n")[2].partition("```")[0]


def test_the_demo_prints_what_the_readme_shows() -> None:
    done = told_by("demo")

    assert (done.returncode, done.stderr) == (0, "")
    assert alike(done.stdout) == alike(shown_of("demo"))
    assert "holds it; no Lambda runs" in done.stdout
    assert re.search(r"^approve +approval +completed +1 +\d+ ms +waited in Step Functions$", done.stdout, re.MULTILINE)
    assert "2 Lambda invocations, 2 state transitions" in done.stdout


def test_the_demo_of_agents_prints_what_the_readme_shows() -> None:
    done = told_by("demo_agents")

    assert (done.returncode, done.stderr) == (0, "")
    assert alike(done.stdout) == alike(shown_of("demo-agents"))
    assert re.findall(r"^checker +\d .* (\w+)$", done.stdout, re.MULTILINE) == ["fail", "fail", "pass"]


def test_a_demo_that_goes_wrong_says_so_in_one_line() -> None:
    # The shop's address comes out as one where the shop has nothing.
    program = "import infra.local.demo as d; d.SHOP = 'http:'; raise SystemExit(d.main())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=90
    )

    assert done.returncode == 1
    assert done.stderr == "The demo failed: the run is errored, not paused: the server answered 404\n"


class Orders:
    """The order workflow, deployed."""

    def __init__(self, stack: LocalStack, project: Project, shop_url: str) -> None:
        self.stack = stack
        self._key = project.key
        graph = (ORDER / "workflow.json").read_text().replace("http://shop.example.com", shop_url)
        self._path = f"/workflows/{self.ask('POST', '/workflows', {'name': 'order'})['id']}"
        self.ask("POST", f"{self._path}/versions", {"ir": json.loads(graph)})
        self.ask("POST", f"{self._path}/deploy", {"connectionId": "conn_default"})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = urllib3.request(
            method, f"{self.stack.url}/api{path}", json=body, headers={"Authorization": f"Bearer {self._key}"}
        )
        assert answer.status < 400, answer.data
        return answer.json()

    def order(self, **lines: int) -> str:
        """Trigger a run and let it go as far as it can."""
        order = json.loads((ORDER / "order.json").read_text())
        order["lines"] = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
        run_id: str = self.trigger(order)["instanceId"]
        return run_id

    def trigger(self, params: Mapping[str, Any]) -> Any:
        return self.ask("POST", f"{self._path}/trigger", {"connectionId": "conn_default", "params": params})

    def decide(self, run_id: str, **decision: Any) -> None:
        self.trigger({"instanceId": run_id, "eventType": "approval-approve", "payload": decision})

    def run(self, run_id: str, status: str) -> Any:
        """Return the run once it stands so."""
        deadline = time.monotonic() + 30
        while True:
            self.stack.wait_idle()
            run = self.ask("GET", f"{self._path}/runs/{run_id}")
            if run["status"] == status:
                return run
            assert run["status"] in {"queued", "running", "paused"}, run
            assert time.monotonic() < deadline, run


@pytest.fixture
def orders(stack: LocalStack, project: Project) -> Iterator[Orders]:
    with Shop() as shop:
        yield Orders(stack, project, shop.url)


def test_a_small_order_is_confirmed_without_asking_anyone(orders: Orders) -> None:
    output = orders.run(orders.order(lamp=2), "complete")["output"]

    assert output == {
        "orderId": "ord_2048",
        "status": "confirmed",
        "amount": 90,
        "reservation": "rsv_1",
        "approvedBy": None,
    }


def test_a_large_order_that_is_refused_gives_its_stock_back(orders: Orders) -> None:
    run_id = orders.order(table=2)
    orders.run(run_id, "paused")
    orders.decide(run_id, approved=False, comment="too dear")

    output = orders.run(run_id, "complete")["output"]

    assert output["Tell that it was refused"]["status"] == "refused"
    assert "too dear" in output["Tell that it was refused"]["reason"]


def test_an_order_for_what_is_sold_out_is_not_tried_again(orders: Orders) -> None:
    output = orders.run(orders.order(sofa=1), "complete")["output"]

    assert output["Tell that it is sold out"]["status"] == "sold out"


def test_an_order_for_what_the_shop_does_not_know_fails_and_says_at_what(orders: Orders) -> None:
    run = orders.run(orders.order(unicorn=1), "errored")

    assert "404" in run["error"]


def test_an_order_of_nothing_ends_at_once(orders: Orders) -> None:
    assert orders.run(orders.order(), "complete")["error"] is None
