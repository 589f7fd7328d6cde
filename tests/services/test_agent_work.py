"""What an agent is told: the document, who it is, and what comes before what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.definition import StepSpec
from chalicelib.domain.persona import Persona, Role, Tool
from chalicelib.domain.run import RunStatus
from chalicelib.domain.upload import FileStatus, StoredFile
from chalicelib.domain.value import Json
from chalicelib.gateways.errors import CallFailed
from chalicelib.services.agent_setup import BUILT_IN, setup_of
from chalicelib.services.executors.call import StepCall
from chalicelib.store import files, personas
from tests.conftest import Table
from tests.domain.building import FACTS, T0, World, a_definition
from tests.services.agent_runs import (
    a_house_with_agents,
    a_loop,
    a_pipeline,
    an_agent,
    order_of,
    said,
)
from tests.services.house import House, a_line
from tests.services.waiting import waiting
from tests.store.builders import a_run

ADA = Persona(
    id="per_1",
    project_id="p",
    name="Ada",
    description="",
    type=Role.REVIEWER,
    cli_id=Tool.CODEX,
    model="gpt",
    thinking_effort="low",
    instructions="Be kind.",
    created_at=T0,
    updated_at=T0,
)


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house_with_agents(table, monkeypatch)


def work_of(house: House, run_id: str, key: str) -> Any:
    return json.loads(order_of(house, run_id, key).work)


def a_call(payload: Json = None, **config: Json) -> StepCall:
    """Return an attempt at an agent's step, its fields rendered."""
    spec = StepSpec(ref="agent", name="agent", type=an_agent().type, config=config)
    facts = replace(FACTS, payload=payload)
    world = World(a_definition([spec]), facts=facts)
    [claim] = world.advance().claims
    return StepCall(
        run=a_run(),
        spec=spec,
        claim=claim,
        config=config,
        scope=world.progress.scope("agent"),
        now=T0,
        timeout=timedelta(seconds=60),
        outside=None,  # type: ignore[arg-type] # nothing outside is asked
    )


def test_a_document_tells_all_that_there_is_to_tell(house: House) -> None:
    payload: Json = {"prompt": "A poster", "githubRepoUrl": "https://git.example/r", "branchName": "b", "config": {}}
    definition = a_pipeline(
        {"type": "designer", "instructions": "Use {{ braces }}.", "cpuCount": 2},
        defaultConfig={"cliId": "pi", "model": "m", "thinkingEffort": "high", "memoryMb": 4096, "timeoutMs": 60_000},
    )
    run_id = waiting(house, definition, payload=payload)
    assert work_of(house, run_id, "designer_1") == {
        "version": 1,
        "runId": run_id,
        "runNumber": 1,
        "workflowId": "wf",
        "step": "designer_1",
        "role": "designer",
        "attempt": 1,
        "iteration": 1,
        "maxIterations": 1,
        "prompt": "A poster",
        "instructions": "Use {{ braces }}.",
        "repository": {"url": "https://git.example/r", "branchName": "b"},
        "agent": {"cliId": "pi", "model": "m", "thinkingEffort": "high"},
        "limits": {"timeoutMs": 60_000, "memoryMb": 4096, "cpuCount": 2, "maxReportBytes": 1_048_576},
        "images": [],
        "outputs": [],
        "feedback": [],
    }


