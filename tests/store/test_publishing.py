"""Workflows that are published as they are saved: their slugs, versions and deployments change together."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from chalicelib.domain.workflow import Deployment, Workflow, WorkflowSettings, WorkflowVersion
from chalicelib.store import deployments, versions, workflows
from chalicelib.store.errors import Exists, Superseded
from tests.store.builders import CHECK_AT, NOW, a_deployment, a_version, a_workflow, later
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_slugs = itertools.count(1)

SETTINGS = WorkflowSettings(
    timeout=timedelta(seconds=90, microseconds=1),
    max_concurrent_runs=3,
    max_parallel_steps=4,
    cron="0 3 * * *",
    cron_timezone="Europe/Zurich",
    skip_if_running=True,
    enabled=False,
    tags={"team": "orders"},
)


def parts(**changes: object) -> tuple[Workflow, WorkflowVersion, Deployment]:
    """Return a workflow with a slug of its own unless one is named, its first version, and its deployment."""
    workflow = a_workflow(**{"slug": f"slug-{next(_slugs)}", "current_version": 1, **changes})
    version = a_version(workflow, deployed=True)
    return workflow, version, a_deployment(version)


def a_published(**changes: object) -> tuple[Workflow, Deployment]:
    workflow, version, deployment = parts(**changes)
    workflows.create(workflow, version, deployment)
    return workflow, deployment


def moved(workflow: Workflow, **changes: object) -> tuple[Workflow, WorkflowVersion, Deployment]:
    """Return what a change of a workflow publishes."""
    number = workflow.current_version + 1
    after = replace(workflow, current_version=number, revision=workflow.revision + 1, **changes)  # type: ignore[arg-type]
    version = a_version(after, number, deployed=True)
    return after, version, a_deployment(version)


def trashed(workflow: Workflow, *deployed: Deployment) -> Workflow:
    after = replace(workflow, deleted_at=later(70), due_at=None, revision=workflow.revision + 1)
    workflows.trash(after, deployed=[(one, None) for one in deployed])
    return after


def test_a_workflow_with_settings_comes_back_as_it_went_in() -> None:
    assert [field.name for field in fields(SETTINGS) if getattr(SETTINGS, field.name) == field.default] == []
    workflow, version, deployment = parts(settings=SETTINGS, due_at=CHECK_AT)
    deployment = replace(deployment, settings=SETTINGS)
    workflows.create(workflow, version, deployment)
    assert workflows.load(workflow.id) == workflow
    assert deployments.load(workflow.id, "conn_default") == deployment
    assert versions.load(workflow.id, 1) == version
    assert versions.find_by_id(workflow.id, version.id) == version
    assert workflows.find_by_slug("proj_1", str(workflow.slug)) == workflow


def test_a_workflow_is_created_in_one_call_and_without_a_slug_too(calls: Calls) -> None:
    a_published()
    a_published(slug=None)
    workflows.create(a_workflow())
    assert calls.operations == ["TransactWriteItems"] * 3


def test_a_slug_is_taken_once_in_its_project() -> None:
    workflow, _ = a_published()
    other, version, deployment = parts(slug=workflow.slug)
    with pytest.raises(Exists) as raised:
        workflows.create(other, version, deployment)
    assert raised.value.part == "slug"
    assert workflows.load(other.id) is None
    assert versions.load(other.id, 1) is None
    assert deployments.load(other.id, "conn_default") is None
    elsewhere, _ = a_published(slug=workflow.slug, project_id="proj_2")
    assert workflows.find_by_slug("proj_1", str(workflow.slug)) == workflow
    assert workflows.find_by_slug("proj_2", str(workflow.slug)) == elsewhere


def test_a_workflow_that_is_there_is_told_from_a_slug_that_is_taken() -> None:
    workflow, version, deployment = parts()
    workflows.create(workflow, version, deployment)
    with pytest.raises(Exists) as raised:
        workflows.create(workflow, version, deployment)
    assert raised.value.part == "workflow"


def test_a_slug_that_nothing_has_or_can_have_is_none() -> None:
    for slug in ("nothing", "", "a#b", "ö", "x" * 5000, "\ud800"):
        assert workflows.find_by_slug("proj_1", slug) is None
    assert workflows.find_by_slug("a#b", "slug") is None


def test_a_change_is_published_with_its_version_and_its_deployment_in_one_call(calls: Calls) -> None:
    before, first = a_published()
    after, version, second = moved(before, name="Other", settings=SETTINGS)
    calls.sent.clear()
    workflows.publish(after, version, second, before=before, replaces=first)
    assert calls.operations == ["TransactWriteItems"]
    assert workflows.load(before.id) == after
    assert versions.load(before.id, 2) == version
    assert deployments.load(before.id, "conn_default") == second
    assert workflows.find_by_slug("proj_1", str(before.slug)) == after


def test_a_slug_moves_and_the_old_one_is_free() -> None:
    before, first = a_published()
    after, version, second = moved(before, slug=f"{before.slug}-new")
    workflows.publish(after, version, second, before=before, replaces=first)
    assert workflows.find_by_slug("proj_1", str(after.slug)) == after
    assert workflows.find_by_slug("proj_1", str(before.slug)) is None
    heir, _ = a_published(slug=before.slug)
    assert workflows.find_by_slug("proj_1", str(before.slug)) == heir
    none, version, third = moved(after, slug=None)
    workflows.publish(none, version, third, before=after, replaces=second)
    assert workflows.find_by_slug("proj_1", str(after.slug)) is None
    again, version, fourth = moved(none, slug=after.slug)
    workflows.publish(again, version, fourth, before=none, replaces=third)
    assert workflows.find_by_slug("proj_1", str(after.slug)) == again


def test_a_change_to_a_slug_that_is_taken_changes_nothing() -> None:
    holder, _ = a_published()
    before, first = a_published()
    after, version, second = moved(before, slug=holder.slug)
    with pytest.raises(Exists) as raised:
        workflows.publish(after, version, second, before=before, replaces=first)
    assert raised.value.part == "slug"
    assert workflows.load(before.id) == before
    assert versions.load(before.id, 2) is None
    assert deployments.load(before.id, "conn_default") == first
    assert workflows.find_by_slug("proj_1", str(before.slug)) == before


@pytest.mark.parametrize("late", ["workflow", "deployment"])
def test_a_change_judged_on_another_state_changes_nothing(late: str) -> None:
    before, first = a_published()
    after, version, second = moved(before)
    if late == "workflow":
        workflows.update(replace(before, revision=before.revision + 1))
    else:
        deployments.takedown(first)
    with pytest.raises(Superseded) as raised:
        workflows.publish(after, version, second, before=before, replaces=first)
    assert raised.value.part == late
    assert versions.load(before.id, 2) is None


def test_a_workflow_that_is_deployed_nowhere_is_published_there_for_the_first_time() -> None:
    before, first = a_published()
    deployments.takedown(first)
    after, version, second = moved(before)
    workflows.publish(after, version, second, before=before, replaces=None)
    assert deployments.of_workflow(before.id) == (second,)


def test_the_trash_frees_the_slug_and_ends_the_schedule() -> None:
    workflow, deployment = a_published(settings=SETTINGS, due_at=CHECK_AT)
    trashed(workflow, deployment)
    assert workflows.find_by_slug("proj_1", str(workflow.slug)) is None
    assert workflow.id not in {one.id for one in workflows.due(later(9999), 100)}
    found = workflows.load(workflow.id)
    assert found is not None
    assert (found.slug, found.due_at, found.settings) == (workflow.slug, None, SETTINGS)
    heir, _ = a_published(slug=workflow.slug)
    assert workflows.find_by_slug("proj_1", str(workflow.slug)) == heir


def test_a_workflow_in_the_trash_is_never_due_whatever_it_says() -> None:
    workflow, _ = a_published(due_at=CHECK_AT)
    after = replace(workflow, deleted_at=later(70), revision=workflow.revision + 1)
    workflows.trash(after, deployed=[])
    found = workflows.load(workflow.id)
    assert found is not None
    assert found.due_at is None
    with pytest.raises(Superseded):
        workflows.set_due(found, CHECK_AT)


def test_with_very_many_deployments_a_slug_is_freed_too() -> None:
    workflow, version, deployment = parts()
    workflows.create(workflow, version, deployment)
    more = [a_deployment(version, connection_id=f"conn_{place}") for place in range(50)]
    for place, one in enumerate(more):
        deployments.deploy(one, version=version, replaces=None, function_digest=f"slug-digest-{place}")
    after = replace(workflow, deleted_at=NOW, revision=2)
    deployed = [(deployment, None), *((one, f"slug-digest-{place}") for place, one in enumerate(more))]
    workflows.trash(after, deployed=deployed)
    assert deployments.of_workflow(workflow.id) == ()
    assert workflows.find_by_slug("proj_1", str(workflow.slug)) is None
