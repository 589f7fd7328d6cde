"""The workflow-runs API's published page: each of its commands is taken from it and run, and answers as it says.

Put in are the address, the project, ids in place of `string`, and the header of the page's "Authorization". The page's
text has lost the line breaks that its backslashes stood before.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.value import Json
from infra.local.dynamodb import PROJECT
from tests.scenarios.doors import ENDPOINTS, named
from tests.scenarios.ready import READY, Ready
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, saved
from tests.scenarios.v1_runs import V1Run, v1_run
from tests.scenarios.v1_states import a_failure

pytestmark = pytest.mark.store

PAGE = (PROJECT / "docs/contracts/workflow-runs-api-page.md").read_text()
STATUSES = re.findall(r'"(\w+)"', PAGE[PAGE.index("Value in") : PAGE.index("limit?integer")])
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A command of the page, and the answer that it shows."""

    command: str
    endpoint: Endpoint
    #: None for "Empty".
    answer: Json


def examples() -> Iterator[Example]:
    """Yield what the page shows, in its order."""
    by_name = {named(endpoint): endpoint for endpoint in ENDPOINTS}
    for found in re.finditer(
        r"""curl -X (\w+) "http://localhost:8080([^"?]*)[^"]*"(?: \\ -[Hd] (?:".*?"|'.*?'))*""", PAGE
    ):
        path = found[2].replace("/steps/string", "/steps/{step_ref}").replace("/string", "/{run_id}")
        rest = PAGE[found.end() :]
        answer = None if rest.startswith("Empty") else json.JSONDecoder().raw_decode(rest)[0]
        yield Example(command=found[0], endpoint=by_name[f"{found[1]} {path}"], answer=answer)


EXAMPLES = {named(one.endpoint): one for one in examples()}

#: By command: the status, and what is answered beyond what the page shows.
ANSWERS: Mapping[str, tuple[int, set[str]]] = {
    "GET /v1/workflow-runs": (200, set()),
    "GET /v1/workflow-runs/{run_id}": (200, set()),
    "DELETE /v1/workflow-runs/{run_id}": (204, set()),
    "GET /v1/workflow-runs/{run_id}/steps": (200, set()),
    "POST /v1/workflow-runs/{run_id}/pause": (200, {"id", "status", "workflow_id"}),
    "POST /v1/workflow-runs/{run_id}/resume": (200, {"id", "status", "workflow_id"}),
    "POST /v1/workflow-runs/{run_id}/retry": (201, set()),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/approve": (200, {"step_run", "approval"}),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/skip": (200, {"step_run"}),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/force-complete": (200, {"step_run"}),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/retry": (200, set()),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/replay-subtree": (200, set()),
    "POST /v1/workflow-runs/bulk-cancel": (200, {"results"}),
    "POST /v1/workflow-runs/bulk-replay": (200, {"results"}),
}
#: Left out where there is nothing to say; all others are always there.
OPTIONAL = {
    "error",
    "expires_at",
    "finished_at",
    "job_run_id",
    "output",
    "parent_step_run_id",
    "parent_workflow_run_id",
    "payload",
    "retry_of_run_id",
    "started_at",
}
#: By command: where the run, and the step, stand when all has come of it.
AFTERWARDS: Mapping[str, tuple[str, str]] = {
    "DELETE /v1/workflow-runs/{run_id}": ("canceled", "canceled"),
    "POST /v1/workflow-runs/{run_id}/pause": ("paused", "waiting"),
    "POST /v1/workflow-runs/{run_id}/resume": ("running", "waiting"),
    "POST /v1/workflow-runs/{run_id}/retry": ("completed", "completed"),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/approve": ("running", "completed"),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/skip": ("running", "skipped"),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/force-complete": ("running", "completed"),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/retry": ("completed", "completed"),
    "POST /v1/workflow-runs/{run_id}/steps/{step_ref}/replay-subtree": ("completed", "completed"),
    "POST /v1/workflow-runs/bulk-cancel": ("canceled", "canceled"),
    "POST /v1/workflow-runs/bulk-replay": ("completed", "completed"),
}


def run_as_printed(scene: Scene, example: Example, ready: Ready) -> tuple[int, Any]:
    """Run a command with a reader's own address, key and ids; return the status and what was answered."""
    command = example.command.replace(" \\ ", " \\\n").replace("http://localhost:8080", scene.client.url)
    command = command.replace("project_id=string", f"project_id={scene.project.id}")
    command = command.replace("/steps/string", f"/steps/{ready.ids.get('step_ref')}")
    command = command.replace("/string", f"/{ready.run_id}").replace('"string"', f'"{ready.run_id}"')
    assert "string" not in command
    command += f" -H 'Authorization: Bearer {scene.project.key}' -s -w '\\n%{{http_code}}'"
    done = subprocess.run(("bash", "-c", command), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body) if body else None


