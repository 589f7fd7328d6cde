from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.refusal import Conflict, Invalid, InvalidDefinition, NotFound
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Deployment, Workflow, WorkflowSettings, WorkflowVersion
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.services import deployments, identifiers, publishing, versions, workflows
from chalicelib.services.publishing import Changes, Draft, Published
from chalicelib.store import deployments as deployment_store
from chalicelib.store import versions as version_store
from chalicelib.store import workflows as store
from tests.services.library import ALICE, NOW, PROJECT, a_project, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table", "payloads")]

NIGHTLY = WorkflowSettings(cron="0 3 * * *", cron_timezone="Europe/Berlin")
#: Three in the morning in Berlin, the night after NOW.
NIGHT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def a_list(*refs: str, payload: Json = 1) -> list[Json]:
    return [{"step_ref": ref, "step_type": "transform", "payload": payload} for ref in refs or ("only",)]


def create(
    slug: str = "orders",
    *,
    steps: Sequence[Json] | None = None,
    settings: WorkflowSettings | None = None,
    workflow_id: str | None = None,
) -> Published:
    draft = Draft(
        name="Orders", slug=slug, description="", steps=steps or a_list(), settings=settings or WorkflowSettings()
    )
    return publishing.create(PROJECT, workflow_id or identifiers.workflow_id(), draft=draft, actor=ALICE, now=NOW)


def change(published: Published, changes: Changes, *, minutes: float = 1) -> Published:
    return publishing.change(PROJECT, published.workflow.id, changes=changes, actor=ALICE, now=later(minutes))


def deployed(published: Published) -> Deployment:
    found = deployment_store.load(published.workflow.id, "conn_default")
    assert found is not None
    return found


def clone(origin: Published, *, new_id: str | None = None, slug: str | None = None) -> Workflow:
    new_id = new_id or identifiers.workflow_id()
    return publishing.clone(PROJECT, origin.workflow.id, new_id, name=None, slug=slug, actor=ALICE, now=NOW).workflow


def test_a_workflow_is_loaded_as_it_was_created() -> None:
    created = create(settings=WorkflowSettings(timeout=timedelta(seconds=5), tags={"a": "b"}))
    assert publishing.load(PROJECT, created.workflow.id) == created


def test_what_is_saved_is_deployed_with_its_settings_and_never_changes() -> None:
    created = create(settings=WorkflowSettings(max_parallel_steps=3))
    first = deployed(created)
    assert created.version is not None
    assert (first.version_id, first.version, first.settings.max_parallel_steps) == (created.version.id, 1, 3)
    changed = change(created, Changes(settings=lambda before: replace(before, max_parallel_steps=4)))
    assert (deployed(changed).version, deployed(changed).settings.max_parallel_steps) == (2, 4)
    assert version_store.load(created.workflow.id, 1) == created.version
    assert created.version.deployed


def test_a_workflow_that_is_created_again_under_its_id_is_the_same() -> None:
    first = create(workflow_id="wf_again")
    changed = change(first, Changes(name="Renamed"))
    assert create(workflow_id="wf_again") == changed
    assert changed.workflow.current_version == 2


def test_a_slug_that_is_taken_is_a_conflict_and_nothing_is_written() -> None:
    holder = create("mine").workflow
    with pytest.raises(Conflict, match=f"is taken by workflow {holder.id}"):
        create("mine", workflow_id="wf_late")
    assert store.load("wf_late") is None
    other = create("other")
    with pytest.raises(Conflict, match="is taken"):
        change(other, Changes(slug="mine"))
    assert publishing.load(PROJECT, other.workflow.id) == other


def test_a_slug_is_free_again_once_it_is_changed_or_its_workflow_deleted() -> None:
    first = create("mine")
    change(first, Changes(slug="other"))
    second = create("mine")
    workflows.delete(PROJECT, second.workflow.id, now=NOW)
    assert create("mine").workflow.slug == "mine"
    assert publishing.of_slug(PROJECT, "other") is not None


def test_bad_steps_are_refused_and_nothing_is_written() -> None:
    created = create()
    for bad in ([], [1], [{"step_ref": "a", "depends_on": ["a"]}]):
        with pytest.raises(InvalidDefinition):
            change(created, Changes(steps=bad))
    assert publishing.load(PROJECT, created.workflow.id) == created
    with pytest.raises(InvalidDefinition):
        create("bad", steps=[1])
    assert publishing.of_slug(PROJECT, "bad") is None


def test_a_change_that_another_came_before_is_judged_on_what_that_left(monkeypatch: pytest.MonkeyPatch) -> None:
    created = create()
    publish, calls = store.publish, []

    def raced(
        workflow: Workflow,
        version: WorkflowVersion,
        deployment: Deployment,
        *,
        before: Workflow,
        replaces: Deployment | None,
    ) -> None:
        calls.append(workflow)
        if len(calls) == 1:
            change(created, Changes(steps=a_list("theirs")))
        publish(workflow, version, deployment, before=before, replaces=replaces)

    monkeypatch.setattr(store, "publish", raced)
    mine = change(created, Changes(name="mine"), minutes=2)
    assert (mine.workflow.name, mine.workflow.current_version) == ("mine", 3)
    assert mine.content is not None
    assert mine.content.steps == a_list("theirs")
    assert deployed(mine).version == 3


