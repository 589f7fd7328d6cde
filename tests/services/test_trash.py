"""The trash: what comes back out of it, and what is gone for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.refusal import Conflict, NotFound
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Workflow, WorkflowKind, WorkflowSettings
from chalicelib.services import deployments, identifiers, library, publishing, trash, versions, workflows
from chalicelib.services.publishing import Draft, Published
from chalicelib.store import deployments as deployment_store
from chalicelib.store import purging, runs, table
from chalicelib.store import workflows as store
from chalicelib.store.errors import Unavailable
from tests.conftest import Table
from tests.services.library import ALICE, NOW, PROJECT, a_graph, a_project, a_workflow, later
from tests.services.pipelines import CHECKER, a_library_workflow, history, update
from tests.store.builders import a_run

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table", "payloads")]

#: Three in the morning, the night after NOW.
NIGHT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
NIGHTLY = WorkflowSettings(cron="0 3 * * *")
STEPS: list[Json] = [{"step_ref": "a", "step_type": "transform", "payload": 1}]


def a_v1_workflow(slug: str = "orders") -> Published:
    draft = Draft(name="Orders", slug=slug, description="", steps=STEPS, settings=NIGHTLY)
    return publishing.create(PROJECT, identifiers.workflow_id(), draft=draft, actor=ALICE, now=NOW)


def delete(workflow_id: str) -> Workflow:
    return workflows.delete_or_leave(PROJECT, workflow_id, now=later(1))


def restore(workflow_id: str) -> Workflow:
    return trash.restore(PROJECT, workflow_id, actor=ALICE, now=later(2))


def purge(workflow_id: str) -> None:
    trash.purge(PROJECT, workflow_id, now=later(3))


def deployed_version(workflow_id: str) -> int | None:
    found = deployment_store.load(workflow_id, "conn_default")
    return found.version if found is not None else None


def items_of(workflow_id: str) -> int:
    return sum(1 for _ in table.query(f"WORKFLOW#{workflow_id}"))


def test_what_is_deleted_again_stays_as_it_is() -> None:
    made = a_library_workflow().workflow
    first = delete(made.id)
    again = workflows.delete_or_leave(PROJECT, made.id, now=later(5))
    assert (first, first.deleted_at, deployed_version(made.id)) == (again, later(1), None)


def test_what_comes_back_is_listed_and_deployed_under_its_slug_with_its_schedule_due() -> None:
    made = a_v1_workflow().workflow
    delete(made.id)
    assert publishing.of_slug(PROJECT, "orders") is None
    back = restore(made.id)
    assert (back, publishing.of_slug(PROJECT, "orders")) == (workflows.load(PROJECT, made.id), back)
    assert replace(back, updated_at=NOW, revision=1) == made
    assert (back.due_at, deployed_version(made.id), len(history(made.id))) == (NIGHT, 1, 1)
    assert [one.id for one in store.due(NIGHT, 5)] == [made.id]
    assert restore(made.id) == back


def test_what_comes_back_to_a_taken_slug_is_refused_and_names_who_has_it() -> None:
    made = a_v1_workflow().workflow
    delete(made.id)
    other = a_v1_workflow().workflow
    with pytest.raises(Conflict, match=f'slug "orders" is taken by workflow {other.id}') as refused:
        restore(made.id)
    assert refused.value.field == "slug"
    assert workflows.load_even_deleted(PROJECT, made.id).deleted_at == later(1)


def test_what_was_taken_down_or_never_deployed_is_not_deployed_when_it_comes_back() -> None:
    a_project()
    made = a_library_workflow().workflow
    deployments.take_down(PROJECT, made.id, connection_id="conn_default")
    plain = a_workflow()
    versions.save(PROJECT, plain.id, ir=a_graph(), actor=ALICE, now=NOW)
    for workflow_id in (made.id, plain.id):
        delete(workflow_id)
        restore(workflow_id)
        assert deployed_version(workflow_id) is None


def test_the_version_that_was_deployed_comes_back_though_a_newer_one_was_saved() -> None:
    made = a_library_workflow(personaPipelineSteps=[{"personaId": "per_1"}]).workflow
    versions.save(PROJECT, made.id, ir=a_graph(), actor=ALICE, now=NOW)
    delete(made.id)
    assert restore(made.id).trashed_version is None
    found = deployment_store.load(made.id, "conn_default")
    assert found is not None
    assert (found.version, found.personas) == (1, ("per_1",))


def test_of_a_restore_and_a_purge_at_once_one_is_judged_on_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made, change, calls = delete(a_library_workflow().workflow.id), store.restore, []

    def raced(*parts: object) -> None:
        calls.append(parts)
        purge(made.id)
        change(*parts)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(store, "restore", raced)
    with pytest.raises(NotFound):
        restore(made.id)
    assert (len(calls), items_of(made.id)) == (1, 0)


def test_only_what_is_deleted_and_has_no_run_under_way_is_removed() -> None:
    made = a_library_workflow().workflow
    with pytest.raises(Conflict, match="is not deleted"):
        purge(made.id)
    run = a_run(project_id=PROJECT, workflow_id=made.id)
    runs.put(run)
    delete(made.id)
    with pytest.raises(Conflict, match="runs that have not ended"):
        purge(made.id)
    assert workflows.load_even_deleted(PROJECT, made.id).purged_at is None


def test_what_is_removed_is_gone_for_everybody_and_leaves_nothing() -> None:
    made = update(a_library_workflow(), pipelineSteps=[CHECKER]).workflow
    delete(made.id)
    assert items_of(made.id) == 5
    purge(made.id)
    assert items_of(made.id) == 0
    for act in (delete, restore, purge):
        with pytest.raises(NotFound, match="Workflow not found"):
            act(made.id)
    assert workflows.page_with_trash(PROJECT, cursor=None, limit=5).items == ()


def test_what_is_left_over_is_removed_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trash, "MOST_AT_ONCE", 4)
    made = a_library_workflow()
    for minute in range(3):
        update(made, at=later(minute), name=f"n{minute}")
    workflow_id = made.workflow.id
    delete(workflow_id)
    purge(workflow_id)
    assert items_of(workflow_id) == 1 + 2 * 4 - 4
    for act in (delete, restore, purge):
        with pytest.raises(NotFound):
            act(workflow_id)
    assert workflows.page_with_trash(PROJECT, cursor=None, limit=5).items == ()
    assert [trash.go_on_purging() for _ in range(3)] == [1, 1, 0]
    assert items_of(workflow_id) == 0


def test_a_removal_that_is_cut_off_is_the_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    made = delete(a_library_workflow().workflow.id)

    def lost(_workflow_id: str, _most: int) -> bool:
        raise Unavailable("no answer")

    with monkeypatch.context() as patient:
        patient.setattr(purging, "remove", lost)
        purge(made.id)
    with pytest.raises(NotFound):
        restore(made.id)
    assert trash.go_on_purging() == 1
    assert items_of(made.id) == 0


def test_what_is_not_marked_is_never_removed(table: Table) -> None:
    del table
    made = a_library_workflow().workflow
    assert purging.remove(made.id, 0) is False
    assert workflows.load(PROJECT, made.id) == made


def test_each_of_many_is_told_what_became_of_it_once() -> None:
    first, second = (a_library_workflow().workflow.id for _ in range(2))
    delete(second)
    theirs = a_workflow("proj_2").id
    script = a_workflow(kind=WorkflowKind.SCRIPT).id
    told = trash.delete_many(PROJECT, [first, "no/id", second, theirs, first, script], now=later(9))
    assert [(one.id, one.refused is None) for one in told] == [
        (first, True),
        ("no/id", False),
        (second, True),
        (theirs, False),
        (script, False),
    ]
    assert workflows.load_even_deleted(PROJECT, second).deleted_at == later(1)


def test_the_trash_is_listed_among_the_rest_by_the_time_of_the_last_change() -> None:
    made = [a_library_workflow(at=NOW + timedelta(minutes=minute)).workflow.id for minute in range(4)]
    workflows.delete_or_leave(PROJECT, made[0], now=later(10))
    workflows.delete_or_leave(PROJECT, made[2], now=later(11))
    found, cursor = [], None
    for _ in range(2):
        page = workflows.page_with_trash(PROJECT, cursor=cursor, limit=2)
        found += [one.id for one in page.items]
        cursor = page.cursor
    assert (found, cursor) == ([made[2], made[0], made[3], made[1]], None)
    live = workflows.page_with_runs(PROJECT, cursor=None, limit=5)
    assert [one.id for one in live.items] == [made[3], made[1]]


def test_a_copy_that_is_made_again_after_it_was_removed_is_not_found() -> None:
    made = delete(a_library_workflow().workflow.id)
    store.purge(replace(made, purged_at=later(3), revision=made.revision + 1))
    other = a_library_workflow().workflow.id
    with pytest.raises(NotFound, match="Workflow not found"):
        library.duplicate(PROJECT, other, made.id, name=None, request=library.Request(actor=ALICE, now=NOW))
