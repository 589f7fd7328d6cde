"""What docs/ says of the workflow-runs API is what there is, and its examples do what they print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from pydantic import ValidationError

from chalicelib.api.dialects import WORKFLOW_RUNS_API as DIALECT
from chalicelib.api.workflow_runs_api.workflows import CreateWorkflow
from chalicelib.domain import condition, graph_fields, repair
from chalicelib.domain.definition import OnFailure, ResourceClass, StepType
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.repair import LEAVES, REOPENING, StepVerb
from chalicelib.domain.run import TARGETS, RunCommand, RunStatus
from chalicelib.domain.step import StepStatus, Wait, WaitKind
from chalicelib.domain.step_fields import CALLS, FIELDS, TYPES, read_fields
from chalicelib.domain.step_list import MOST_STEPS
from chalicelib.domain.timeline import Entry
from chalicelib.domain.value import Json
from infra.local import LocalStack
from tests.conftest import Project
from tests.domain.building import a_step, a_world, failed
from tests.domain.test_repair import DIAMOND, a_run
from tests.domain.test_starting import after
from tests.readme import GUIDES, blocks, code, needs_curl, pasted, rows

SECTION = GUIDES["repair"] + GUIDES["workflow-runs-api"]
WORKFLOW_FIELDS = "| field | default | may be |"
STEP_FIELDS = "| field | of | default | may be |"
#: What a range that a table tells may be of.
RANGE = re.compile(r"^(\d[\d,]*) to (\d[\d,]*)( characters| keys)?")
WORKFLOW: dict[str, Any] = {"project_id": "p", "name": "n", "slug": "s", "steps": [{"step_ref": "a"}]}


def ends(said: str) -> tuple[tuple[int, int], str] | None:
    """Return the range that a cell begins with, and what of; None if it tells none."""
    found = RANGE.match(said)
    return ((as_number(found[1]), as_number(found[2])), (found[3] or "").strip()) if found else None


def as_number(text: str) -> int:
    return int(text.replace(",", ""))


def of_size(size: int, unit: str) -> Json:
    """Return a value as large as that: text, a list, or the number itself."""
    sized: dict[str, Json] = {"characters": "x" * size, "keys": ["k"] * size, "": size}
    return sized[unit]


def refused_by_a_workflow(field: str, value: Json) -> bool:
    try:
        CreateWorkflow.model_validate({**WORKFLOW, field: value})
    except ValidationError:
        return True
    return False


def refused_by_a_step(step_type: str, field: str, value: Json) -> bool:
    place = Place()
    read_fields({"step_ref": "a", "step_type": step_type, field: value}, place)
    return any(detail.path == field for detail in place.details)


def counts_as_nothing(step_type: str, field: str, value: Json) -> bool:
    """Whether a value says as little as if the field were not there."""
    step: dict[str, Json] = {"step_ref": "a", "step_type": step_type}
    return not value and read_fields({**step, field: value}, Place()) == read_fields(step, Place())


def default_of(cell: str) -> Json:
    return json.loads(code(cell)) if cell else None


def test_the_fields_of_a_workflow_are_there_with_their_defaults() -> None:
    written = {code(name): default for name, default, _ in rows(WORKFLOW_FIELDS)}
    assert set(written) == set(CreateWorkflow.model_fields)
    for name, field in CreateWorkflow.model_fields.items():
        if field.is_required():
            assert written[name] == "required", name
        else:
            assert default_of(written[name]) == field.get_default(call_default_factory=True), name


def test_the_ranges_of_a_workflow_are_those_that_it_is_checked_against() -> None:
    told = {code(name): ends(said) for name, _, said in rows(WORKFLOW_FIELDS)}
    assert told.pop("steps") == ((1, MOST_STEPS), "")
    ranges = {name: found for name, found in told.items() if found is not None}
    assert len(ranges) == 6
    for name, ((least, most), unit) in ranges.items():
        assert not refused_by_a_workflow(name, of_size(least, unit)), name
        assert not refused_by_a_workflow(name, of_size(most, unit)), name
        assert refused_by_a_workflow(name, of_size(most + 1, unit)), name
        assert least == 0 or refused_by_a_workflow(name, of_size(least - 1, unit)), name


def test_the_fields_of_a_step_are_there_with_their_types_and_defaults() -> None:
    written = {
        code(name): (of, "required" if default == "required" else default_of(default))
        for name, of, default, _ in rows(STEP_FIELDS)
    }
    known = {
        name: (
            ", ".join(f"`{one}`" for one in field.of) or "all",
            "required" if field.required else list(field.default) if field.default == () else field.default,
        )
        for name, field in FIELDS.items()
    }
    assert written == known


def test_the_ranges_of_a_step_are_those_that_it_is_checked_against() -> None:
    told = [(code(name), FIELDS[code(name)].of or TYPES, ends(said)) for name, _, _, said in rows(STEP_FIELDS)]
    ranges = [(name, of[0], found) for name, of, found in told if found is not None]
    assert len(ranges) == 15
    for name, step_type, ((least, most), unit) in ranges:
        assert not refused_by_a_step(step_type, name, of_size(least, unit)), name
        assert not refused_by_a_step(step_type, name, of_size(most, unit)), name
        assert refused_by_a_step(step_type, name, of_size(most + 1, unit)), name
        less = of_size(least - 1, unit)
        assert refused_by_a_step(step_type, name, less) or counts_as_nothing(step_type, name, less), name


def test_what_an_invocation_sits_through_may_take_as_long_as_is_said() -> None:
    [said] = [said for name, _, _, said in rows(STEP_FIELDS) if code(name) == "timeout_secs_override"]
    most = int(re.findall(r"`http_request` and `lambda` (\d+) at most", said)[0])
    for step_type in CALLS:
        assert not refused_by_a_step(step_type, "timeout_secs_override", most)
        assert refused_by_a_step(step_type, "timeout_secs_override", most + 1)


def test_the_words_that_a_field_takes_are_all_there() -> None:
    said = {code(name): set(re.findall(r"`([a-z_]+)`", said)) for name, _, _, said in rows(STEP_FIELDS)}
    assert said["on_failure"] == set(OnFailure)
    assert said["resource_class"] == set(ResourceClass)
    [bounds] = [said for name, _, _, said in rows(STEP_FIELDS) if code(name) == "resource_class"]
    assert [int(most) for most in re.findall(r"\d+", bounds)] == [one.most for one in ResourceClass]


def after_a_failure(policy: OnFailure) -> list[str]:
    """Return what the table says of a policy, as the engine has it."""
    world = a_world(after(a_step("bad", on_failure=policy), *map(a_step, ("next", "other")), next=("bad",)))
    world.end("bad", failed(retryable=False))
    at_once, goes_on = world.finish is not None, "next" in world.running
    if not at_once:
        world.complete(*(("next",) if goes_on else ()), "other")
    ended = {
        (True, RunStatus.FAILED): ["is canceled", "are canceled", "fails at once"],
        (False, RunStatus.FAILED): ["is skipped, to the last", "go on", "fails once they have ended"],
        (False, RunStatus.COMPLETED): ["goes on", "go on", "may complete"],
    }
    assert world.finish is not None
    assert goes_on or at_once or world.progress.status_of("next") is StepStatus.SKIPPED
    return ended[at_once, world.finish.status]


def test_a_failure_does_what_is_said_under_each_policy() -> None:
    policies = rows("| `on_failure` | what depends on it | the other steps | the run |")
    assert {code(policy): told for policy, *told in policies} == {one: after_a_failure(one) for one in OnFailure}


def test_the_types_of_steps_are_there_with_what_their_payload_takes() -> None:
    table = rows("| `step_type` | `payload` | output |")
    written = {code(name): re.findall(r"`(\w+\??)`", payload) for name, payload, _ in table}
    assert list(written) == list(TYPES)
    for step_type in CALLS:
        fields = graph_fields.FIELDS[step_type].items()
        assert written[step_type] == [name if field.required else f"{name}?" for name, field in fields]


def test_the_conditions_are_there_with_their_fields_and_hold_where_they_are_said_to() -> None:
    table = list(rows("| type | fields | such as | holds |"))
    assert {code(name): tuple(re.findall(r"`(\w+)`", fields)) for name, fields, _, _ in table} == condition.FIELDS
    payload = json.loads(SECTION.partition("With the payload `")[2].partition("`")[0])
    for name, _, example, held in table:
        place = Place()
        read = condition.read(json.loads(code(example)), place)
        assert read is not None, place.details
        assert code(name) == read.type
        assert condition.holds(read, {"payload": payload}, lambda _: StepStatus.FAILED) == json.loads(code(held)), name


def run_cell(verb: str, status: RunStatus) -> str:
    """Return what the table says of a verb on a run in a status."""
    if verb == "retry":
        return "a new run" if repair.can_be_made_again(a_run(a_world(DIAMOND), status=status)) else "400"
    command = RunCommand(verb)
    if WORKFLOW_RUNS_API.is_done(command, status):
        return "the same"
    refused = WORKFLOW_RUNS_API.refusal(command, status)
    return TARGETS[command] if refused is None else str(DIALECT.problem(refused, request_id="r").status)


def test_the_verbs_of_a_run_do_in_each_status_what_is_said() -> None:
    heading = "| verb | " + " | ".join(f"`{status}`" for status in RunStatus) + " |"
    written = {code(verb): cells for verb, *cells in rows(heading)}
    assert written == {
        verb: [run_cell(verb, status) for status in RunStatus] for verb in ("pause", "resume", "cancel", "retry")
    }


def step_cell(verb: StepVerb, status: StepStatus) -> str:
    """Return what the table says of a verb on a step in a status; one that waits does so for approval."""
    world = a_world(DIAMOND)
    wait = Wait(kind=WaitKind.APPROVAL) if status is StepStatus.WAITING else None
    entry = Entry(key="left", name="left", type=StepType.APPROVAL, status=status, wait=wait)
    refused = repair.refusal(a_run(world), world.progress, entry, verb)
    if refused is not None:
        return str(DIALECT.problem(refused, request_id="r").status)
    return StepStatus.PENDING if verb in REOPENING else LEAVES[verb]


def test_the_verbs_of_a_step_do_in_each_status_what_is_said() -> None:
    heading = "| verb | " + " | ".join(f"`{status}`" for status in StepStatus) + " |"
    written = {code(verb): cells for verb, *cells in rows(heading)}
    assert written == {verb: [step_cell(verb, status) for status in StepStatus] for verb in StepVerb}


def without_chance(text: str) -> list[str]:
    """Return the lines of a text without what differs from run to run: ids and times."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_python_prints_what_is_printed(stack: LocalStack, project: Project) -> None:
    parts = "\nprint('=====')\n".join(blocks(SECTION, "python"))
    done = subprocess.run(
        [sys.executable, "-c", parts],
        env={"URL": stack.url, "KEY": project.key},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    nothing, *printed = done.stdout.split("=====\n")
    assert nothing == ""
    assert [without_chance(one) for one in printed] == [without_chance(one) for one in blocks(SECTION, "text")]


@needs_curl
def test_the_curl_commands_of_the_section_work_as_they_are_printed(stack: LocalStack, project: Project) -> None:
    why, decided, steps = pasted("\n".join(blocks(SECTION, "sh")), stack, project)
    assert why["available_actions"] == ["pause", "cancel"]
    assert decided["approval"]["status"] == "approved"
    assert steps[-1]["output"] == {"text": "420 go to Ada", "by": "development"}
