"""README.md is current: what it lists is what there is, and its examples do what it says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from chalicelib.api import bodies, catalog
from chalicelib.api.dialects import TRIGGER_API, WORKFLOW_RUNS_API, WORKFLOWS_API, Dialect
from chalicelib.api.endpoints import Endpoint
from chalicelib.api.trigger_api import runs as trigger_runs
from chalicelib.api.workflow_runs_api import bulk, job_runs, triggers
from chalicelib.api.workflows_api import agent_callbacks, analytics, files, workflow_trash
from chalicelib.api.workflows_api import runs as pipeline_runs
from chalicelib.domain import (
    agent_checks,
    condition,
    containers,
    graph_blocks,
    graph_edges,
    graph_nodes,
    pattern,
    pipeline_fields,
    repair,
    step,
    step_fields,
    step_list,
    template,
    template_text,
    upload,
)
from chalicelib.domain.access import Scope, word_for
from chalicelib.domain.definition import ON_ERROR
from chalicelib.domain.graph_edges import LABELS
from chalicelib.domain.graph_fields import FIELDS
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import ENDED, MOVES, RunStatus
from chalicelib.domain.value import dumps
from chalicelib.gateways import functions, http, http_bodies
from chalicelib.services import agent_work, agents, children, event_keys, heartbeats, once, run_views, schedules, values
from chalicelib.services.executors import agent, sleep
from chalicelib.settings import Settings
from chalicelib.store import statistics
from infra.local import LocalStack
from infra.local.__main__ import READY
from tests.conftest import Project
from tests.readme import GUIDES, ROOT, blocks, code, needs_curl, pasted, rows, section

MIB = 1024 * 1024
SETTINGS = (ROOT / "chalicelib" / "settings.py").read_text()


def properties(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a body's fields may hold, by name."""
    found: dict[str, Any] = model.model_json_schema()["properties"]
    return found


def longest(field: Mapping[str, Any]) -> int:
    """Return how long a text or a list may be; one that may be null has the other among its kinds."""
    bounds = ("maxLength", "maxItems")
    return int(next(kind[name] for kind in (field, *field.get("anyOf", ())) for name in bounds if name in kind))


TAGS = properties(triggers.TriggerWorkflow)["tags"]
#: The numbers of each row of the table of limits, in their order; a row that tells two APIs' has both.
LIMITS: Mapping[str, tuple[float, ...]] = {
    "nodes in a graph; edges": (graph_nodes.MOST_NODES, graph_edges.MOST_EDGES),
    "steps in a list; dependencies, all together": (step_list.MOST_STEPS, step_list.MOST_EDGES),
    "`params` of a trigger; `payload` of one in `/v1`": (trigger_runs.LONGEST_PARAMS, triggers.LONGEST_PAYLOAD / MIB),
    "`payload` of an event by key": (event_keys.LONGEST_PAYLOAD,),
    "tags of a run, its workflow's among them; a name; a value": (
        TAGS["maxProperties"],
        TAGS["propertyNames"]["maxLength"],
        TAGS["additionalProperties"]["maxLength"],
    ),
    "conditions in a step's condition; in one another": (condition.MOST_CONDITIONS, condition.DEEPEST),
    "regular expression; text searched for it": (pattern.LONGEST_PATTERN, condition.MOST_SEARCHED),
    "`/v1`: wait, sleep, job, sub-workflow; `http_request`, `lambda`": (
        step_fields.LONGEST_WAIT / step_fields.DAY,
        step_fields.LONGEST_CALL,
    ),
    "earlier attempts kept of a step": (step.MOST_ATTEMPTS,),
    "retries and replays of steps in one run": (repair.MOST_RESETS,),
    "runs in a bulk verb": (longest(properties(bulk.ManyRuns)["workflow_run_ids"]),),
    "`Idempotency-Key`": (255, once.REMEMBERED.total_seconds() / 3600),
    "event key; `reason`; a job's `error`": (
        512,
        longest(properties(bulk.ManyRuns)["reason"]),
        longest(properties(job_runs.FailJob)["error"]),
    ),
    "steps that `graph`, `timeline`, `explain` show of a run": (run_views.MOST_SHOWN,),
    "steps in a pipeline; iterations of its loops": (pipeline_fields.MOST_STEPS, pipeline_fields.MOST_ITERATIONS),
    "prompt of a run; instructions of an agent": (pipeline_runs.LONGEST_PROMPT, agent_checks.LONGEST_INSTRUCTIONS),
    "an agent's work; its report; what is kept of what it prints": (
        agent_work.LARGEST / MIB,
        values.LARGEST_OUTPUT_BYTES / MIB,
        agents.LONGEST_TAIL,
    ),
    "an agent's work, at most; its silence, at first and then": (
        agent_checks.LONGEST_TIMEOUT / 3_600_000,
        agent.START_GRACE.total_seconds() / 60,
        heartbeats.BEAT.total_seconds() / 60,
    ),
    "issues and learnings in a report": (longest(properties(agent_callbacks.ReportBody)["issues"]),),
    "images of an agent": (agent_checks.MOST_IMAGES,),
    "days of analytics; models told apart": (
        properties(analytics.AnalyticsQuery)["days"]["le"],
        statistics.MOST_MODELS,
    ),
    "workflows in a bulk delete": (longest(properties(workflow_trash.DeleteWorkflows)["workflowIds"]),),
    "schedules that one sweep starts": (schedules.MOST_SCHEDULES,),
    "uploaded file; file name; time to upload it": (
        upload.LARGEST_FILE / MIB,
        longest(properties(files.RequestUpload)["fileName"]),
        upload.UPLOAD_TIME.total_seconds() / 60,
    ),
    "file that no run is started with": (upload.GONE_AFTER.total_seconds() / 3600,),
    "body of a request": (bodies.LONGEST_BODY / MIB,),
    "output of a step": (values.LARGEST_OUTPUT_BYTES / MIB, values.INLINE_BYTES / 1024, 3),
    "answer that `http_request` takes": (http_bodies.LARGEST_RESPONSE / MIB, http.MOST_REDIRECTS),
    "payload of `lambda`": (functions.LARGEST_PAYLOAD / MIB,),
    "iterations of a loop": (containers.MOST_ITERATIONS,),
    "loops, races and `try_catch` in one another": (graph_blocks.DEEPEST_NESTING,),
    "sub-workflows in one another; functions likewise": (children.DEEPEST,),
    "sleep, wait": (sleep.LONGEST_SLEEP.days,),
    "attempts after the first": (graph_nodes.MOST_RETRIES,),
    "one attempt, unless `timeout` says otherwise": (30, 5),
    "expression; text made of templates": (template_text.LONGEST_EXPRESSION, template.LONGEST_TEXT),
}