def test_a_deployment_that_is_made_meanwhile_is_replaced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    a_project()
    created = create()
    load, calls = deployment_store.load, []

    def raced(workflow_id: str, connection_id: str) -> Deployment | None:
        found = load(workflow_id, connection_id)
        calls.append(found)
        if len(calls) == 1:
            deployments.deploy(PROJECT, workflow_id, connection_id=connection_id, version_id=None, actor=ALICE, now=NOW)
        return found

    monkeypatch.setattr(deployment_store, "load", raced)
    changed = change(created, Changes(name="n"))
    assert (deployed(changed).version, changed.workflow.current_version) == (2, 2)


def test_a_workflow_taken_down_is_deployed_again_by_the_next_change() -> None:
    a_project()
    created = create()
    deployments.take_down(PROJECT, created.workflow.id, connection_id="conn_default")
    assert deployed(change(created, Changes(name="n"))).version == 2


def test_a_schedule_is_due_at_its_next_time() -> None:
    assert create(settings=NIGHTLY).workflow.due_at == NIGHT
    assert create("off", settings=replace(NIGHTLY, enabled=False)).workflow.due_at is None
    assert create("none").workflow.due_at is None


def test_a_schedule_that_is_due_stays_due_while_it_is_not_changed_itself() -> None:
    created = create(settings=NIGHTLY)
    two_days = 2 * 24 * 60
    renamed = change(created, Changes(name="n"), minutes=two_days)
    assert renamed.workflow.due_at == NIGHT
    moved = change(renamed, Changes(settings=lambda before: replace(before, cron="0 4 * * *")), minutes=two_days)
    assert moved.workflow.due_at == NIGHT + timedelta(days=2, hours=1)


def test_a_schedule_ends_with_its_cron_or_its_workflow_and_begins_again() -> None:
    created = create(settings=NIGHTLY)
    off = change(created, Changes(settings=lambda before: replace(before, enabled=False)))
    assert off.workflow.due_at is None
    on = change(created, Changes(settings=lambda before: replace(before, enabled=True)))
    assert on.workflow.due_at == NIGHT
    assert change(created, Changes(settings=lambda _: WorkflowSettings())).workflow.due_at is None
    change(created, Changes(settings=lambda _: NIGHTLY))
    workflows.delete(PROJECT, created.workflow.id, now=NOW)
    assert workflows.load_even_deleted(PROJECT, created.workflow.id).due_at is None
    assert store.due(NIGHT + timedelta(days=1), 5) == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (WorkflowSettings(cron="* * *"), "cron"),
        (WorkflowSettings(cron="0 0 31 2 *"), "cron"),
        (WorkflowSettings(cron="0 0 * * *", cron_timezone="Mars"), "cron_timezone"),
        (WorkflowSettings(cron_timezone="Mars"), "cron_timezone"),
        (WorkflowSettings(cron="nonsense", enabled=False), "cron"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(settings: WorkflowSettings, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        create(settings=settings)
    assert refused.value.field == field
    assert publishing.of_slug(PROJECT, "orders") is None


def test_a_copy_holds_what_its_origin_holds_under_a_name_and_slug_of_its_own() -> None:
    origin = create("a" * 255, settings=replace(NIGHTLY, tags={"team": "x"}), steps=a_list("a", "b"))
    copy = publishing.load(PROJECT, clone(origin).id)
    assert (copy.workflow.name, copy.workflow.slug) == ("Orders (copy)", "a" * 250 + "-copy")
    assert (copy.workflow.settings, copy.workflow.due_at) == (origin.workflow.settings, NIGHT)
    assert (copy.content, copy.workflow.current_version) == (origin.content, 1)
    assert deployed(copy).settings == origin.workflow.settings


def test_copies_are_numbered() -> None:
    origin = create("mine")
    assert [clone(origin).slug for _ in range(3)] == ["mine-copy", "mine-copy-2", "mine-copy-3"]
    assert clone(origin, slug="asked").slug == "asked"
    with pytest.raises(Conflict, match="is taken"):
        clone(origin, slug="mine")


def test_a_copy_that_is_made_again_under_its_id_is_the_same() -> None:
    origin = create("mine")
    assert clone(origin, new_id="wf_copy") == clone(origin, new_id="wf_copy")


def test_a_slug_that_is_taken_while_a_copy_is_made_is_numbered_on(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = create("mine")
    make, calls = store.create, []

    def raced(workflow: Workflow, version: WorkflowVersion | None = None, deployment: Deployment | None = None) -> None:
        calls.append(workflow)
        if len(calls) == 1:
            clone(origin)
        make(workflow, version, deployment)

    monkeypatch.setattr(store, "create", raced)
    assert clone(origin).slug == "mine-copy-2"


def test_many_steps_lie_outside_the_record_and_are_read_as_if_they_did_not(payloads: FakePayloadStore) -> None:
    steps = a_list("only", payload="x" * 100_000)
    created = create(steps=steps)
    assert len(payloads.texts) == 1
    assert publishing.load(PROJECT, created.workflow.id).content == created.content


def test_another_projects_workflow_is_not_found() -> None:
    theirs = create().workflow.id
    with pytest.raises(NotFound):
        publishing.load("proj_2", theirs)
    with pytest.raises(NotFound):
        publishing.change("proj_2", theirs, changes=Changes(name="mine"), actor=ALICE, now=NOW)


def test_a_version_is_named_by_its_id_or_its_number() -> None:
    created = create()
    assert created.version is not None
    workflow = created.workflow
    assert versions.named(workflow, created.version.id) == versions.named(workflow, "1") == created.version
    for unknown in ("0", "2", "01", "999999", "1000000", "wfv_none", "-1", ""):
        with pytest.raises(NotFound, match="Version not found"):
            versions.named(workflow, unknown)
