"""The workflow library: what a change leaves, what it says of itself, and that two at once do not undo each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.domain.refusal import Conflict, Invalid, InvalidDefinition, NotFound
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Deployment, Outline, WorkflowKind
from chalicelib.services import deployments, identifiers, library, publishing, revisions, versions, workflows
from chalicelib.services.library import Changes, Request
from chalicelib.services.publishing import Draft, Published
from chalicelib.store import deployments as deployment_store
from chalicelib.store import workflows as store
from chalicelib.store.errors import Busy
from tests.services.library import ALICE, NOW, PROJECT, a_graph, a_project, a_workflow, later
from tests.services.pipelines import CHECKER, a_designer, a_library_workflow, asked, history, summaries, update

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table", "payloads")]

STEPS: list[Json] = [{"step_ref": ref, "step_type": "transform", "payload": 1} for ref in "ab"]


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    yield
    versions.reset()


def deployed(published: Published) -> Deployment:
    found = deployment_store.load(published.workflow.id, "conn_default")
    assert found is not None
    return found


def a_v1_workflow() -> Published:
    draft = Draft(name="Orders", slug="orders", description="", steps=STEPS)
    return publishing.create(PROJECT, identifiers.workflow_id(), draft=draft, actor=ALICE, now=NOW)


def test_a_new_workflow_is_its_first_version_and_deployed() -> None:
    made = a_library_workflow(a_designer(), CHECKER, a_designer(name="again"))
    assert publishing.load(PROJECT, made.workflow.id) == made
    assert made.workflow.outline == Outline(step_count=3, tools=("claude", "codex"))
    [first] = history(made.workflow.id)
    assert (first.number, first.name, first.summary, first.created_by) == (1, "Posters", "Created", "alice")
    assert (deployed(made).version_id, made.workflow.slug) == (first.id, None)


def test_a_workflow_is_not_created_without_steps() -> None:
    without: list[dict[str, Json]] = [{}, {"pipelineSteps": []}, {"workflowGraph": a_graph()}]
    for pipeline in without:
        with pytest.raises(Invalid) as refused:
            library.create(PROJECT, "wf_1", name="n", description="", pipeline=pipeline, request=asked())
        assert refused.value.field == "pipelineSteps"


def test_what_does_not_compile_is_refused_with_all_that_is_wrong_and_changes_nothing() -> None:
    made = a_library_workflow()
    with pytest.raises(InvalidDefinition) as refused:
        update(made, pipelineSteps=[a_designer(), {"type": "designer"}, a_designer(type="nobody")])
    assert [detail.path for detail in refused.value.details] == ["pipelineSteps.1.cliId", "pipelineSteps.2.type"]
    assert publishing.load(PROJECT, made.workflow.id) == made


def test_each_change_is_a_version_that_says_what_changed() -> None:
    made = a_library_workflow()
    update(made, name="Releases")
    update(made, name="Release", pipelineSteps=[a_designer(), CHECKER], maxIterations=2)
    update(made, maxIterations=None)
    update(made, maxIterations=None)
    first = history(made.workflow.id)[0]
    library.revert(PROJECT, made.workflow.id, first.id, request=asked())
    assert summaries(made.workflow.id) == [
        "Created",
        "Renamed to Releases",
        "Changed name, pipelineSteps, maxIterations",
        "Changed maxIterations",
        "Saved unchanged",
        "Restored version 1",
    ]


def test_what_is_not_said_stays_and_null_takes_away() -> None:
    made = a_library_workflow(type="poster", defaultConfig={"model": "m"}, workflowGraph={"nodes": []})
    changed = update(made, defaultConfig=None, workflowGraph={"nodes": [1]})
    assert changed.content is not None
    kept = {"type": "poster", "pipelineSteps": [a_designer()], "workflowGraph": {"nodes": [1]}}
    assert changed.content.pipeline == kept
    assert (changed.workflow.name, changed.workflow.current_version) == ("Posters", 2)


def test_the_outline_follows_the_steps() -> None:
    made = a_library_workflow()
    changed = update(made, personaPipelineSteps=[{"personaId": "per_1"}, {"personaId": "per_2"}])
    assert changed.workflow.outline == Outline(step_count=2, personas=("per_1", "per_2"))
    assert update(changed, name="n").workflow.outline == changed.workflow.outline
    assert deployed(changed).personas == ("per_1", "per_2")


def test_a_revert_brings_back_name_and_content_under_the_settings_of_now() -> None:
    made = a_library_workflow(name="One")
    first = history(made.workflow.id)[0]
    update(made, name="Two", pipelineSteps=[CHECKER])
    back = library.revert(PROJECT, made.workflow.id, first.id, request=asked(later(1)))
    assert (back.workflow.name, back.workflow.current_version, back.content) == ("One", 3, made.content)
    assert back.workflow.outline.tools == ("claude",)
    assert back.version is not None
    assert (back.version.restored_from, deployed(back).version) == (first.id, 3)


def test_a_revert_to_no_version_of_its_own_is_not_found() -> None:
    made, other = a_library_workflow(), history(a_library_workflow().workflow.id)[0]
    for unknown in ("wfv_none", "a#b", "1", other.id):
        with pytest.raises(NotFound, match="Version not found"):
            library.revert(PROJECT, made.workflow.id, unknown, request=asked())


def test_a_copy_holds_what_its_origin_holds_and_has_no_history() -> None:
    origin = update(a_library_workflow(name="n" * 200, type="poster"), pipelineSteps=[CHECKER])
    copy = library.duplicate(PROJECT, origin.workflow.id, "wf_copy", name=None, request=asked())
    assert (copy.workflow.name, copy.content) == ("n" * 193 + " (copy)", origin.content)
    assert copy.workflow.outline == origin.workflow.outline
    assert summaries("wf_copy") == [f"Copied from {'n' * 200}"]
    again = library.duplicate(PROJECT, origin.workflow.id, "wf_copy", name=None, request=asked())
    assert again == copy


def test_a_workflow_of_the_trigger_api_can_be_renamed_and_becomes_a_pipeline_with_its_steps() -> None:
    plain = a_workflow()
    empty = library.update(PROJECT, plain.id, changes=Changes(name="still empty"), request=asked())
    assert (empty.workflow.name, empty.version) == ("still empty", None)
    with pytest.raises(Conflict, match="no version yet"):
        library.duplicate(PROJECT, plain.id, "wf_copy", name=None, request=asked())
    versions.save(PROJECT, plain.id, ir=a_graph(), actor=ALICE, now=NOW)
    renamed = library.update(PROJECT, plain.id, changes=Changes(name="graph"), request=asked())
    assert library.shown(renamed) == {"workflowGraph": a_graph()}
    assert renamed.content is not None
    assert renamed.content.pipeline is None
    piped = update(renamed, pipelineSteps=[a_designer()])
    assert library.shown(piped) == {"workflowGraph": a_graph(), "pipelineSteps": [a_designer()]}
    assert summaries(plain.id) == ["Created", "Renamed to graph", "Changed pipelineSteps"]


def test_a_workflow_of_steps_shows_them_drawn_and_keeps_them_until_it_is_sent_others() -> None:
    listed = a_v1_workflow()
    drawn = library.shown(listed)
    nodes = [{"id": ref, "type": "transform", "name": ref} for ref in "ab"]
    assert drawn == {"workflowGraph": {"nodes": nodes, "edges": []}}
    renamed = update(listed, name="n", workflowGraph=drawn["workflowGraph"], pipelineSteps=None)
    assert (renamed.content, renamed.workflow.slug) == (listed.content, "orders")
    with pytest.raises(InvalidDefinition) as refused:
        update(listed, defaultConfig={"cliId": "claude"})
    assert refused.value.details[0].path == "pipelineSteps"
    assert update(listed, pipelineSteps=[CHECKER]).workflow.outline.tools == ("codex",)


def test_ten_changes_in_a_row_through_all_three_apis_are_versions_one_to_ten() -> None:
    a_project()
    made = a_library_workflow()
    id_ = made.workflow.id

    def by_trigger_api(value: int) -> None:
        versions.save(PROJECT, id_, ir=a_graph(value), actor=ALICE, now=NOW)
        deployments.deploy(PROJECT, id_, connection_id="conn_default", version_id=None, actor=ALICE, now=NOW)

    def by_v1(**changes: object) -> None:
        changed = publishing.Changes(**changes)  # type: ignore[arg-type] # a test names the parts
        publishing.change(PROJECT, id_, changes=changed, actor=ALICE, now=NOW)

    by_trigger_api(1)
    by_v1(name="Orders")
    update(made, pipelineSteps=[CHECKER])
    by_v1(steps=STEPS, slug="orders")
    revisions.change(PROJECT, id_, changes=revisions.Changes(description="d"), actor=ALICE, now=NOW)
    update(made, name="Posters", pipelineSteps=[CHECKER])
    library.revert(PROJECT, id_, history(id_)[1].id, request=asked())
    by_trigger_api(2)
    update(made, name="Posters again")
    assert [(version.number, version.summary) for version in history(id_)] == [
        (1, "Created"),
        (2, "Changed graph"),
        (3, "Renamed to Orders"),
        (4, "Changed pipelineSteps"),
        (5, "Changed slug, steps"),
        (6, "Changed description"),
        (7, "Changed name, pipelineSteps"),
        (8, "Restored version 2"),
        (9, "Changed graph"),
        (10, "Renamed to Posters again"),
    ]
    assert workflows.load(PROJECT, id_).current_version == 10


def test_the_trigger_api_saves_over_a_version_that_is_not_deployed_and_says_so() -> None:
    workflow = a_workflow()
    for value in range(2):
        versions.save(PROJECT, workflow.id, ir=a_graph(value), actor=ALICE, now=NOW)
    assert summaries(workflow.id) == ["Created"]
    revisions.change(PROJECT, workflow.id, changes=revisions.Changes(name="n"), actor=ALICE, now=NOW)
    assert summaries(workflow.id) == ["Created", "Renamed to n"]
    versions.save(PROJECT, workflow.id, ir=a_graph(), actor=ALICE, now=NOW)
    assert summaries(workflow.id) == ["Created", "Renamed to n, changed graph"]
    assert [version.name for version in history(workflow.id)] == ["orders", "n"]


def test_of_two_changes_at_once_one_is_stored_and_the_other_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made, publish, both = a_library_workflow(), store.publish, threading.Barrier(2)

    def together(*parts: object, **more: object) -> None:
        both.wait(10)
        publish(*parts, **more)  # type: ignore[arg-type] # as it was called

    def change(name: str) -> str:
        try:
            return update(made, name=name).workflow.name
        except Conflict as refused:
            return refused.message

    monkeypatch.setattr(store, "publish", together)
    for round_ in range(4):
        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(change, (f"a{round_}", f"b{round_}")))
        now = workflows.load(PROJECT, made.workflow.id)
        assert (now.current_version, sorted(now.name == one for one in told)) == (round_ + 2, [False, True])
        assert any("changed by others at the same time" in one for one in told)
    assert [version.number for version in history(made.workflow.id)] == [1, 2, 3, 4, 5]
    assert deployed(made).version == 5


def test_a_change_that_meets_another_transaction_time_after_time_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    made, empty = a_library_workflow(), a_workflow()

    def busy(*_: object, **__: object) -> None:
        raise Busy("another transaction")

    monkeypatch.setattr(store, "publish", busy)
    monkeypatch.setattr(store, "update", busy)
    with pytest.raises(Conflict):
        update(made, name="n")
    with pytest.raises(Conflict):
        library.update(PROJECT, empty.id, changes=Changes(name="n"), request=asked())


def test_a_change_that_was_cut_off_and_is_made_again_makes_one_version() -> None:
    made = a_library_workflow()
    request = Request(actor=ALICE, now=NOW, derived_id="9b2f0c1e-0000-4000-8000-000000000000")
    changes = Changes(name="n")
    first, second = (
        library.update(PROJECT, made.workflow.id, changes=changes, request=request).workflow for _ in range(2)
    )
    assert first == second
    assert len(history(made.workflow.id)) == 2


def test_functions_and_other_projects_workflows_are_not_found() -> None:
    script = a_workflow(kind=WorkflowKind.SCRIPT)
    theirs = a_workflow("proj_2")
    for workflow_id in (script.id, theirs.id, "wf_none"):
        with pytest.raises(NotFound, match="Workflow not found"):
            library.update(PROJECT, workflow_id, changes=Changes(name="n"), request=asked())


def test_a_new_name_leaves_what_is_deployed_as_it_is() -> None:
    a_project()
    piped = a_library_workflow()
    renamed = update(piped, name="Other")
    assert deployed(renamed).version == 2
    workflow_id = piped.workflow.id
    versions.save(PROJECT, workflow_id, ir=a_graph(), actor=ALICE, now=NOW)
    drafted = library.update(PROJECT, workflow_id, changes=Changes(name="Drafted"), request=asked())
    assert (drafted.workflow.current_version, deployed(renamed).version) == (4, 2)
    deployments.take_down(PROJECT, workflow_id, connection_id="conn_default")
    library.update(PROJECT, workflow_id, changes=Changes(description="d"), request=asked())
    assert deployment_store.load(workflow_id, "conn_default") is None
    assert [one.deployed for one in history(workflow_id)] == [True, True, False, False, False]


def test_true_is_not_one_where_a_drawing_changes() -> None:
    drawn = a_library_workflow(workflowGraph={"a": 1, "b": 0})
    changed = update(drawn, workflowGraph={"a": True, "b": False})
    graph = library.shown(changed)["workflowGraph"]
    assert isinstance(graph, dict)
    assert (graph["a"] is True, graph["b"] is False) == (True, True)
    assert summaries(changed.workflow.id)[-1] == "Changed workflowGraph"
