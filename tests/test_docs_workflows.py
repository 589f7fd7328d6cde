"""What docs/ says of the workflows API and of agents is what there is, and its examples do what they print."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from chalicelib.api.workflows_api.agent_callbacks import ReportBody
from chalicelib.api.workflows_api.analytics import AnalyticsShown
from chalicelib.api.workflows_api.personas import CreatePersona
from chalicelib.api.workflows_api.runs import StartRun
from chalicelib.api.workflows_api.workflows import CreateWorkflow
from chalicelib.domain.definition import StepType
from chalicelib.domain.graph_checks import Check
from chalicelib.domain.graph_fields import FIELDS
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.persona import Effort, Role, Tool
from chalicelib.domain.pipeline_fields import CONFIG, PERSONA_STEP, STEP
from chalicelib.domain.upload import FileStatus, StoredFile
from chalicelib.domain.value import Json
from chalicelib.services.agent_setup import BUILT_IN
from chalicelib.store import files
from infra import template
from infra.local import LocalStack
from infra.local.stack import forget_clients
from tests.conftest import Project, Table
from tests.domain.building import T0
from tests.readme import GUIDES, ROOT, blocks, code, needs_curl, pasted, rows
from tests.scenarios.pipelines import a_pipeline
from tests.scenarios.scene import Scene
from tests.scenarios.test_workflow_states import STATES, TABLE
from tests.services.agent_runs import a_house_with_agents, a_loop, order_of, said
from tests.services.house import House
from tests.services.waiting import waiting

API = GUIDES["workflows-api"]
AGENTS = GUIDES["agents"]
#: A range that a cell begins with: of a number, or of a text's characters, a list's entries.
RANGE = re.compile(r"(?:required; )?([\d.,]+) to ([\d.,]+)( characters| steps| `storageId`s)?")
GOOD: Mapping[type[BaseModel], dict[str, Json]] = {
    CreateWorkflow: {"name": "n", "pipelineSteps": [{"type": "custom", "cliId": "pi"}]},
    StartRun: {"workflowId": "w", "prompt": "p"},
    CreatePersona: {"name": "n", "type": "custom", "cliId": "pi"},
    ReportBody: {"output": 1},
}
#: Words of the code that begin as codes do, and are none.
NO_CODES = {"agent_refused"}


def told_by(heading: str) -> dict[str, str]:
    """Return what each field may be, or what it is, by name."""
    return {code(name): cells[-1] for name, *cells in rows(heading)}


def names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def as_number(text: str) -> int | float:
    number = float(text.replace(",", ""))
    return int(number) if number.is_integer() else number


def ranges(told: Mapping[str, str]) -> Iterator[tuple[str, int | float, int | float, str]]:
    """Yield each field whose range is told: its name, the least, the most, and of what."""
    for name, text in told.items():
        found = RANGE.match(text)
        if found is not None:
            yield name, as_number(found[1]), as_number(found[2]), (found[3] or "").strip()


def of_size(size: float, unit: str) -> Json:
    """Return a value as large as that: text, a list, or the number itself."""
    if unit == "characters":
        return "x" * int(size)
    return [f"f{at}" for at in range(int(size))] if unit else size


def refused_by(model: type[BaseModel], name: str, value: Json) -> bool:
    try:
        model.model_validate({**GOOD[model], name: value})
    except ValidationError:
        return True
    return False


def refused_by_check(check: Check, value: Json) -> bool:
    place = Place()
    check(value, place)
    return bool(place.details)


def held(told: Mapping[str, str], refused: Callable[[str, Json], bool]) -> int:
    """Hold each range that is told to what is taken and what is refused; return how many there are."""
    found = list(ranges(told))
    for name, least, most, unit in found:
        assert not refused(name, of_size(least, unit)), name
        assert not refused(name, of_size(most, unit)), name
        assert refused(name, of_size(most + 1, unit)), name
        assert least == 0 or refused(name, of_size(least - 1 if least >= 1 else least / 2, unit)), name
    return len(found)


@pytest.mark.parametrize(
    ("heading", "model", "how_many"),
    [
        ("| field of a workflow | may be |", CreateWorkflow, 8),
        ("| field of a start | may be |", StartRun, 3),
        ("| field of a persona | default | may be |", CreatePersona, 4),
        ("| field of a report | may be |", ReportBody, 1),
    ],
)
def test_the_fields_of_a_body_are_there_with_their_ranges(heading: str, model: type[BaseModel], how_many: int) -> None:
    told = told_by(heading)
    assert set(told) == names(model)
    assert held(told, lambda name, value: refused_by(model, name, value)) == how_many
    for name, field in model.model_fields.items():
        cells = next(cells for first, *cells in rows(heading) if code(first) == (field.alias or name))
        assert any(cell.startswith("required") for cell in cells) == field.is_required(), name


def test_the_fields_of_a_pipelines_steps_and_of_its_defaults_are_there_with_their_ranges() -> None:
    places = {"pipelineSteps": STEP, "personaPipelineSteps": PERSONA_STEP, "defaultConfig": CONFIG}
    where = {code(name): cell for name, cell, _ in rows("| field of a step | in | may be |")}
    for place, fields in places.items():
        assert {name for name, cell in where.items() if cell == "all" or f"`{place}`" in cell} == set(fields.checks)
        for name in fields.required:
            assert told_by("| field of a step | in | may be |")[name].startswith("required")
    checks: dict[str, Check] = {**CONFIG.checks, **PERSONA_STEP.checks, **STEP.checks}
    told = told_by("| field of a step | in | may be |")
    assert held(told, lambda name, value: refused_by_check(checks[name], value)) == 9


def test_the_fields_of_an_agent_are_there_with_their_ranges_and_defaults() -> None:
    fields = FIELDS[StepType.AGENT]
    told = told_by("| field of an agent | may be |")
    assert sorted(told) == sorted(fields)
    assert held(told, lambda name, value: refused_by_check(fields[name].check, value)) == 8
    written = {name: code(told[name].rpartition("; ")[2]) for name in BUILT_IN}
    assert written == {name: f"{value:,}" if isinstance(value, int) else value for name, value in BUILT_IN.items()}


@pytest.mark.parametrize(
    ("heading", "field", "words"),
    [
        ("| field of an agent | may be |", "role", Role),
        ("| field of an agent | may be |", "thinkingEffort", Effort),
        ("| field of a step | in | may be |", "thinkingEffort", Effort),
        ("| field of a persona | default | may be |", "thinkingEffort", Effort),
        ("| field of a persona | default | may be |", "cliId", Tool),
    ],
)
def test_the_words_that_a_field_takes_are_all_there(heading: str, field: str, words: Any) -> None:
    told = re.findall(r"`([a-z-]+)`", told_by(heading)[field].partition(";")[0])
    assert told == [str(word) for word in words]


def test_what_is_answered_where_a_workflow_stands_is_what_the_scenarios_hold_it_to() -> None:
    heading = "| asked | a workflow | in the trash | removed for good |"
    written = {
        name: tuple(int(cell[:3]) for cell in cells)
        for asked, *cells in rows(heading)
        for name in re.findall(r"`([a-z-]+)`", asked)
    }
    assert STATES[:3] == ("live", "deleted", "purged")
    assert written == {name: row[:3] for name, row in TABLE.items() if name != "bulk-delete"}


def test_the_figures_of_the_analytics_are_all_there() -> None:
    told = {part for name in told_by("| figure | is |") for part in re.findall(r"[\w.]+", name)}
    shown = AnalyticsShown.model_json_schema(mode="serialization")
    kpis = {f"kpis.{name}" for name in shown["$defs"]["KpisShown"]["properties"]}
    assert told == {*kpis, *shown["properties"]} - {"kpis"}


def shape(value: Any) -> Any:
    """Return the names in a value, at every depth; entries of a list have the same."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house_with_agents(table, monkeypatch)


