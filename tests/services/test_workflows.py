from __future__ import annotations

import pytest

from chalicelib.domain.refusal import Conflict, Invalid, InvalidDefinition, NotFound
from chalicelib.domain.workflow import Workflow, WorkflowKind
from chalicelib.services import deployments, revisions, versions, workflows
from chalicelib.services.revisions import Changes
from chalicelib.store import workflows as store
from chalicelib.store.errors import Superseded
from tests.services.library import ALICE, NOW, PROJECT, a_graph, a_project, a_workflow, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table", "payloads")]


def test_a_workflow_is_loaded_as_it_was_created() -> None:
    created = a_workflow()
    assert workflows.load(PROJECT, created.id) == created
    assert created.current_version == 0


@pytest.mark.parametrize("workflow_id", ["wf_none", "", "a#b", "a/b", "x" * 500])
def test_an_unknown_workflow_is_not_found(workflow_id: str) -> None:
    with pytest.raises(NotFound, match="Workflow not found"):
        workflows.load(PROJECT, workflow_id)


def test_another_projects_workflow_is_not_found() -> None:
    theirs = a_workflow("proj_2").id
    with pytest.raises(NotFound):
        workflows.load(PROJECT, theirs)
    with pytest.raises(NotFound):
        revisions.change(PROJECT, theirs, changes=Changes(name="mine"), actor=ALICE, now=NOW)
    with pytest.raises(NotFound):
        workflows.delete(PROJECT, theirs, now=NOW)


def test_only_what_is_named_changes() -> None:
    created = a_workflow()
    changed = revisions.change(PROJECT, created.id, changes=Changes(description="of people"), actor=ALICE, now=later(1))
    assert (changed.name, changed.description, changed.updated_at) == ("orders", "of people", later(1))
    assert workflows.load(PROJECT, created.id) == changed


def test_the_last_changed_workflow_is_listed_first() -> None:
    first, second = a_workflow(name="a"), a_workflow(name="b", at=later(1))
    revisions.change(PROJECT, first.id, changes=Changes(name="c"), actor=ALICE, now=later(2))
    page = workflows.page(PROJECT, cursor=None, limit=1)
    rest = workflows.page(PROJECT, cursor=page.cursor, limit=5)
    assert [one.id for one in (*page.items, *rest.items)] == [first.id, second.id]


def test_trigger_code_is_a_scripts() -> None:
    with pytest.raises(Invalid, match="triggerCode"):
        a_workflow(trigger_code="{{ x }}")
    with pytest.raises(Invalid, match="triggerCode"):
        revisions.change(PROJECT, a_workflow().id, changes=Changes(trigger_code="{{ x }}"), actor=ALICE, now=NOW)


def test_trigger_code_can_be_set_and_taken_away() -> None:
    script = a_workflow(kind=WorkflowKind.SCRIPT)

    def changed(changes: Changes) -> str | None:
        return revisions.change(PROJECT, script.id, changes=changes, actor=ALICE, now=NOW).trigger_code

    assert changed(Changes(trigger_code="{{ a }}")) == "{{ a }}"
    assert changed(Changes(name="n")) == "{{ a }}"
    assert changed(Changes(trigger_code=None)) is None


def test_trigger_code_that_does_not_fit_the_newest_version_is_refused() -> None:
    script = a_workflow(kind=WorkflowKind.SCRIPT)
    versions.save(PROJECT, script.id, ir=a_graph(), actor=ALICE, now=NOW)
    with pytest.raises(InvalidDefinition):
        revisions.change(PROJECT, script.id, changes=Changes(trigger_code="{{ ( }}"), actor=ALICE, now=NOW)
    assert workflows.load(PROJECT, script.id).trigger_code is None


def test_a_deleted_workflow_is_gone_with_its_deployments() -> None:
    a_project()
    workflow = a_workflow(kind=WorkflowKind.SCRIPT)
    versions.save(PROJECT, workflow.id, ir=a_graph(), actor=ALICE, now=NOW)
    deployed = deployments.deploy(
        PROJECT, workflow.id, connection_id="conn_default", version_id=None, actor=ALICE, now=NOW
    )
    workflows.delete(PROJECT, workflow.id, now=later(1))
    with pytest.raises(NotFound):
        workflows.load(PROJECT, workflow.id)
    with pytest.raises(NotFound):
        workflows.delete(PROJECT, workflow.id, now=later(2))
    with pytest.raises(NotFound):
        deployments.by_token(str(deployed.token))
    assert workflows.page(PROJECT, cursor=None, limit=5).items == ()
    assert workflows.load_even_deleted(PROJECT, workflow.id).deleted_at == later(1)


def test_a_change_that_another_came_before_is_judged_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    created = a_workflow()
    update, calls = store.update, []

    def raced(workflow: Workflow) -> None:
        calls.append(workflow)
        if len(calls) == 1:
            revisions.change(PROJECT, created.id, changes=Changes(description="theirs"), actor=ALICE, now=later(1))
        update(workflow)

    monkeypatch.setattr(store, "update", raced)
    changed = revisions.change(PROJECT, created.id, changes=Changes(name="mine"), actor=ALICE, now=later(2))
    assert (changed.name, changed.description) == ("mine", "theirs")


def test_a_change_that_never_gets_through_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(workflow: Workflow) -> None:
        raise Superseded("changed")

    created = a_workflow()
    monkeypatch.setattr(store, "update", always)
    with pytest.raises(Conflict):
        revisions.change(PROJECT, created.id, changes=Changes(name="mine"), actor=ALICE, now=NOW)
