"""The workflows API's start: what it refuses before there is a run, what the run is given, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from botocore.awsrequest import AWSPreparedRequest

from chalicelib.domain.access import Actor
from chalicelib.domain.idempotency import Once
from chalicelib.domain.persona import Persona, Role, Tool
from chalicelib.domain.refusal import BadRequest, Conflict, IdempotencyMismatch, Invalid, NotFound, TooMany
from chalicelib.domain.upload import FileStatus, StoredFile
from chalicelib.domain.value import Json, Offloaded
from chalicelib.domain.workflow import Workflow, WorkflowKind, WorkflowSettings
from chalicelib.services import outside, pipeline_runs, pipeline_starts, runs
from chalicelib.services.pipeline_starts import Wanted
from chalicelib.services.starts import Triggered
from chalicelib.store import counters, deployments, files, personas, table, transactions, workflows
from chalicelib.store.counters import LastRun
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import House, a_deployment, a_house, a_line
from tests.store.builders import NOW

pytestmark = pytest.mark.store

ADA = Actor(key_id="k1", name="ada")
KEY = Once(scope=pipeline_starts.START, key="k", request_digest="d")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = a_house(table, monkeypatch)
    with outside.replaced(house.outside):
        yield house


def deployed(**changes: object) -> None:
    """Have the workflow ``wf`` deployed."""
    transactions.make(deployments.placing(a_deployment(**changes), None))  # type: ignore[arg-type] # a test names what matters


def a_persona(house: House, persona_id: str, **changes: object) -> Persona:
    now = house.clock.now()
    persona = Persona(
        id=persona_id,
        project_id="p",
        name="Ada",
        description="",
        type=Role.DESIGNER,
        cli_id=Tool.CLAUDE,
        instructions="Be brief.",
        created_at=now,
        updated_at=now,
    )
    changed = replace(persona, **changes)  # type: ignore[arg-type] # the same
    personas.put(changed)
    return changed


def an_image(house: House, file_id: str) -> str:
    """Have an image that a run was started with before."""
    now = house.clock.now()
    files.put(
        StoredFile(
            id=file_id,
            project_id="p",
            name="a.png",
            content_type="image/png",
            size=1,
            status=FileStatus.READY,
            created_by="ada",
            created_at=now,
            used_at=now,
        )
    )
    return file_id


def start(house: House, prompt: str = "draw", *, once: Once | None = None, **wanted: object) -> Triggered:
    return pipeline_starts.start(
        "p",
        "wf",
        Wanted(prompt=prompt, **wanted),  # type: ignore[arg-type] # the same
        actor=ADA,
        once=once,
        now=house.clock.now(),
        outside=house.outside,
    )


def payload_of(triggered: Triggered) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", runs.payload_of(triggered.run))


@contextmanager
def asked(house: House) -> Iterator[list[str]]:
    """Note what is asked of AWS meanwhile."""
    sent: list[str] = []

    def note(request: AWSPreparedRequest, **_: object) -> None:
        target = request.headers["X-Amz-Target"]
        sent.append((target if isinstance(target, str) else target.decode()).rpartition(".")[2])

    events = table.connection().connection.client.meta.events
    events.register("before-send.dynamodb", note)
    before = len(house.invoker.queue)
    try:
        yield sent
    finally:
        events.unregister("before-send.dynamodb", note)
        sent += ["Invoke"] * (len(house.invoker.queue) - before)


@pytest.mark.parametrize("once", [None, KEY], ids=["without a key", "with a key"])
def test_a_start_with_personas_and_images_takes_five_calls(house: House, once: Once | None) -> None:
    deployed(personas=("per_1", "per_2"))
    for persona in ("per_1", "per_2"):
        a_persona(house, persona, instructions="x" * 5000)
    images = [an_image(house, "f1"), an_image(house, "f2")]
    with asked(house) as sent:
        start(house, once=once, reference_image_ids=images)
    assert sent == ["BatchGetItem", "BatchGetItem", "UpdateItem", "TransactWriteItems", "Invoke"]


@pytest.mark.parametrize(("once", "put"), [(None, "PutItem"), (KEY, "TransactWriteItems")])
def test_a_start_with_a_prompt_alone_takes_four_calls(house: House, once: Once | None, put: str) -> None:
    deployed()
    with asked(house) as sent:
        start(house, once=once)
    assert sent == ["BatchGetItem", "UpdateItem", put, "Invoke"]


def test_a_run_is_given_what_was_said_and_its_personas_as_they_are_now(house: House) -> None:
    deployed(personas=("per_1",))
    persona = a_persona(house, "per_1", model="m", thinking_effort="high")
    started = start(
        house,
        github_repo_url="https://example.com/a",
        branch_name="main",
        config={"cliId": "pi"},
        reference_image_ids=[an_image(house, "f1")],
    )
    personas.update(replace(persona, instructions="Be long.", revision=2))
    assert payload_of(started) == {
        "prompt": "draw",
        "githubRepoUrl": "https://example.com/a",
        "branchName": "main",
        "config": {"cliId": "pi"},
        "referenceImageIds": ["f1"],
        "personas": {
            "per_1": {
                "name": "Ada",
                "type": "designer",
                "cliId": "claude",
                "model": "m",
                "thinkingEffort": "high",
                "instructions": "Be brief.",
            }
        },
    }
    run = house.run(started.run.id)
    assert (run.number, run.triggered_by, run.created_by_key_id) == (1, "api", "k1")
    assert payload_of(start(house)).keys() == {"prompt", "personas"}


#: What becomes of the persona, and what is said of it.
UNFIT: dict[str, tuple[dict[str, object] | None, str]] = {
    "unknown": (None, "per_1, and there is none of that id"),
    "another project's": ({"project_id": "other"}, "per_1, and there is none of that id"),
    "disabled": ({"is_enabled": False}, '"Ada" (per_1), which is disabled'),
    "deleted": ({"deleted_at": NOW}, '"Ada" (per_1), which is deleted'),
    "disabled and deleted": ({"is_enabled": False, "deleted_at": NOW}, '"Ada" (per_1), which is deleted'),
}


@pytest.mark.parametrize("state", UNFIT)
def test_a_persona_that_cannot_work_is_named_before_there_is_a_run(house: House, state: str) -> None:
    changes, said = UNFIT[state]
    if changes is not None:
        a_persona(house, "per_1", **changes)
    a_persona(house, "per_2")
    deployed(personas=("per_2", "per_1"))
    with asked(house) as sent, pytest.raises(Conflict) as refused:
        start(house, once=KEY)
    assert said in refused.value.message
    assert [detail.message for detail in refused.value.details] == [refused.value.message]
    assert sent == ["BatchGetItem", "BatchGetItem"]


def test_an_image_that_is_none_is_named_before_there_is_a_run(house: House) -> None:
    deployed()
    with asked(house) as sent, pytest.raises(Invalid, match="f2 is no file of this project"):
        start(house, reference_image_ids=[an_image(house, "f1"), "f2"])
    assert {"UpdateItem", "TransactWriteItems"}.isdisjoint(sent)


def a_workflow(house: House, **changes: object) -> None:
    """Have the workflow ``wf``, of which nothing is deployed."""
    now = house.clock.now()
    workflow = Workflow(
        id="wf", project_id="p", name="w", description="", kind=WorkflowKind.WORKFLOW, created_at=now, updated_at=now
    )
    workflows.put(replace(workflow, **changes))  # type: ignore[arg-type] # the same


def test_what_cannot_be_started_says_why(house: House) -> None:
    for bad in ("nowhere", "a#b", "wf"):
        with pytest.raises(NotFound):
            pipeline_starts.start("p", bad, Wanted(prompt="p"), actor=ADA, once=None, now=house.clock.now())
    a_workflow(house)
    with pytest.raises(Conflict, match="no version of the workflow is deployed on conn_default"):
        start(house)
    workflows.update(replace(_stored(), deleted_at=house.clock.now(), revision=2))
    with pytest.raises(Conflict, match="the workflow is deleted"):
        start(house)


def _stored() -> Workflow:
    workflow = workflows.load("wf")
    assert workflow is not None
    return workflow


def test_a_function_has_no_runs_deployed_or_not(house: House) -> None:
    a_workflow(house, kind=WorkflowKind.SCRIPT)
    with pytest.raises(BadRequest, match="call its own URL"):
        start(house)
    deployed(kind=WorkflowKind.SCRIPT)
    with pytest.raises(BadRequest, match="call its own URL"):
        start(house)


def test_a_workflow_that_is_disabled_or_another_projects_starts_nothing(house: House) -> None:
    deployed(settings=WorkflowSettings(enabled=False))
    with pytest.raises(Conflict, match="the workflow is disabled"):
        start(house)
    with pytest.raises(NotFound):
        pipeline_starts.start("other", "wf", Wanted(prompt="p"), actor=ADA, once=None, now=house.clock.now())


def test_the_same_start_again_is_its_first_run_even_where_it_could_not_be_started_now(house: House) -> None:
    deployed(personas=("per_1",))
    persona = a_persona(house, "per_1")
    first = start(house, once=KEY)
    personas.update(replace(persona, is_enabled=False, revision=2))
    again = start(house, once=KEY)
    assert (again.replayed, again.run.id, again.run.number) == (True, first.run.id, 1)
    with pytest.raises(IdempotencyMismatch):
        start(house, once=replace(KEY, request_digest="other"))
    house.clock.at += timedelta(hours=25)
    personas.update(replace(persona, revision=3))
    later = start(house, once=KEY)
    assert (later.replayed, later.run.number) == (False, 2)


def test_a_key_of_the_trigger_api_is_another(house: House) -> None:
    deployed()
    runs.trigger(
        "p",
        "wf",
        connection_id="conn_default",
        payload=None,
        actor=ADA,
        once=replace(KEY, scope="trigger"),
        now=house.clock.now(),
        outside=house.outside,
    )
    assert not start(house, once=KEY).replayed


def test_two_starts_at_once_with_one_key_are_one_run(house: House) -> None:
    deployed()
    with ThreadPoolExecutor(4) as pool:
        came = list(pool.map(lambda _: start(house, once=KEY), range(4)))
    assert len({one.run.id for one in came}) == 1
    assert sorted(one.replayed for one in came) == [False, True, True, True]
    assert len({one.run.number for one in came}) == 1
    newest = counters.last_runs(["wf"])["wf"]
    assert newest == LastRun(run_id=came[0].run.id, at=house.clock.now())


def test_runs_started_at_once_have_dense_numbers(house: House) -> None:
    deployed()
    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(lambda place: start(house, f"prompt {place}"), range(20)))
    assert sorted(one.run.number or 0 for one in came) == list(range(1, 21))


def test_a_start_that_finds_no_place_is_told_and_takes_no_number(house: House) -> None:
    deployed(settings=WorkflowSettings(max_concurrent_runs=1))
    first = start(house, once=KEY)
    with pytest.raises(TooMany, match="workflow has 1 active runs"):
        start(house)
    assert start(house, once=KEY).run.id == first.run.id
    assert counters.next_number("wf", run_id="r", at=house.clock.now()) == 2


def test_the_prompt_of_a_large_payload_is_listed_without_reading_it(house: House) -> None:
    deployed()
    a_workflow(house)
    prompt = "ä" * 40_000
    started = start(house, prompt, branch_name="main")
    short = start(house, "short")
    assert isinstance(started.run.payload, Offloaded)
    with asked(house) as sent:
        listed = pipeline_runs.page("p", "wf", cursor=None, limit=50).items
    assert {run.id: run.payload for run in listed} == {
        started.run.id: {"prompt": prompt[:2001], "branchName": "main"},
        short.run.id: {"prompt": "short"},
    }
    assert sent.count("BatchGetItem") == 2
    house.definitions[started.run.id] = a_line(a_step("a"))
    assert pipeline_runs.load("p", started.run.id, now=house.clock.now()).payload == payload_of(started)
    house.invoker.drive(started.run.id)
    assert house.settle(started.run.id).number == 1


def test_an_excerpt_is_json_that_tells_when_there_is_more() -> None:
    assert json.loads(Wanted(prompt="x" * 3000).excerpt()) == {"prompt": "x" * 2001, "branchName": None}
