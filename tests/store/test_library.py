"""Workflows, versions and deployments: what changes together, and only as it was judged."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from chalicelib.domain.refusal import Invalid
from chalicelib.domain.value import Offloaded
from chalicelib.domain.workflow import Deployment, Workflow, WorkflowKind, WorkflowVersion
from chalicelib.store import deployments, paging, versions, workflows
from chalicelib.store.errors import Exists, Superseded
from tests.store.builders import NOW, a_deployment, a_version, a_workflow, later
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_projects = itertools.count(1)


def a_stored_workflow(**changes: object) -> Workflow:
    workflow = a_workflow(**changes)
    workflows.put(workflow)
    return workflow


def with_versions(count: int) -> tuple[Workflow, list[WorkflowVersion]]:
    """Store a workflow with versions, and return them, the newest last."""
    workflow, made = a_stored_workflow(), []
    for number in range(1, count + 1):
        workflow = replace(workflow, current_version=number, revision=workflow.revision + 1, updated_at=later(number))
        made.append(a_version(workflow, number))
        versions.create(made[-1], workflow=workflow)
    return workflow, made


def deployed(connection_id: str = "conn_default", digest: str | None = None) -> tuple[Workflow, Deployment]:
    workflow, (version,) = with_versions(1)
    deployment = a_deployment(version, connection_id=connection_id)
    deployments.deploy(deployment, version=version, replaces=None, function_digest=digest)
    return workflow, deployment


def test_a_workflow_comes_back_as_it_went_in() -> None:
    full = a_stored_workflow(
        kind=WorkflowKind.SCRIPT,
        trigger_code="{{ a }}",
        description="All",
        current_version=3,
        revision=9,
        deleted_at=NOW,
    )
    bare = a_stored_workflow()
    assert workflows.load(full.id) == full
    assert workflows.load(bare.id) == bare
    assert workflows.load("a#b") is None
    with pytest.raises(Exists):
        workflows.put(bare)


def test_a_workflow_is_changed_revision_by_revision() -> None:
    before = a_stored_workflow()
    after = replace(before, name="Other", revision=2)
    workflows.update(after)
    assert workflows.load(before.id) == after
    for late in (after, replace(before, revision=5)):
        with pytest.raises(Superseded):
            workflows.update(late)


def test_workflows_are_listed_the_last_changed_first_without_the_trash() -> None:
    project = f"library-{next(_projects)}"
    stored = [a_stored_workflow(project_id=project, updated_at=later(place)) for place in range(5)]
    changed = replace(stored[0], updated_at=later(60), revision=2)
    workflows.update(changed)
    workflows.trash(replace(stored[1], deleted_at=later(70), revision=2), deployed=[])
    first = workflows.page(project, cursor=None, limit=2)
    second = workflows.page(project, cursor=first.cursor, limit=2)
    assert first.items == (changed, stored[4])
    assert (second.items, second.cursor) == ((stored[3], stored[2]), None)


def test_a_workflow_goes_to_the_trash_with_its_deployments() -> None:
    workflow, deployment = deployed(digest="d-trash")
    trashed = replace(workflow, deleted_at=later(70), revision=workflow.revision + 1)
    workflows.trash(trashed, deployed=[(deployment, "d-trash")])
    assert workflows.load(workflow.id) == trashed
    assert deployments.of_workflow(workflow.id) == ()
    assert deployments.load_function("d-trash") is None


def test_a_workflow_with_very_many_deployments_goes_to_the_trash() -> None:
    workflow, (version,) = with_versions(1)
    for place in range(51):
        one = a_deployment(version, connection_id=f"conn_{place}")
        deployments.deploy(one, version=version, replaces=None, function_digest=f"d-{place}")
    found = deployments.of_workflow(workflow.id)
    assert len(found) == 51
    pairs = [(one, f"d-{one.connection_id.removeprefix('conn_')}") for one in found]
    workflows.trash(replace(workflow, deleted_at=later(70), revision=workflow.revision + 1), deployed=pairs)
    assert deployments.of_workflow(workflow.id) == ()
    assert all(deployments.load_function(digest) is None for _, digest in pairs)


def test_a_deployment_that_changed_keeps_its_workflow_from_the_trash() -> None:
    workflow, deployment = deployed()
    trashed = replace(workflow, deleted_at=later(70), revision=workflow.revision + 1)
    with pytest.raises(Superseded):
        workflows.trash(trashed, deployed=[(replace(deployment, id="dep_other"), None)])
    assert workflows.load(workflow.id) == workflow


def test_a_version_is_found_by_number_and_by_id() -> None:
    workflow, made = with_versions(2)
    assert workflows.load(workflow.id) == workflow
    for version in made:
        assert versions.load(workflow.id, version.number) == version
        assert versions.find_by_id(workflow.id, version.id) == version
    assert versions.load(workflow.id, 3) is None
    assert versions.find_by_id(workflow.id, "none") is None
    assert versions.find_by_id("a#b", "none") is None


def test_a_large_source_is_kept_as_its_handle() -> None:
    workflow = a_stored_workflow()
    version = a_version(workflow, source=Offloaded(digest="ab", size=50_000), restored_from="wfv_0")
    versions.create(version, workflow=replace(workflow, current_version=1, revision=2))
    assert versions.load(workflow.id, 1) == version


def test_a_version_of_a_workflow_that_changed_is_not_added() -> None:
    workflow, _ = with_versions(1)
    late = a_version(workflow, 2)
    with pytest.raises(Superseded):
        versions.create(late, workflow=replace(workflow, current_version=2))
    assert versions.load(workflow.id, 2) is None
    assert versions.find_by_id(workflow.id, late.id) is None


def test_versions_are_listed_newest_first() -> None:
    workflow, made = with_versions(12)
    first = versions.page(workflow.id, cursor=None, limit=5)
    second = versions.page(workflow.id, cursor=first.cursor, limit=5)
    third = versions.page(workflow.id, cursor=second.cursor, limit=5)
    assert (*first.items, *second.items, *third.items) == tuple(reversed(made))
    assert third.cursor is None
    for cursor in ("none", paging.encoded("2026-11-22T07:30:00.000000Z#x")):
        with pytest.raises(Invalid):
            versions.page(workflow.id, cursor=cursor, limit=5)


def test_the_newest_version_is_overwritten_in_place_until_it_is_deployed() -> None:
    workflow, (version,) = with_versions(1)
    changed = replace(version, source={"ir": "other"}, updated_at=later(40))
    moved = replace(workflow, revision=workflow.revision + 1)
    versions.overwrite(changed, workflow=moved)
    assert versions.load(workflow.id, 1) == changed
    deployments.deploy(a_deployment(changed), version=changed, replaces=None)
    with pytest.raises(Superseded) as raised:
        versions.overwrite(version, workflow=replace(moved, revision=moved.revision + 1))
    assert raised.value.part == "version"
    assert versions.load(workflow.id, 1) == replace(changed, deployed=True)
    assert workflows.load(workflow.id) == moved


def test_a_version_is_not_overwritten_once_a_newer_one_is_there() -> None:
    workflow, (older, _) = with_versions(2)
    with pytest.raises(Superseded):
        versions.overwrite(older, workflow=replace(workflow, current_version=1))


def test_a_deployment_alone_says_what_is_triggered(calls: Calls) -> None:
    workflow, deployment = deployed()
    calls.sent.clear()
    assert deployments.load(workflow.id, "conn_default") == deployment
    assert calls.operations == ["GetItem"]
    assert calls.sent[0][1]["ConsistentRead"] is True
    assert deployments.load(workflow.id, "conn_other") is None
    assert deployments.load("a#b", "conn_default") is None


def test_a_deployment_replaces_the_one_that_was_seen() -> None:
    workflow, first = deployed()
    version = versions.load(workflow.id, 1)
    assert version is not None
    second, third = a_deployment(version), a_deployment(version)
    deployments.deploy(second, version=version, replaces=first)
    with pytest.raises(Superseded) as raised:
        deployments.deploy(third, version=version, replaces=first)
    assert raised.value.part == "deployment"
    with pytest.raises(Superseded):
        deployments.deploy(third, version=version, replaces=None)
    assert deployments.of_workflow(workflow.id) == (second,)


def test_what_is_deployed_is_what_was_judged() -> None:
    workflow, (version,) = with_versions(1)
    changed = replace(version, source={"ir": "other"}, updated_at=later(40))
    versions.overwrite(changed, workflow=replace(workflow, revision=workflow.revision + 1))
    with pytest.raises(Superseded) as raised:
        deployments.deploy(a_deployment(version), version=version, replaces=None)
    assert raised.value.part == "version"
    assert deployments.of_workflow(workflow.id) == ()


def test_a_workflow_in_the_trash_is_not_deployed() -> None:
    workflow, (version,) = with_versions(1)
    workflows.trash(replace(workflow, deleted_at=later(70), revision=workflow.revision + 1), deployed=[])
    with pytest.raises(Superseded) as raised:
        deployments.deploy(a_deployment(version), version=version, replaces=None)
    assert raised.value.part == "workflow"


def test_a_functions_url_leads_to_its_deployment_until_it_is_taken_down() -> None:
    _, deployment = deployed(digest="d-function")
    assert deployments.load_function("d-function") == deployment
    assert deployments.load_function("none") is None
    deployments.takedown(deployment, function_digest="d-function")
    assert deployments.load_function("d-function") is None
    assert deployments.load(deployment.workflow_id, deployment.connection_id) is None
    with pytest.raises(Superseded):
        deployments.takedown(deployment, function_digest="d-function")


def test_deployments_and_versions_are_not_in_lists_of_runs_or_workflows() -> None:
    workflow, deployment = deployed()
    assert workflow in workflows.page("proj_1", cursor=None, limit=100).items
    assert deployments.of_workflow(workflow.id) == (deployment,)
