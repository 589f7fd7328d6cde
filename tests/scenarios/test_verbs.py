"""Every state of a run with every verb, over HTTP: what is answered, and where the run stands then."""

from __future__ import annotations

import pytest

from chalicelib.domain.value import Json
from tests.scenarios.conftest import Web, echoed
from tests.scenarios.scene import Scene
from tests.scenarios.states import STATES, paused, running

pytestmark = pytest.mark.store

VERBS = ("pause", "resume", "terminate", "event", "poll")
OK, CONFLICT = 200, 409

#: By state: for each of the verbs above the status of the answer, and what the run shows as once all has settled.
#: A run that nobody drives stays queued; the server that the running one asks answers after the verb.
TABLE: dict[str, tuple[tuple[int, str], ...]] = {
    "queued": ((OK, "paused"), (CONFLICT, "queued"), (OK, "terminated"), (OK, "complete"), (OK, "queued")),
    "running": ((OK, "paused"), (CONFLICT, "complete"), (OK, "terminated"), (OK, "complete"), (OK, "complete")),
    "paused by hand": ((OK, "paused"), (OK, "complete"), (OK, "terminated"), (OK, "paused"), (OK, "paused")),
    "waiting": ((OK, "paused"), (CONFLICT, "paused"), (OK, "terminated"), (OK, "complete"), (OK, "paused")),
    "complete": ((CONFLICT, "complete"),) * 4 + ((OK, "complete"),),
    "errored": ((CONFLICT, "errored"),) * 4 + ((OK, "errored"),),
    "terminated": (
        (CONFLICT, "terminated"),
        (CONFLICT, "terminated"),
        (OK, "terminated"),
        (CONFLICT, "terminated"),
        (OK, "terminated"),
    ),
}


def test_the_table_has_every_state_and_every_verb() -> None:
    assert TABLE.keys() == STATES.keys()
    assert {len(row) for row in TABLE.values()} == {len(VERBS)}


@pytest.mark.parametrize(
    ("state", "verb", "status", "after"),
    [(state, verb, *cell) for state, row in TABLE.items() for verb, cell in zip(VERBS, row, strict=True)],
)
def test_a_verb_answers_and_does_as_the_contract_says(
    scene: Scene, web: Web, state: str, verb: str, status: int, after: str
) -> None:
    put, shown = STATES[state]
    run = put(scene, web)
    assert scene.row(run)["status"] == shown
    run_id = run.rpartition("/")[2]
    expected: Json
    if verb == "poll":
        answered, expected = scene.client.get(run), None
    elif verb == "event":
        answered, expected = scene.send(run, "go", 1), {"instanceId": run_id}
    else:
        answered, expected = scene.client.send("POST", f"{run}/{verb}"), {"ok": True}
    assert answered.status == status, answered.text
    if status == CONFLICT:
        assert set(answered.json) == {"error"}
    elif expected is not None:
        assert answered.json == expected
    web.release()
    scene.settle()
    assert scene.row(run)["status"] == after


def test_what_is_paused_or_terminated_starts_no_step_although_one_was_under_way(scene: Scene, web: Web) -> None:
    for verb in ("pause", "terminate"):
        run = running(scene, web)
        before = len(web.asked)
        assert scene.do(run, verb) == [200]
        web.release()
        scene.settle()
        assert len(web.asked) == before
        if verb == "pause":
            web.answer = echoed
            assert scene.do(run, "resume") == [200]
            assert scene.ended(run)["status"] == "complete"
            assert [one.path for one in web.asked[before:]] == ["/after"]


def test_a_pause_and_a_terminate_asked_for_again_change_nothing(scene: Scene, web: Web) -> None:
    run = paused(scene, web)
    row = scene.row(run)
    assert scene.do(run, "pause") == [200]
    assert scene.row(run) == row
    assert scene.do(run, "terminate") == [200]
    ended = scene.row(run)
    assert scene.do(run, "terminate") == [200]
    scene.settle()
    assert scene.row(run) == ended
