from __future__ import annotations

import pytest

from chalicelib.domain.access import Scope
from chalicelib.domain.refusal import Conflict, Invalid, NotFound
from chalicelib.services import authentication, keys
from tests.conftest import Table
from tests.services.library import NOW, PROJECT, later

pytestmark = [pytest.mark.store]


def test_a_key_is_shown_once_and_only_its_hash_is_kept(table: Table) -> None:
    issued = keys.create(PROJECT, name="ci", scopes=["deploy"], now=NOW)
    prefix, key_id, secret = issued.text.split("_")
    assert (prefix, key_id) == ("ask", issued.key.id)
    assert len(bytes.fromhex(secret)) == 32
    assert secret not in str(table.client.scan(TableName=table.name)["Items"])
    assert secret not in repr(issued)


@pytest.mark.parametrize("text", ["ask_dev_local", "ask_a1-b_with_under_scores", "ask_x_!~"])
def test_a_chosen_key_is_adopted(table: Table, text: str) -> None:
    keys.adopt(PROJECT, text, name="dev", scopes=list(Scope), now=NOW)
    keys.adopt(PROJECT, text, name="dev", scopes=list(Scope), now=later(1))
    assert authentication.authenticate(f"Bearer {text}", now=NOW).scopes == set(Scope)


@pytest.mark.parametrize("text", ["", "ask_yourkey", "dev", "ask_a b_c", "ask_ü_x", "ask_a_b c"])
def test_a_chosen_key_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="ask_<key id>_<secret>"):
        keys.adopt(PROJECT, text, name="dev", scopes=["read"], now=NOW)


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(Invalid):
        keys.create(PROJECT, name="ci", scopes=["everything"], now=NOW)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "n" * 101])
def test_a_key_with_a_name_that_cannot_be_listed_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="1 to 100 characters on one line"):
        keys.create(PROJECT, name=name, scopes=["read"], now=NOW)


def test_a_key_that_could_open_nothing_is_refused() -> None:
    with pytest.raises(Invalid, match="needs a scope"):
        keys.create(PROJECT, name="k", scopes=[], now=NOW)
    with pytest.raises(Invalid, match="in the future"):
        keys.create(PROJECT, name="k", scopes=["read"], now=NOW, expires_at=NOW)


def test_a_key_that_no_secret_would_open_is_not_rotated(table: Table) -> None:
    revoked = keys.create(PROJECT, name="k", scopes=["read"], now=NOW)
    keys.revoke(PROJECT, revoked.key.id, now=NOW)
    with pytest.raises(Conflict, match="revoked"):
        keys.rotate(PROJECT, revoked.key.id, now=NOW)
    expired = keys.create(PROJECT, name="k", scopes=["read"], now=NOW, expires_at=later(1))
    with pytest.raises(Conflict, match="expired"):
        keys.rotate(PROJECT, expired.key.id, now=later(1))
    assert keys.load(PROJECT, expired.key.id).digest == expired.key.digest


def test_whose_a_key_is_can_be_asked(table: Table) -> None:
    assert keys.project_of(keys.create("proj_2", name="k", scopes=["read"], now=NOW).key.id) == "proj_2"
    with pytest.raises(NotFound):
        keys.project_of("none")
    with pytest.raises(NotFound):
        keys.project_of("#")


def test_keys_are_listed_newest_first_and_within_their_project(table: Table) -> None:
    mine = [keys.create(PROJECT, name=str(n), scopes=["read"], now=later(n)).key.id for n in range(3)]
    keys.create("proj_2", name="theirs", scopes=["read"], now=NOW)
    first = keys.page(PROJECT, cursor=None, limit=2)
    rest = keys.page(PROJECT, cursor=first.cursor, limit=2)
    assert [key.id for key in (*first.items, *rest.items)] == mine[::-1]
    assert rest.cursor is None


def test_another_projects_key_is_not_found(table: Table) -> None:
    theirs = keys.create("proj_2", name="theirs", scopes=["read"], now=NOW).key.id
    for attempt in (
        lambda: keys.load(PROJECT, theirs),
        lambda: keys.revoke(PROJECT, theirs, now=NOW),
        lambda: keys.rotate(PROJECT, theirs, now=NOW),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_a_key_stays_revoked_as_it_was_first(table: Table) -> None:
    key_id = keys.create(PROJECT, name="k", scopes=["read"], now=NOW).key.id
    keys.revoke(PROJECT, key_id, now=NOW)
    assert keys.revoke(PROJECT, key_id, now=later(5)).revoked_at == NOW