def test_in_a_loop_an_agent_sees_what_was_made_and_said_the_time_before(house: House) -> None:
    run_id = waiting(house, a_loop(), payload={"prompt": "p"})
    said(house, run_id, "planner_1", {"plan": 1})
    assert work_of(house, run_id, "loop_1.0.designer_2")["outputs"] == [
        {
            "step": "planner_1",
            "role": "planner",
            "iteration": 1,
            "output": {"plan": 1},
            "verdict": None,
            "feedback": None,
        }
    ]
    for at in (0, 1):
        said(house, run_id, f"loop_1.{at}.designer_2", f"draft {at}")
        checks = work_of(house, run_id, f"loop_1.{at}.checker_3")
        assert (checks["iteration"], checks["maxIterations"]) == (at + 1, 3)
        seen = [(one["step"], one["iteration"], one["output"]) for one in checks["outputs"]]
        own = [("checker_3", 1, "looked")] if at else []
        assert seen == [("planner_1", 1, {"plan": 1}), ("designer_2", at + 1, f"draft {at}"), *own]
        said(house, run_id, f"loop_1.{at}.checker_3", "looked", "fail", f"bolder {at}")
    third = work_of(house, run_id, "loop_1.2.designer_2")
    assert third["iteration"] == 3
    assert third["feedback"] == [{"step": "checker_3", "iteration": 2, "verdict": "fail", "feedback": "bolder 1"}]
    assert [(one["step"], one["iteration"]) for one in third["outputs"]] == [
        ("planner_1", 1),
        ("designer_2", 2),
        ("checker_3", 2),
    ]
    said(house, run_id, "loop_1.2.designer_2", "draft 2")
    said(house, run_id, "loop_1.2.checker_3", "looked", "pass")
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_a_loop_ends_with_the_first_pass_and_what_comes_after_sees_its_last_time_round(house: House) -> None:
    loop: Mapping[str, Json] = {"loopId": "polish"}
    definition = a_pipeline({"type": "designer", **loop}, {"type": "checker", **loop}, {"type": "judge"})
    run_id = waiting(house, definition, payload={"prompt": "p"})
    said(house, run_id, "loop_1.0.designer_1", "x" * 50_000)
    said(house, run_id, "loop_1.0.checker_2", None, "pass", "well done")
    judged = work_of(house, run_id, "judge_3")
    assert [(one["step"], one["iteration"], one["verdict"]) for one in judged["outputs"]] == [
        ("designer_1", 1, None),
        ("checker_2", 1, "pass"),
    ]
    assert judged["outputs"][0]["output"] == "x" * 50_000
    assert judged["feedback"] == []
    said(house, run_id, "judge_3", "good")
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_an_agent_is_given_its_images_each_with_a_url(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.services.files.current", lambda: house.outside)
    image = StoredFile(
        id="file_1",
        project_id="p",
        name="a.png",
        content_type="image/png",
        size=3,
        status=FileStatus.READY,
        created_by="ada",
        created_at=T0,
        used_at=T0,
    )
    files.put(image)
    ids: Json = ["file_1"]
    run_id = waiting(house, a_line(an_agent(images="{{ payload.ids }}")), payload={"ids": ids})
    [shown] = work_of(house, run_id, "agent")["images"]
    url = shown.pop("url")
    assert url.startswith("http")
    assert shown == {"storageId": "file_1", "fileName": "a.png", "contentType": "image/png", "size": 3}
    failed = waiting(house, a_line(an_agent(images=["file_1", "file_2"])))
    error = house.records(failed)["agent"].error
    assert error is not None
    assert (error.code, "file_2" in error.message) == ("image_unavailable", True)


def test_a_persona_that_cannot_work_fails_the_step_unless_the_run_was_started_with_it(house: House) -> None:
    personas.put(replace(ADA, id="gone", deleted_at=T0))
    personas.put(replace(ADA, id="off", is_enabled=False))
    personas.put(replace(ADA, id="theirs", project_id="else"))
    for id_, why in {"gone": "is deleted", "off": "is disabled", "theirs": "is not there"}.items():
        definition = a_line(an_agent(cliId=None, personaId=id_))
        run_id = waiting(house, definition)
        error = house.records(run_id)["agent"].error
        assert error is not None
        assert (error.code, error.message) == ("persona_unavailable", f"the persona {id_} {why}")
        started = waiting(house, definition, payload={"personas": {id_: ADA.snapshot()}})
        assert work_of(house, started, "agent")["role"] == "reviewer"


def test_a_persona_that_the_run_does_not_carry_is_looked_up(house: House) -> None:
    personas.put(ADA)
    run_id = waiting(house, a_line(an_agent(cliId=None, personaId="per_1", instructions="Be brief.")))
    work = work_of(house, run_id, "agent")
    assert work["agent"] == {"cliId": "codex", "model": "gpt", "thinkingEffort": "low"}
    assert (work["role"], work["instructions"]) == ("reviewer", "Be kind.\n\nBe brief.")


#: A value for each field, told apart by who says it.
SAID: Mapping[str, tuple[Json, Json, Json, Json]] = {
    "cliId": ("claude", "codex", "opencode", "pi"),
    "model": ("own", "persona's", "run's", "default"),
    "thinkingEffort": ("low", "medium", "high", "max"),
    "templateId": ("own", None, "runs", "default"),
    "timeoutMs": (1000, None, 3000, 4000),
    "memoryMb": (1024, None, 3072, 4096),
    "cpuCount": (1, None, 3, 4),
}


SAYING = ("step", "persona", "run", "defaults", "built in")


# Nothing built in names a tool: that is refused.
@pytest.mark.parametrize(
    ("name", "by"), [(name, by) for name in SAID for by in SAYING if (name, by) != ("cliId", "built in")]
)
def test_of_two_that_name_a_thing_the_nearer_one_counts(name: str, by: str) -> None:
    first = SAYING.index(by)
    values = [value if at >= first else None for at, value in enumerate(SAID[name])]
    persona = {**ADA.snapshot(), "cliId": values[1] if name == "cliId" else "codex", "model": None}
    persona |= {"thinkingEffort": None, **({name: values[1]} if name in persona else {})}
    config: dict[str, Json] = {"runConfig": {name: values[2]}, "defaults": {"cliId": "pi", name: values[3]}}
    if name != "cliId" or values[1] is not None:
        config["personaId"] = "per_1"
    setup = setup_of(a_call({"personas": {"per_1": persona}}, **{**config, name: values[0]}))
    found: Mapping[str, object] = {
        "cliId": setup.cli_id.value,
        "model": setup.model,
        "thinkingEffort": setup.thinking_effort,
        "templateId": setup.template_id,
        "timeoutMs": setup.timeout / timedelta(milliseconds=1),
        "memoryMb": setup.memory_mb,
        "cpuCount": setup.cpu_count,
    }
    expected = next((value for value in values if value is not None), BUILT_IN.get(name))
    assert found[name] == expected


def test_instructions_are_the_roles_the_personas_and_the_steps() -> None:
    roles: Json = {"reviewer": "Of the role.", "checker": "Of another."}
    call = a_call(
        {"personas": {"per_1": ADA.snapshot()}},
        personaId="per_1",
        roleInstructions=roles,
        instructions=" Of the step.\n",
    )
    assert setup_of(call).instructions == "Of the role.\n\nBe kind.\n\nOf the step."


@pytest.mark.parametrize(
    "snapshot", [{"type": "king", "cliId": "pi"}, {"type": "judge"}, {"type": "judge", "cliId": 1}]
)
def test_a_persona_in_a_payload_that_is_none_is_refused_by_its_place(snapshot: Json) -> None:
    with pytest.raises(ValueError, match=r"^personas\.per_1\.(type|cliId): "):
        setup_of(a_call({"personas": {"per_1": snapshot}}, personaId="per_1"))


def test_a_persona_that_nobody_has_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.services.personas.load_many", lambda *_: {})
    with pytest.raises(CallFailed, match="the persona per_2 is not there"):
        setup_of(a_call({"personas": []}, personaId="per_2"))
