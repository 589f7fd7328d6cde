"""Personas over HTTP: made, changed, copied, switched off, deleted."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.value import Json
from chalicelib.store import personas as store
from tests.scenarios.scene import Scene

ADA: dict[str, Json] = {"name": "Ada", "type": "designer", "cliId": "claude"}


def made(scene: Scene, **fields: Json) -> Any:
    """Create a persona and return it as it is shown."""
    answered = scene.client.post("/api/v1/personas/create", {**ADA, **fields})
    assert answered.status == 201, answered.text
    return answered.json["data"]


def did(scene: Scene, verb: str, persona: Any, **fields: Json) -> Any:
    """Do something to a persona and return it as it is shown then."""
    answered = scene.client.post(f"/api/v1/personas/{verb}", {"personaId": persona["id"], **fields})
    assert answered.status in {200, 201}, answered.text
    return answered.json["data"]


def names(scene: Scene, query: str = "") -> list[str]:
    listed = scene.client.get(f"/api/v1/personas/list{query}")
    assert listed.status == 200, listed.text
    return [row["name"] for row in listed.json["data"]]


def test_a_persona_is_shown_as_it_was_made(scene: Scene) -> None:
    whole: dict[str, Json] = {
        "name": "Ada",
        "description": "draws",
        "type": "deep-dive",
        "cliId": "codex",
        "model": "gpt",
        "thinkingEffort": "xhigh",
        "instructions": "Be brief.",
        "isEnabled": False,
    }
    shown = made(scene, **whole)
    assert {name: shown[name] for name in whole} == whole
    assert shown["_id"] == shown["id"]
    assert shown["createdAt"] == shown["updatedAt"] > 1_700_000_000_000
    assert scene.client.get(f"/api/v1/personas/get?id={shown['id']}").json == {"data": shown}


def test_a_change_leaves_what_it_does_not_say_and_null_takes_away(scene: Scene) -> None:
    before = made(scene, model="m", thinkingEffort="low", instructions="i")
    after = did(scene, "update", before, name="Bob", model=None)
    changed = {"name": "Bob", "model": None, "updatedAt": after["updatedAt"]}
    assert after == {**before, **changed}
    nothing = scene.client.post("/api/v1/personas/update", {"personaId": before["id"]})
    assert (nothing.status, nothing.json["error"]["code"]) == (400, "VALIDATION")


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", " "),
        ("name", "x" * 201),
        ("type", "boss"),
        ("cliId", "emacs"),
        ("thinkingEffort", "some"),
        ("instructions", "x" * 50_001),
        ("model", ""),
        ("model", "two\nlines"),
        ("model", "{{ payload.model }}"),
        ("isEnabled", "yes"),
    ],
)
def test_a_bad_field_is_refused_by_name(scene: Scene, field: str, bad: Json) -> None:
    answered = scene.client.post("/api/v1/personas/create", {**ADA, field: bad})
    assert (answered.status, answered.json["error"]["field"]) == (400, field)


def test_the_longest_instructions_are_kept_whole_and_cut_in_lists(scene: Scene) -> None:
    long = "ä" * 50_000
    persona = made(scene, instructions=long)
    assert (persona["instructions"], persona["instructionsTruncated"]) == (long, False)
    [row] = scene.client.get("/api/v1/personas/list").json["data"]
    assert (row["instructions"], row["instructionsTruncated"]) == (long[:2000], True)


def test_a_list_is_paged_the_last_changed_first(scene: Scene) -> None:
    first = made(scene, name="first")
    made(scene, name="second")
    made(scene, name="third", isEnabled=False)
    did(scene, "update", first, description="changed")
    assert names(scene) == ["first", "third", "second"]
    page = scene.client.get("/api/v1/personas/list?limit=2").json
    assert page["hasMore"]
    assert names(scene, f"?limit=2&cursor={page['nextCursor']}") == ["second"]
    assert names(scene, "?enabled=false&limit=1") == ["third"]
    assert names(scene, "?enabled=true") == ["first", "second"]


def test_a_toggle_turns_or_sets(scene: Scene) -> None:
    persona = made(scene)
    assert not did(scene, "toggle", persona)["isEnabled"]
    assert did(scene, "toggle", persona)["isEnabled"]
    off = did(scene, "toggle", persona, isEnabled=False)
    assert did(scene, "toggle", persona, isEnabled=False) == off


def test_a_copy_is_called_one_and_stands_by_itself(scene: Scene) -> None:
    origin = made(scene, name="x" * 200, instructions="i", isEnabled=False)
    copy = did(scene, "duplicate", origin)
    own = {name: copy[name] for name in ("id", "_id", "name", "createdAt", "updatedAt")}
    assert copy == {**origin, **own}
    assert copy["name"] == "x" * 193 + " (copy)"
    assert did(scene, "duplicate", origin, name="Eve")["name"] == "Eve"


def test_a_deleted_persona_can_be_seen_and_no_more(scene: Scene) -> None:
    persona = made(scene)
    gone = did(scene, "delete", persona)
    assert gone["deletedAt"] is not None
    assert did(scene, "delete", persona) == gone
    assert names(scene) == []
    assert scene.client.get(f"/api/v1/personas/get?id={persona['id']}").json == {"data": gone}
    for verb, more in (("update", {"name": "n"}), ("toggle", {}), ("duplicate", {})):
        answered = scene.client.post(f"/api/v1/personas/{verb}", {"personaId": persona["id"], **more})
        assert (answered.status, answered.json["error"]["code"]) == (404, "NOT_FOUND"), verb


def test_another_projects_persona_is_not_found(scene: Scene) -> None:
    persona = made(scene)
    other = Scene.of(scene.stack, type(scene.project)(id="proj_p2", key=scene.stack.add_project("proj_p2")))
    assert other.client.get(f"/api/v1/personas/get?id={persona['id']}").status == 404
    for verb in ("update", "delete", "duplicate", "toggle"):
        fields = {"name": "n"} if verb == "update" else {}
        answered = other.client.post(f"/api/v1/personas/{verb}", {"personaId": persona["id"], **fields})
        assert answered.status == 404, verb
    assert names(scene) == ["Ada"]


def test_of_two_changes_at_once_one_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    persona = made(scene)
    update = store.update

    def late(changed: Any) -> None:
        monkeypatch.undo()
        did(scene, "update", persona, name="sooner")
        update(changed)

    monkeypatch.setattr(store, "update", late)
    answered = scene.client.post("/api/v1/personas/update", {"personaId": persona["id"], "name": "later"})
    assert (answered.status, answered.json["error"]["code"]) == (409, "CONFLICT")
    assert names(scene) == ["sooner"]


def test_what_is_made_with_a_key_is_made_once(scene: Scene) -> None:
    sent = [scene.client.post("/api/v1/personas/create", ADA, Idempotency_Key="k") for _ in range(2)]
    assert sent[0].text == sent[1].text
    assert sent[1].headers["idempotency-replayed"] == "true"
    persona = sent[0].json["data"]
    off = [
        scene.client.post("/api/v1/personas/toggle", {"personaId": persona["id"]}, Idempotency_Key="t")
        for _ in range(2)
    ]
    assert [one.json["data"]["isEnabled"] for one in off] == [False, False]
    assert names(scene) == ["Ada"]