def test_the_work_that_is_shown_has_the_form_of_what_agents_are_given(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.services.files.current", lambda: house.outside)
    about: dict[str, Any] = {"name": "a.png", "content_type": "image/png", "created_by": "ada", "created_at": T0}
    files.put(StoredFile(id="f", project_id="p", size=3, status=FileStatus.READY, used_at=T0, **about))
    payload: Json = {"prompt": "p", "githubRepoUrl": "https://g/r", "branchName": "b", "referenceImageIds": ["f"]}
    run_id = waiting(house, a_loop(), payload=payload)
    said(house, run_id, "planner_1", "short")
    said(house, run_id, "loop_1.0.designer_2", "draft")
    said(house, run_id, "loop_1.0.checker_3", "no date", "fail", "Say when.")
    given = json.loads(order_of(house, run_id, "loop_1.1.designer_2").work)

    [shown] = map(json.loads, blocks(AGENTS, "json"))

    assert shape(given) == shape(shown)
    named = {part for cell in told_by("| field of the work | holds |") for part in re.findall(r"\w+", cell)}
    assert named == set(given)
    for name in ("step", "role", "attempt", "iteration", "maxIterations", "outputs", "feedback"):
        assert without_words(given[name]) == without_words(shown[name]), name


def without_words(value: Any) -> Any:
    """Return outputs without what was made, which is each test's own."""
    return [{**one, "output": None} for one in value] if isinstance(value, list) else value


def test_the_codes_of_failures_are_ones_that_there_are() -> None:
    sources = [*(ROOT / "chalicelib").rglob("*.py"), ROOT / "examples" / "agents" / "runner.py"]
    known = {word for path in sources for word in re.findall(r'"([a-z_]+)"', path.read_text())}
    told = {name for cell, *_ in rows("| code | when | tried again |") for name in re.findall(r"`([a-z_]+)`", cell)}
    assert told <= known
    assert {word for word in known if word.startswith(("agent_", "agents_"))} - NO_CODES <= told


def test_the_parameters_and_variables_of_agents_are_those_that_there_are() -> None:
    declared = template.load()["Parameters"]
    wanted = {name for name in declared if name.startswith("Agent") or name == "PublicUrl"}
    assert set(told_by("| parameter of the template | is |")) == wanted
    source = (ROOT / "chalicelib" / "gateways" / "agents_ecs.py").read_text()
    given = set(re.findall(r'"(STEPWELL_\w+)":', source))
    assert set(told_by("| variable of the container | is |")) == given


def test_the_program_that_is_shown_is_an_agent(stack: LocalStack, project: Project, tmp_path: Path) -> None:
    scene = Scene.of(stack, project)
    [program] = blocks(AGENTS, "python")
    script = tmp_path / "agent.py"
    script.write_text(program)
    with pytest.MonkeyPatch.context() as patient:
        patient.setenv("STEPWELL_AGENT_PI", shlex.join([sys.executable, str(script)]))
        forget_clients()
        steps: list[Json] = [{"type": role, "cliId": "pi"} for role in ("designer", "checker")]
        workflow_id = a_pipeline(scene, pipelineSteps=steps)["id"]
        started = scene.client.post("/api/v1/runs/start", {"workflowId": workflow_id, "prompt": "a poster"})
        assert started.status == 201, started.text
        run = ended(scene, started.json["data"]["runId"])
    forget_clients()
    assert run["status"] == "completed", run
    designer, checker = (step["attempts"][0] for step in run["steps"])
    assert designer["output"] == {"prompt": "a poster", "mended": []}
    assert (checker["verdict"], checker["feedback"]) == ("pass", "fine")
    assert [(one["inputTokens"], one["outputTokens"], one["costUsd"]) for one in run["usage"]] == [(4, 2, 0.0002)]


def ended(scene: Scene, run_id: str) -> Any:
    """Return a run once it has ended."""
    deadline = time.monotonic() + 30
    while True:
        run = scene.client.get(f"/api/v1/runs/get?id={run_id}").json["data"]
        if run["finishedAt"] is not None:
            scene.settle()
            return run
        assert time.monotonic() < deadline, run
        scene.stack.functions.wait_for_change(0.05)


@needs_curl
def test_the_curl_commands_work_as_they_are_printed(stack: LocalStack, project: Project) -> None:
    workflow, run, file = (one["data"] for one in pasted("\n".join(blocks(API, "sh")), stack, project))
    assert workflow["version"] == 1
    assert (run["status"], run["displayId"]) == ("completed", "#1")
    assert [step["attempts"][0]["verdict"] for step in run["steps"]] == [None, "pass"]
    assert run["steps"][0]["attempts"][0]["output"]["title"] == "Summer Sale"
    assert (file["status"], file["fileName"]) == ("ready", "dot.png")
