"""A project's own records: itself, its connections, its keys, its idempotency keys, and its runs' histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.access import ApiKey, Scope
from chalicelib.domain.history import Outcome
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.refusal import Invalid
from chalicelib.domain.workflow import Project
from chalicelib.store import api_keys, connections, history, idempotency, projects
from chalicelib.store.errors import Exists, Superseded
from tests.conftest import Table
from tests.store.builders import NOW, a_connection, a_history_record, a_run, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


def a_key(**changes: object) -> ApiKey:
    key = ApiKey(
        id="key1",
        project_id="proj_1",
        name="CI",
        scopes=frozenset({Scope.RUNS_READ, Scope.RUNS_TRIGGER}),
        digest="00ff",
        created_at=NOW,
    )
    return replace(key, **changes)  # type: ignore[arg-type]


def an_idempotency_record(**changes: object) -> IdempotencyRecord:
    record = IdempotencyRecord(
        scope="trigger",
        key="mine",
        project_id="proj_1",
        request_digest="d1",
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def test_a_project_is_created_once() -> None:
    project = Project(id="proj_new", name="New", created_at=NOW)
    assert projects.load("proj_new") is None
    projects.put(project)
    assert projects.load("proj_new") == project
    with pytest.raises(Exists):
        projects.put(replace(project, name="Other"))
    assert projects.load("a#b") is None


def test_a_connection_belongs_to_its_project() -> None:
    mine = a_connection(project_id="proj_a", role_arn="arn:aws:iam::1:role/x", external_id="secret")
    theirs = a_connection(project_id="proj_b", region="eu-central-1")
    connections.put(mine)
    connections.put(theirs)
    assert connections.load("proj_a", "conn_default") == mine
    assert connections.load("proj_b", "conn_default") == theirs
    assert connections.load("proj_c", "conn_default") is None
    assert connections.load("proj_c", "a#b") is None
    with pytest.raises(Exists):
        connections.put(replace(mine, name="Other"))


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_connections_are_listed_page_by_page(limit: int) -> None:
    project = f"proj_pages_{limit}"
    projects.put(Project(id=project, name="Pages", created_at=NOW))
    made = [a_connection(id=f"conn_{name}", project_id=project) for name in ("a", "aa", "b", "c", "default")]
    for connection in reversed(made):
        connections.put(connection)
    found, cursor = [], None
    while True:
        page = connections.page(project, cursor=cursor, limit=limit)
        found.append(page.items)
        cursor = page.cursor
        if cursor is None:
            break
    assert [connection for items in found for connection in items] == made
    assert all(len(items) == limit for items in found[:-1])


def test_a_key_comes_back_as_it_went_in() -> None:
    full = a_key(id="full", expires_at=later(1), last_used_at=later(2), revoked_at=later(3))
    for key in (a_key(), full, a_key(id="none", scopes=frozenset())):
        api_keys.put(key)
        assert api_keys.load(key.id) == key
    assert api_keys.load("absent") is None
    assert api_keys.load("a#b") is None


def test_a_key_is_replaced_but_not_another_projects() -> None:
    api_keys.put(a_key(id="mine"))
    api_keys.put(a_key(id="mine", digest="11"))
    with pytest.raises(Superseded):
        api_keys.put(a_key(id="mine", project_id="proj_2", digest="22"))
    found = api_keys.load("mine")
    assert found is not None
    assert found.digest == "11"


def test_a_revoked_key_stays_revoked() -> None:
    key = a_key(id="gone")
    revoked = replace(key, revoked_at=later(1))
    api_keys.put(key)
    api_keys.put(revoked)
    with pytest.raises(Superseded):
        api_keys.put(replace(key, digest="rotated"))
    api_keys.put(replace(revoked, digest="rotated"))
    assert api_keys.load("gone") == replace(revoked, digest="rotated")


def test_the_last_use_of_a_key_is_noted_and_creates_none() -> None:
    api_keys.put(a_key(id="used"))
    api_keys.touch("used", now=later(5))
    assert api_keys.load("used") == a_key(id="used", last_used_at=later(5))
    api_keys.touch("absent", now=later(5))
    assert api_keys.load("absent") is None


def test_keys_are_listed_newest_first() -> None:
    made = [a_key(id=f"listed-{place}", project_id="proj_listed", created_at=later(place)) for place in range(5)]
    for key in made:
        api_keys.put(key)
    first = api_keys.page("proj_listed", cursor=None, limit=3)
    second = api_keys.page("proj_listed", cursor=first.cursor, limit=3)
    assert (*first.items, *second.items) == tuple(reversed(made))
    assert second.cursor is None
    with pytest.raises(Invalid):
        api_keys.page("proj_listed", cursor="none", limit=3)


def test_an_idempotency_key_is_taken_once_in_its_project_and_scope() -> None:
    record = an_idempotency_record(key="once")
    idempotency.put(record)
    with pytest.raises(Exists):
        idempotency.put(replace(record, request_digest="d2"))
    assert idempotency.load("proj_1", "trigger", "once", now=later(1)) == record
    for other in (replace(record, project_id="proj_2"), replace(record, scope="bulk"), replace(record, key="twice")):
        idempotency.put(other)


def test_an_expired_idempotency_key_is_free_before_dynamodb_has_removed_it() -> None:
    record = an_idempotency_record(key="short", expires_at=later(10))
    idempotency.put(record)
    assert idempotency.load("proj_1", "trigger", "short", now=later(9.999)) == record
    assert idempotency.load("proj_1", "trigger", "short", now=later(10)) is None
    with pytest.raises(Exists):
        idempotency.put(replace(record, created_at=later(9.999), request_digest="d2"))
    fresh = replace(record, created_at=later(10), expires_at=later(20), request_digest="d2")
    idempotency.put(fresh)
    assert idempotency.load("proj_1", "trigger", "short", now=later(11)) == fresh


def test_what_was_answered_is_kept_with_the_key() -> None:
    record = an_idempotency_record(key="answered")
    idempotency.put(record)
    answered = replace(record, response='{"ok":true}', run_id="run-1")
    idempotency.answer(answered)
    assert idempotency.load("proj_1", "trigger", "answered", now=later(1)) == answered


def test_a_key_that_was_freed_is_taken_anew() -> None:
    record = an_idempotency_record(key="freed")
    idempotency.put(record)
    idempotency.remove(record)
    assert idempotency.load("proj_1", "trigger", "freed", now=later(1)) is None
    idempotency.remove(record)
    idempotency.put(replace(record, request_digest="d2"))


def test_a_use_that_came_to_nothing_is_taken_over_once_and_frees_the_key_no_more() -> None:
    record = an_idempotency_record(key="lost")
    idempotency.put(record)
    again = replace(record, created_at=later(60))
    idempotency.take_over(again, before=record)
    with pytest.raises(Superseded):
        idempotency.take_over(replace(record, created_at=later(61)), before=record)
    idempotency.remove(record)
    assert idempotency.load("proj_1", "trigger", "lost", now=later(61)) == again


@pytest.mark.parametrize("fate", ["answered", "freed"])
def test_a_use_that_has_ended_is_not_taken_over(fate: str) -> None:
    record = an_idempotency_record(key=fate + " by now")
    idempotency.put(record)
    if fate == "answered":
        idempotency.answer(replace(record, response="{}"))
    else:
        idempotency.remove(record)
    with pytest.raises(Superseded) as raised:
        idempotency.take_over(replace(record, created_at=later(60)), before=record)
    assert raised.value.part == "idempotency"


def test_an_idempotency_record_expires_by_itself_but_not_too_early(table: Table) -> None:
    idempotency.put(an_idempotency_record(key="ttl"))
    items = table.client.scan(
        TableName=table.name, FilterExpression="attribute_exists(#t)", ExpressionAttributeNames={"#t": "ttl"}
    )
    last = (NOW + timedelta(hours=24)).timestamp()
    assert any(last <= int(item["ttl"]["N"]) <= last + 1 for item in items["Items"])


def test_a_history_is_listed_newest_last() -> None:
    run = a_run()
    refused = {"reason": "why", "outcome": Outcome.REFUSED, "refusal": "it has ended", "step": "each.1.charge"}
    made = [a_history_record(run, at=later(place), **refused) for place in range(5)]
    made.append(a_history_record(run, at=later(9)))
    for record in made:
        history.put(record)
    first = history.page(run.id, cursor=None, limit=4)
    second = history.page(run.id, cursor=first.cursor, limit=4)
    assert (*first.items, *second.items) == tuple(made)
    assert second.cursor is None
    with pytest.raises(Invalid):
        history.page(run.id, cursor="none", limit=4)