REFUSALS = "| code | status | in `/v1` | in `/api/v1` | when |"


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """Yield the kinds of refusals that have a code of their own."""
    for inner in kind.__subclasses__():
        if "code" in vars(inner):
            yield inner
        yield from refusals(inner)


def status_of(kind: type[Refusal], dialect: Dialect) -> int:
    return dialect.problem(kind("no"), request_id="r").status


def word_in(dialect: Dialect, scope: Scope) -> str:
    return next((word for word, scopes in dialect.bundles.items() if scope in scopes), "")


def wanted_of(endpoint: Endpoint) -> str:
    """What a key must have for the endpoint, as the table of endpoints says it."""
    if isinstance(endpoint.scope, Scope):
        return word_for(endpoint.scope, endpoint.dialect.bundles)
    return "none" if endpoint.public else "any"


def test_the_make_targets_are_those_that_make_help_lists() -> None:
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = dict(re.findall(r"^make (\S+) +(.*)$", helped, re.MULTILINE))
    assert {code(target).removeprefix("make "): does for target, does in rows("| target | does |")} == targets


def test_the_endpoints_are_those_that_are_served_under_the_scopes_and_statuses_that_they_have() -> None:
    written = {
        (method, code(path)): (code(scope), int(success[:3]))
        for methods, path, scope, success in rows("| method | path | scope | success |")
        for method in re.findall(r"`([A-Z]+)`", methods)
    }
    served = {(one.method, one.path): (wanted_of(one), one.status) for one in catalog.endpoints()}
    assert written == served


def test_the_settings_are_those_that_the_app_reads_with_their_defaults() -> None:
    fields = dict(re.findall(r"#: (STEPWELL_\w+): .*\n    (\w+):", SETTINGS))
    assert set(fields) == set(re.findall(r'"(STEPWELL_\w+)"', SETTINGS))
    defaults = {variable: getattr(Settings(), field) for variable, field in fields.items()}
    written = {code(variable): code(default) for variable, default, _ in rows("| variable | default | is |")}
    assert written == {variable: str(default or "") for variable, default in defaults.items()}


def test_the_refusals_are_all_there_with_their_statuses_and_their_meanings() -> None:
    known = {
        kind.code: (*(status_of(kind, api) for api in (TRIGGER_API, WORKFLOW_RUNS_API, WORKFLOWS_API)), kind.__doc__)
        for kind in refusals()
    }
    written = {
        code(name): (int(status), int(one[:3]), int(other[:3]), when)
        for name, status, one, other, when in rows(REFUSALS)
    }
    assert written == known


