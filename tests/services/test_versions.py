from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.refusal import Conflict, InvalidDefinition, NotFound
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Workflow, WorkflowKind, WorkflowVersion
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.services import contents, deployments, revisions, versions, workflows
from chalicelib.services.contents import values_of
from chalicelib.services.revisions import Changes
from chalicelib.store import versions as store
from chalicelib.store.errors import Superseded
from tests.services.library import ALICE, NOW, PROJECT, a_graph, a_project, a_workflow, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table", "payloads")]


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    versions.reset()


def saved(workflow: Workflow, value: Json = 1, *, minutes: float = 0) -> versions.Saved:
    return versions.save(PROJECT, workflow.id, ir=a_graph(value), actor=ALICE, now=later(minutes))


def deploy(workflow: Workflow) -> None:
    a_project()
    deployments.deploy(PROJECT, workflow.id, connection_id="conn_default", version_id=None, actor=ALICE, now=NOW)


def graph_of(version: WorkflowVersion) -> object:
    return contents.content_of(version, values_of(PROJECT)).ir


def test_the_first_save_is_version_one() -> None:
    workflow = a_workflow()
    first = saved(workflow)
    assert (first.new, first.version.number, first.version.created_by) == (True, 1, "alice")
    assert workflows.load(PROJECT, workflow.id).current_version == 1


def test_a_version_that_is_not_deployed_is_overwritten_in_place() -> None:
    workflow = a_workflow()
    first, second = saved(workflow, 1), saved(workflow, 2, minutes=1)
    assert (second.new, second.version.id, second.version.number) == (False, first.version.id, 1)
    stored = store.load(workflow.id, 1)
    assert stored is not None
    assert graph_of(stored) == a_graph(2)
    assert (stored.created_at, stored.updated_at) == (NOW, later(1))


def test_a_deployed_version_never_changes() -> None:
    workflow = a_workflow()
    first = saved(workflow, 1)
    deploy(workflow)
    second = saved(workflow, 2)
    assert (second.new, second.version.number) == (True, 2)
    stored = store.load(workflow.id, 1)
    assert stored is not None
    assert (stored.id, stored.deployed, graph_of(stored)) == (first.version.id, True, a_graph(1))


def test_a_version_deployed_while_it_is_saved_over_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = a_workflow()
    saved(workflow, 1)
    overwrite = store.overwrite

    def raced(version: WorkflowVersion, *, workflow: Workflow) -> None:
        deploy(workflow)
        overwrite(version, workflow=workflow)

    monkeypatch.setattr(store, "overwrite", raced)
    second = saved(workflow, 2)
    assert (second.new, second.version.number) == (True, 2)


def test_a_bad_graph_is_refused_and_nothing_is_saved() -> None:
    workflow = a_workflow()
    with pytest.raises(InvalidDefinition, match="Invalid IR"):
        versions.save(PROJECT, workflow.id, ir={"nodes": []}, actor=ALICE, now=NOW)
    assert workflows.load(PROJECT, workflow.id).current_version == 0


@pytest.mark.parametrize("ir", [None, [], "x", 1, {}, {"nodes": 1, "edges": None}])
def test_what_is_no_graph_is_refused(ir: Json) -> None:
    with pytest.raises(InvalidDefinition):
        versions.save(PROJECT, a_workflow().id, ir=ir, actor=ALICE, now=NOW)


def test_a_large_graph_lies_outside_the_record_and_is_read_as_if_it_did_not(payloads: FakePayloadStore) -> None:
    version = saved(a_workflow(), "x" * 100_000).version
    assert len(payloads.texts) == 1
    assert graph_of(version) == a_graph("x" * 100_000)


def test_a_revert_is_one_more_version_with_the_earlier_graph() -> None:
    workflow = a_workflow()
    first = saved(workflow, 1).version
    deploy(workflow)
    saved(workflow, 2)
    reverted = versions.revert(PROJECT, workflow.id, first.id, actor=ALICE, now=later(1))
    assert (reverted.number, reverted.restored_from, reverted.deployed) == (3, first.id, False)
    assert graph_of(reverted) == a_graph(1)


@pytest.mark.parametrize("version_id", ["wfv_none", "a#b", ""])
def test_an_unknown_version_is_not_found(version_id: str) -> None:
    with pytest.raises(NotFound, match="Version not found"):
        versions.revert(PROJECT, a_workflow().id, version_id, actor=ALICE, now=NOW)


def test_another_workflows_version_is_not_found() -> None:
    other = saved(a_workflow()).version
    with pytest.raises(NotFound):
        versions.revert(PROJECT, a_workflow().id, other.id, actor=ALICE, now=NOW)


def test_versions_are_listed_newest_first_over_pages() -> None:
    workflow = a_workflow()
    first = saved(workflow).version
    for minute in range(3):
        versions.revert(PROJECT, workflow.id, first.id, actor=ALICE, now=later(minute))
    page = versions.page(PROJECT, workflow.id, cursor=None, limit=3)
    rest = versions.page(PROJECT, workflow.id, cursor=page.cursor, limit=3)
    assert [one.number for one in (*page.items, *rest.items)] == [4, 3, 2, 1]
    assert rest.cursor is None


def test_saving_for_ever_behind_others_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(version: WorkflowVersion, *, workflow: Workflow) -> None:
        raise Superseded("changed")

    monkeypatch.setattr(store, "create", always)
    with pytest.raises(Conflict):
        saved(a_workflow())


def test_a_deployed_definition_is_compiled_once_and_then_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = a_workflow()
    version = saved(workflow).version
    deploy(workflow)
    first = versions.definition(workflow.id, 1, version.id, values_of(PROJECT))

    def unread(workflow_id: str, number: int) -> None:
        pytest.fail("it is kept")

    monkeypatch.setattr(store, "load", unread)
    assert versions.definition(workflow.id, 1, version.id, values_of(PROJECT)) is first


def test_a_definition_that_may_still_change_is_not_kept() -> None:
    workflow = a_workflow()
    version = saved(workflow, 1).version
    before = versions.definition(workflow.id, 1, version.id, values_of(PROJECT))
    saved(workflow, 2)
    after = versions.definition(workflow.id, 1, version.id, values_of(PROJECT))
    assert before.steps["only"].config != after.steps["only"].config


def test_a_version_of_another_number_is_not_found() -> None:
    workflow = a_workflow()
    version = saved(workflow).version
    with pytest.raises(NotFound):
        versions.definition(workflow.id, 2, version.id, values_of(PROJECT))
    with pytest.raises(NotFound):
        versions.definition(workflow.id, 1, "wfv_other", values_of(PROJECT))


def test_only_so_many_definitions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_MOST_KEPT", 1)
    for _ in range(3):
        workflow = a_workflow()
        version = saved(workflow).version
        deploy(workflow)
        versions.definition(workflow.id, 1, version.id, values_of(PROJECT))
    assert len(versions._kept) == 1


def test_a_version_keeps_the_trigger_code_it_was_saved_under() -> None:
    workflow = a_workflow(kind=WorkflowKind.SCRIPT, trigger_code="{{ steps.only.output }}")
    version = saved(workflow).version
    revisions.change(PROJECT, workflow.id, changes=Changes(trigger_code=None), actor=ALICE, now=later(1))
    stored = store.load(workflow.id, 1)
    assert stored is not None
    assert contents.content_of(stored, values_of(PROJECT)).trigger_code == "{{ steps.only.output }}"
    assert replace(stored, updated_at=version.updated_at) == version