def hold_against(shown: Json, answered: Any) -> None:
    """Hold an answer to have the fields of an example, each of its JSON type; `{}` is whatever JSON its users have."""
    if shown == {}:
        return
    if isinstance(shown, dict) and "property1" in shown:
        assert all(isinstance(value, str) for value in answered.values())
    elif isinstance(shown, dict):
        assert isinstance(answered, dict)
        assert shown.keys() - answered.keys() <= OPTIONAL
        for name in shown.keys() & answered.keys():
            hold_against(shown[name], answered[name])
    elif isinstance(shown, list):
        for row in answered:
            hold_against(shown[0], row)
    elif isinstance(shown, str) and _TIME.fullmatch(shown):
        assert _TIME.fullmatch(answered)
        assert datetime.fromisoformat(answered) <= datetime.now(UTC) + timedelta(hours=1)
    elif shown == "pending":
        assert answered in {*STATUSES, "skipped", "waiting"}
    else:
        assert type(answered) is type(shown)
        assert answered != ""


def row_of(name: str) -> Mapping[str, Json]:
    """Return the row that the page shows of a list."""
    rows = EXAMPLES[name].answer
    assert isinstance(rows, list)
    [row] = rows
    assert isinstance(row, dict)
    return row


def test_the_page_has_the_examples_that_are_run_here() -> None:
    assert list(EXAMPLES) == list(ANSWERS)
    assert PAGE.count("curl ") == len(EXAMPLES)
    assert len(STATUSES) == 7
    assert (len(row_of("GET /v1/workflow-runs")), len(row_of("GET /v1/workflow-runs/{run_id}/steps"))) == (19, 14)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_command_answers_as_the_page_shows(scene: Scene, name: str) -> None:
    example = EXAMPLES[name]
    ready = READY[example.endpoint.view.__name__](scene)
    expected, more = ANSWERS[name]

    status, answered = run_as_printed(scene, example, ready)

    assert status == expected, answered
    assert (answered is None) == (status == 204)
    if example.answer is not None:
        hold_against(example.answer, answered)
    if more:
        assert more <= answered.keys()
    scene.settle()
    if name in AFTERWARDS:
        run = V1Run(scene=scene, id=newest_of(answered) or ready.run_id, workflow_id="")
        statuses = run.statuses()
        step_status = statuses[ready.ids.get("step_ref", next(iter(statuses)))]
        assert (run.status, step_status) == AFTERWARDS[name]


def newest_of(answered: Any) -> str | None:
    """Return the id of the run that a command has made, if it has made one."""
    match answered:
        case {"retry_of_run_id": _, "id": str(run_id)} | {"results": [{"new_run_id": str(run_id)}]}:
            return run_id
    return None


def test_every_field_of_a_run_is_there_where_it_has_something_to_say(scene: Scene) -> None:
    """Lists of runs, between them, have each field that the page shows, of its type."""
    child = saved(scene, a_failure("only"), timeout_secs=600, tags={"team": "a"}, max_parallel_steps=2)
    sub = a_step("sub", step_type="sub_workflow", sub_workflow_id=child["id"], payload={"order": 7})
    parent = v1_run(scene, sub, payload={"order": 7})
    assert parent.ask("retry").status == 201
    scene.settle()
    example = EXAMPLES["GET /v1/workflow-runs"]
    _, rows = run_as_printed(scene, example, Ready(scene=scene))
    hold_against(example.answer, rows)
    assert {name for row in rows for name in row} == row_of(named(example.endpoint)).keys()


def test_every_field_of_a_step_is_there_where_it_has_something_to_say(scene: Scene) -> None:
    run = v1_run(
        scene,
        a_step("done", payload={"a": 1}),
        a_failure("not", "done", on_failure="continue"),
        a_step("work", "done", step_type="job"),
    )
    example = EXAMPLES["GET /v1/workflow-runs/{run_id}/steps"]
    _, rows = run_as_printed(scene, example, Ready(scene=scene, ids={"run_id": run.id}))
    hold_against(example.answer, rows)
    assert {name for row in rows for name in row} == row_of(named(example.endpoint)).keys()


@pytest.mark.parametrize("status", STATUSES)
def test_a_list_can_be_narrowed_to_each_status_of_the_page(scene: Scene, status: str) -> None:
    run = v1_run(scene, a_step("only"))
    rows = scene.client.get(f"/v1/workflow-runs?project_id={scene.project.id}&status={status}").json
    assert [row["id"] for row in rows] == ([run.id] if status == "completed" else [])
