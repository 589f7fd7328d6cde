"""The expense workflow of `examples/`: its worker does the jobs, a person decides what is dear."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from examples.expense.worker import KINDS, Worker
from infra.local import LocalStack
from tests.api.http import Client, Response
from tests.conftest import Project
from tests.readme import blocks, needs_curl, pasted

EXPENSE = Path(__file__).parents[1] / "examples" / "expense"
ENDED = {"completed", "failed", "timed_out", "canceled"}


@dataclass(frozen=True, kw_only=True)
class Expenses:
    """The expense workflow, saved, and its worker."""

    stack: LocalStack
    client: Client
    workflow_id: str

    def claim(self, *costs: int) -> str:
        """Start a run for a receipt of these costs and let the worker do what is to be done first."""
        payload = {"name": "Ada", "lines": [{"what": "train", "cost": cost} for cost in costs]}
        started = self.client.post(f"/v1/workflows/{self.workflow_id}/trigger", {"payload": payload})
        assert started.status == 201, started.text
        self.stack.wait_idle()
        run_id: str = started.json["id"]
        return run_id

    def work(self, kinds: Any = KINDS) -> int:
        done = Worker(self.stack.url, str(self.client.key), kinds).work_off()
        self.stack.wait_idle()
        return done

    def decide(self, run_id: str, verb: str) -> Response:
        decided = self.client.post(f"/v1/workflow-runs/{run_id}/steps/approve/{verb}", {})
        self.stack.wait_idle()
        return decided

    def step(self, run_id: str, ref: str) -> Any:
        return self.client.get(f"/v1/workflow-runs/{run_id}/steps/{ref}").json

    def ended(self, run_id: str) -> str:
        deadline = time.monotonic() + 30
        while (status := str(self.client.get(f"/v1/workflow-runs/{run_id}").json["status"])) not in ENDED:
            assert time.monotonic() < deadline, self.client.get(f"/v1/workflow-runs/{run_id}/why").text
            self.stack.wait_idle()
        return status


@pytest.fixture
def expenses(stack: LocalStack, project: Project) -> Expenses:
    client = Client(url=stack.url, key=project.key)
    workflow = json.loads((EXPENSE / "workflow.json").read_text())
    saved = client.post("/v1/workflows", {"project_id": project.id, **workflow})
    assert saved.status == 201, saved.text
    return Expenses(stack=stack, client=client, workflow_id=saved.json["id"])


@needs_curl
def test_it_can_be_tried_by_hand_as_it_is_printed(stack: LocalStack, project: Project) -> None:
    [commands] = blocks((EXPENSE.parent / "README.md").read_text().partition("## `expense/`")[2], "sh")
    here = commands.replace(".venv/bin/python", sys.executable).replace("proj_dev", project.id)
    why, decided, steps = pasted(here, stack, project)
    [asked] = why["waiting_on"]
    assert asked["message"] == "Pay 420 to Ada?"
    assert decided["approval"]["status"] == "approved"
    assert [one["status"] for one in steps] == ["completed"] * 3


def test_a_small_expense_is_paid_without_asking_anyone(expenses: Expenses) -> None:
    run_id = expenses.claim(40, 2)

    assert expenses.work() == 1
    assert expenses.work() == 1
    assert expenses.ended(run_id) == "completed"
    assert expenses.step(run_id, "approve")["status"] == "skipped"
    assert expenses.step(run_id, "pay")["output"] == {"transfer": f"tr_{run_id}", "amount": 42}


def test_a_large_expense_is_paid_once_a_person_has_approved_it(expenses: Expenses) -> None:
    run_id = expenses.claim(400, 20)
    expenses.work()
    assert expenses.work() == 0
    [asked] = expenses.client.get("/v1/approvals").json
    assert asked["message"] == "Pay 420 to Ada?"

    assert expenses.decide(run_id, "approve").status == 200
    assert expenses.work() == 1
    assert expenses.ended(run_id) == "completed"


def test_an_expense_that_is_rejected_is_not_paid(expenses: Expenses) -> None:
    run_id = expenses.claim(400)
    expenses.work()

    expenses.decide(run_id, "reject")

    assert expenses.ended(run_id) == "failed"
    assert expenses.work() == 0


def test_what_goes_wrong_in_the_worker_is_reported_and_the_job_is_there_again(expenses: Expenses) -> None:
    run_id = expenses.claim(40)

    def torn(_: object) -> None:
        raise LookupError("the receipt is torn")

    assert expenses.work({"read-receipt": torn}) == 1
    deadline = time.monotonic() + 30
    while not expenses.work():
        assert time.monotonic() < deadline
    assert expenses.work() == 1
    assert expenses.ended(run_id) == "completed"
    [first] = expenses.client.get(f"/v1/workflow-runs/{run_id}/steps/receipt?include=attempts").json["attempts"]
    assert first["error"] == "the receipt is torn"


def test_a_worker_leaves_jobs_of_other_kinds_alone(expenses: Expenses) -> None:
    expenses.claim(40)

    assert expenses.work({"pay": KINDS["pay"]}) == 0
