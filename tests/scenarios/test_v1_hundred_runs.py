"""A hundred runs at once in the workflow-runs API: listed on one page, canceled and replayed with one request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from chalicelib.domain.value import Json
from infra.local import LocalStack
from infra.local.functions import Function
from tests.conftest import Project
from tests.scenarios.answers import fits, pages
from tests.scenarios.conftest import SharedStack
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, saved
from tests.scenarios.v1_runs import V1Run, v1_started

pytestmark = pytest.mark.store


@contextmanager
def undriven(stack: LocalStack) -> Iterator[None]:
    """Lose every invocation that would drive a run meanwhile."""
    drive = stack.resources.functions["Drive"]
    real = stack.functions.find(drive)
    stack.functions.register(Function(name=drive, handler=lambda _event, _context: None))
    yield
    assert stack.wait_idle(30)
    stack.functions.register(real)


#: 16 KB of JSON, which grows as much as JSON can when it is escaped once more; so do the tags.
PAYLOAD: Final = '"' * (8 * 1024 - 1)
TAGS: Final = {f"{nr:02}" + '"' * 62: '"' * 256 for nr in range(20)}


class Hundred:
    """A project with a hundred runs that have not begun."""

    def __init__(self, scene: Scene, **body: Json) -> None:
        self.scene = scene
        self.path = f"/v1/workflows/{saved(scene)['id']}"
        self.ids = [self.triggered(**body)["id"] for _ in range(100)]

    def triggered(self, **body: Json) -> Any:
        """Start a run and return it."""
        answered = self.scene.client.post(f"{self.path}/trigger", body)
        assert answered.status == 201, answered.text
        return answered.json

    def bulk(self, verb: str, *run_ids: str) -> Any:
        """Ask for a verb on many runs, which takes moto its time."""
        client = replace(self.scene.client, patience=120)
        answered = client.post(f"/v1/workflow-runs/bulk-{verb}", {"workflow_run_ids": run_ids})
        assert answered.status == 200, answered.text
        assert fits(answered)
        return answered.json

    def runs(self) -> dict[str, Any]:
        """Return every run, by its id."""
        return {row["id"]: row for page in pages(self.scene, f"{self.path}/runs?limit=100") for row in page.json}


def test_a_hundred_at_once_are_canceled_and_replayed_whatever_is_among_them(scene: Scene) -> None:
    """An id of nothing, and one of another project, fail; the rest do not, and each is told of in its place."""
    stack = scene.stack
    with undriven(stack):
        _cancel_and_replay(Hundred(scene), of_another_project(stack))


def of_another_project(stack: LocalStack) -> V1Run:
    project = Project(id="proj_else", key=stack.add_project("proj_else"))
    return v1_started(Scene.of(stack, project), a_step("only"))


def _cancel_and_replay(hundred: Hundred, foreign: V1Run) -> None:
    sent = [*hundred.ids[:40], "nowhere", *hundred.ids[40:80], foreign.id, *hundred.ids[80:98]]
    before = foreign.get()

    canceled = hundred.bulk("cancel", *sent)

    assert (canceled["canceled"], canceled["failed"]) == (98, 2)
    assert [one["workflow_run_id"] for one in canceled["results"]] == sent
    failed = [one for one in canceled["results"] if one["status"] == "failed"]
    assert failed == [
        {"workflow_run_id": strange, "status": "failed", "error": "workflow run not found"}
        for strange in ("nowhere", foreign.id)
    ]
    found = hundred.runs()
    assert {run_id for run_id, row in found.items() if row["status"] == "canceled"} == set(hundred.ids[:98])
    assert {found[run_id]["status"] for run_id in hundred.ids[98:]} == {"pending"}

    replayed = hundred.bulk("replay", *sent)

    assert (replayed["replayed"], replayed["failed"]) == (98, 2)
    assert [one["original_run_id"] for one in replayed["results"]] == sent
    made = {one["new_run_id"]: one["original_run_id"] for one in replayed["results"] if one["status"] == "replayed"}
    found = hundred.runs()
    assert {found[new]["retry_of_run_id"]: new for new in made} == {old: new for new, old in made.items()}
    assert set(made.values()) == set(hundred.ids[:98])
    assert foreign.get() == before
    assert len(foreign.scene.client.get(f"/v1/workflows/{foreign.workflow_id}/runs").json) == 1


@pytest.fixture(scope="module")
def large(_module_stack: SharedStack) -> Iterator[Hundred]:
    stack = _module_stack.stack()
    scene = Scene.of(stack, Project(id="proj_large", key=stack.add_project("proj_large")))
    with undriven(stack):
        yield Hundred(scene, payload=PAYLOAD, tags=TAGS)


def test_a_page_of_a_hundred_runs_at_their_largest_fits(large: Hundred) -> None:
    for path in (f"{large.path}/runs?limit=100", "/v1/workflow-runs?project_id=proj_large&limit=1000"):
        [page, *_] = pages(large.scene, path)
        assert len(page.json) == 100
        assert fits(page)
        assert all(row["payload"] == PAYLOAD and row["tags"] == TAGS for row in page.json)


def test_a_page_is_fifty_runs_unless_said_otherwise_and_a_longer_payload_is_left_out(large: Hundred) -> None:
    assert len(large.scene.client.get(f"{large.path}/runs").json) == 50
    longer = large.triggered(payload=PAYLOAD + "x")
    [newest] = large.scene.client.get(f"{large.path}/runs?limit=1").json
    assert (newest["id"], "payload" in newest) == (longer["id"], False)
    assert large.scene.client.get(f"/v1/workflow-runs/{longer['id']}").json["payload"] == PAYLOAD + "x"