@pytest.mark.parametrize(("dialect", "column"), [(WORKFLOW_RUNS_API, 2), (WORKFLOWS_API, 3)])
def test_the_codes_are_those_that_the_api_answers(dialect: Dialect, column: int) -> None:
    written = {code(cells[0]): code(cells[column][4:]) for cells in rows(REFUSALS)}
    for kind in refusals():
        told = json.loads(dumps(dialect.error(dialect.problem(kind("no"), request_id="r"))))
        assert told["error"]["code"] == written[kind.code]


def test_the_limits_are_those_that_the_code_has() -> None:
    written = {
        what: tuple(float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", limit))
        for what, limit in rows("| what | limit |")
    }
    assert written == LIMITS


def test_each_scope_is_there_with_the_word_that_holds_it() -> None:
    known = {
        str(scope): tuple(word_in(api, scope) for api in (TRIGGER_API, WORKFLOW_RUNS_API, WORKFLOWS_API))
        for scope in Scope
    }
    heading = "| scope | word of `/api` | word of `/v1` | word of `/api/v1` |"
    written = {code(scope): tuple(map(code, words)) for scope, *words in rows(heading)}
    assert written == known


def test_each_type_of_step_is_there_with_its_fields_and_which_may_be_left_out() -> None:
    written = {
        code(name): set(re.findall(r"`(\w+\??)`", data))
        for name, data, _, _ in rows("| type | `data` | edges | output |")
    }
    known = {
        str(kind): {name if field.required else f"{name}?" for name, field in fields.items()}
        for kind, fields in FIELDS.items()
    }
    assert written == known


def test_the_labels_of_edges_are_those_of_the_types() -> None:
    written = {code(name): edges for name, _, edges, _ in rows("| type | `data` | edges | output |")}
    for kind, labels in LABELS.items():
        assert set(re.findall(r"`(\w+)`", written[kind])) == labels.keys() - {"", ON_ERROR}
        assert ("arm" in written[kind]) == ("" in labels)


def test_the_statuses_of_a_run_are_those_that_the_api_shows() -> None:
    from chalicelib.api.trigger_api.run_rows import RunStatusShown  # noqa: PLC0415 - a module of routes

    assert [code(status) for status, _ in rows("| status | means |")] == list(RunStatusShown)


def test_the_diagram_of_moves_is_drawn_from_the_table() -> None:
    moves = [f"{before} --> {after}: {command}" for before, to in MOVES.items() for command, after in to.items()]
    ends = [f"{status} --> [*]" for status in RunStatus if status in ENDED]
    drawn = GUIDES["how-a-run-works"].partition("```mermaid\n")[2].partition("```")[0].splitlines()
    assert [line.strip() for line in drawn] == ["stateDiagram-v2", "[*] --> pending", *moves, *ends]


def test_the_examples_of_templates_become_what_is_said() -> None:
    text = GUIDES["trigger-api"].partition("With the payload `")[2].partition("`")[0]
    context = {"payload": json.loads(text)}
    block = GUIDES["trigger-api"].partition("<!-- templates: begin -->")[2].partition("<!-- templates: end -->")[0]
    assert block.count("\n|") > 5
    for written, becomes in rows("| text | becomes |"):
        assert template.render(code(written), context) == json.loads(code(becomes)), written


@needs_curl
def test_the_curl_commands_work_as_they_are_printed(stack: LocalStack, project: Project) -> None:
    _, *commands = blocks(section("## Go on by hand"), "sh")
    *_, last = pasted("\n".join(commands), stack, project)
    assert last["status"] == "complete"
    assert last["output"]["text"] == "Hello, Ada"


@needs_curl
def test_what_make_dev_prints_works_when_it_is_pasted(stack: LocalStack, project: Project) -> None:
    _, _, commands = READY.format(url=stack.url, key=project.key, dynamodb="moto").partition("\n# ")
    *_, runs, why, decided = pasted(f"# {commands}".replace("proj_dev", project.id), stack, project)
    assert len(runs["data"]) == 1
    assert why["summary"] == "The run is under way: step ask waits for approval."
    assert decided["approval"]["status"] == "approved"


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "document", ["README.md", "examples/README.md", "CHANGELOG.md", *(f"docs/{name}.md" for name in GUIDES)]
)
def test_what_a_document_links_to_is_there(document: str) -> None:
    here = ROOT / document
    for link in re.findall(r"\]\(([^)]+)\)", here.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        there = here.parent / path if path else here
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link
