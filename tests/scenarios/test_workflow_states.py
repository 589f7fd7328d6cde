"""Everything that can be asked of a workflow of the library, in every state that it can be in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Response
from tests.conftest import Project
from tests.scenarios.conftest import SharedStack
from tests.scenarios.doors import nothing_written
from tests.scenarios.pipelines import LIBRARY, a_pipeline, ask, done, look, versions
from tests.scenarios.scene import Scene

STATES = ("live", "deleted", "purged", "never")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A workflow, as far as it is there, and one of its versions."""

    scene: Scene
    id: str
    version_id: str


Act = Callable[[Found], Response]


def posted(verb: str, **more: Json) -> Act:
    """Return what asks for a verb of a workflow."""
    return lambda found: ask(found.scene, verb, workflowId=found.id, **more)


def tab(name: str) -> Act:
    """Return what asks for a tab of a workflow's page."""
    return lambda found: look(found.scene, name, found.id)


def reverted(found: Found) -> Response:
    return ask(found.scene, "versions/revert", workflowId=found.id, versionId=found.version_id)


def started(found: Found) -> Response:
    """Start a run, and if there is one end it: nothing of it is to happen later."""
    client = found.scene.client
    answered = client.post("/api/v1/runs/start", {"workflowId": found.id, "prompt": "a poster"})
    if answered.status == 201:
        client.send("DELETE", f"/v1/workflow-runs/{answered.json['data']['runId']}")
    return answered


def many_deleted(found: Found) -> Response:
    return ask(found.scene, "bulk-delete", workflowIds=[found.id])


ACTS: Mapping[str, Act] = {
    "get": tab("get"),
    "versions": tab("versions"),
    "runs": tab("runs"),
    "analytics": tab("analytics"),
    "related": tab("related"),
    "update": posted("update", description="d"),
    "rename": posted("rename", name="n"),
    "duplicate": posted("duplicate"),
    "revert": reverted,
    "start": started,
    "delete": posted("delete"),
    "bulk-delete": many_deleted,
    "restore": posted("restore"),
    "permanent-delete": posted("permanent-delete"),
}
#: The contract's table: the status by act and state, in the order of the states.
TABLE: Mapping[str, tuple[int, int, int, int]] = {
    "get": (200, 404, 404, 404),
    "versions": (200, 404, 404, 404),
    # Those under way go on, and are looked after still.
    "runs": (200, 200, 404, 404),
    "analytics": (200, 404, 404, 404),
    "related": (200, 404, 404, 404),
    "update": (200, 404, 404, 404),
    "rename": (200, 404, 404, 404),
    "duplicate": (201, 404, 404, 404),
    "revert": (200, 404, 404, 404),
    "start": (201, 409, 404, 404),
    "delete": (200, 200, 404, 404),
    "bulk-delete": (200, 200, 200, 200),
    "restore": (200, 200, 404, 404),
    "permanent-delete": (409, 200, 404, 404),
}
#: What never changes anything.
LOOKS = {"get", "versions", "runs", "analytics", "related"}
#: What changes nothing though it is answered as done.
NO_CHANGE = {
    ("delete", "deleted"),
    ("restore", "live"),
    *(("bulk-delete", state) for state in ("deleted", "purged", "never")),
}
CODES = {404: "NOT_FOUND", 409: "CONFLICT"}


@pytest.fixture(scope="module")
def scene(_module_stack: SharedStack) -> Scene:
    stack = _module_stack.stack()
    return Scene.of(stack, Project(id="proj_states", key=stack.add_project("proj_states")))


def found(scene: Scene, state: str) -> Found:
    """Have a workflow in a state."""
    if state == "never":
        return Found(scene=scene, id="wf_never", version_id="wfv_never")
    made = a_pipeline(scene)["id"]
    version_id = versions(scene, made)[0]["versionId"]
    for verb in {"live": [], "deleted": ["delete"], "purged": ["delete", "permanent-delete"]}[state]:
        done(scene, verb, workflowId=made)
    return Found(scene=scene, id=made, version_id=version_id)


@pytest.fixture(scope="module")
def standing(scene: Scene) -> Mapping[str, Found]:
    """Have a workflow in each state, for whatever leaves it as it is."""
    return {state: found(scene, state) for state in STATES}


@pytest.mark.parametrize(("act", "state"), [pytest.param(*one, id="-".join(one)) for one in product(TABLE, STATES)])
def test_a_workflow_answers_as_its_state_allows(
    scene: Scene, standing: Mapping[str, Found], act: str, state: str
) -> None:
    expected = TABLE[act][STATES.index(state)]
    if expected < 400 and act not in LOOKS and (act, state) not in NO_CHANGE:
        answered = ACTS[act](found(scene, state))
        scene.settle()
    else:
        with nothing_written():
            answered = ACTS[act](standing[state])
    assert answered.status == expected, answered.text
    if expected >= 400:
        assert answered.json["error"]["code"] == CODES[expected]
        assert answered.json["requestId"] == answered.headers["x-request-id"]


@pytest.mark.parametrize("state", STATES)
def test_of_many_each_is_told_as_its_state_allows(scene: Scene, standing: Mapping[str, Found], state: str) -> None:
    there = standing[state] if state != "live" else found(scene, state)
    [told] = done(scene, "bulk-delete", workflowIds=[there.id])["results"]
    gone = {"workflowId": there.id, "status": "failed"}
    error = {"code": "NOT_FOUND", "message": "Workflow not found"}
    there_still = {"workflowId": there.id, "status": "deleted", "error": None}
    assert told == (there_still if state in {"live", "deleted"} else {**gone, "error": error})


def test_another_projects_workflow_is_as_good_as_none(scene: Scene, standing: Mapping[str, Found]) -> None:
    stranger = Scene.of(scene.stack, Project(id="proj_states_2", key=scene.stack.add_project("proj_states_2")))
    for state in ("live", "deleted"):
        theirs = standing[state]
        mine = Found(scene=stranger, id=theirs.id, version_id=theirs.version_id)
        own = a_pipeline(stranger)["id"]  # so that the key's first use is noted before we look
        with nothing_written():
            for name, act in ACTS.items():
                answered = act(mine)
                if name == "bulk-delete":
                    assert answered.json["data"]["failed"] == 1
                else:
                    assert (answered.status, answered.json["error"]["code"]) == (404, "NOT_FOUND"), (name, state)
    answered = ask(stranger, "versions/revert", workflowId=own, versionId=theirs.version_id)
    assert (answered.status, answered.json["error"]["message"]) == (404, "Version not found")


def test_an_id_that_nothing_has_is_not_found(scene: Scene) -> None:
    with nothing_written():
        for act in ("update", "rename", "duplicate", "revert", "delete", "restore", "permanent-delete"):
            for strange in ("no/thing", "a b", "wf#1", "\x01", "ä", "x" * 200):
                answered = ACTS[act](Found(scene=scene, id=strange, version_id="wfv_1"))
                assert (answered.status, answered.json["error"]["code"]) == (404, "NOT_FOUND"), (act, strange)
        for strange in ("wf%231", "a%2Fb", "%00"):
            assert scene.client.get(f"{LIBRARY}/get?id={strange}").status == 404
