from __future__ import annotations

import pytest

from chalicelib.domain.access import ApiKey, Scope
from chalicelib.domain.refusal import KeyMissing, Unauthenticated
from chalicelib.services import authentication, keys
from chalicelib.store import api_keys
from chalicelib.store.errors import Unavailable
from tests.services.library import NOW, PROJECT, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


class Reads:
    """Counts the reads and touches of keys, and lets them through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads = 0
        self.touches = 0
        load, touch = api_keys.load, api_keys.touch

        def counted_load(key_id: str) -> ApiKey | None:
            self.loads += 1
            return load(key_id)

        def counted_touch(key_id: str, *, now: object) -> None:
            self.touches += 1
            touch(key_id, now=now)  # type: ignore[arg-type] # passed on as it came

        monkeypatch.setattr(api_keys, "load", counted_load)
        monkeypatch.setattr(api_keys, "touch", counted_touch)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def a_key(**given: object) -> keys.Issued:
    return keys.create(PROJECT, name="k", scopes=["read"], now=NOW, **given)  # type: ignore[arg-type] # options


def test_a_good_key_is_its_projects_and_has_its_scopes() -> None:
    key = authentication.authenticate(f"Bearer {a_key().text}", now=NOW)
    assert key.project_id == PROJECT
    assert set(key.scopes) == {Scope.WORKFLOWS_READ, Scope.RUNS_READ}


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_the_scheme_may_be_written_otherwise(scheme: str) -> None:
    assert authentication.authenticate(f"{scheme} {a_key().text} ", now=NOW).id


@pytest.mark.parametrize("header", [None, "", "  "])
def test_no_key_at_all_is_said_so(header: str | None) -> None:
    with pytest.raises(KeyMissing):
        authentication.authenticate(header, now=NOW)


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ask_yourkey", "Basic ask_a_b", "ask_a_b", "Bearer ask_a#b_c", "Bearer ask__x", "Bearer ask_a_ä"],
)
def test_a_malformed_key_is_refused_without_a_read(header: str, reads: Reads) -> None:
    with pytest.raises(Unauthenticated):
        authentication.authenticate(header, now=NOW)
    assert reads.loads == 0


def test_a_good_key_is_read_once_a_minute(reads: Reads) -> None:
    header = f"Bearer {a_key().text}"
    for minutes in (0, 0.5, 0.99, 1, 1.5):
        authentication.authenticate(header, now=later(minutes))
    assert reads.loads == 2


def test_a_bad_secret_is_never_believed_even_beside_a_good_one(reads: Reads) -> None:
    issued = a_key()
    authentication.authenticate(f"Bearer {issued.text}", now=NOW)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            authentication.authenticate(f"Bearer {issued.text}x", now=NOW)
    assert reads.loads == 3


def test_an_unknown_key_is_refused_each_time_by_a_read(reads: Reads) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            authentication.authenticate("Bearer ask_nobody_secret", now=NOW)
    assert reads.loads == 2


def test_a_key_ends_when_it_expires_though_it_is_kept() -> None:
    header = f"Bearer {a_key(expires_at=later(0.5)).text}"
    authentication.authenticate(header, now=NOW)
    with pytest.raises(Unauthenticated):
        authentication.authenticate(header, now=later(0.5))


def test_a_revoked_key_is_refused_at_once_in_this_process_and_after_a_minute_in_others() -> None:
    issued = a_key()
    authentication.authenticate(f"Bearer {issued.text}", now=NOW)
    kept = dict(authentication._good)
    keys.revoke(PROJECT, issued.key.id, now=NOW)
    with pytest.raises(Unauthenticated):
        authentication.authenticate(f"Bearer {issued.text}", now=NOW)
    authentication._good.update(kept)  # as in a process that has not heard of it
    assert authentication.authenticate(f"Bearer {issued.text}", now=later(0.9)).id
    with pytest.raises(Unauthenticated):
        authentication.authenticate(f"Bearer {issued.text}", now=later(1))


def test_a_rotated_key_works_at_once_and_its_old_secret_does_not() -> None:
    old = a_key()
    authentication.authenticate(f"Bearer {old.text}", now=NOW)
    fresh = keys.rotate(PROJECT, old.key.id, now=NOW)
    assert authentication.authenticate(f"Bearer {fresh.text}", now=NOW).id
    with pytest.raises(Unauthenticated):
        authentication.authenticate(f"Bearer {old.text}", now=NOW)


def test_the_last_use_is_noted_once_an_hour(reads: Reads) -> None:
    issued = a_key()
    for minutes in (0, 2, 30, 59):
        authentication.authenticate(f"Bearer {issued.text}", now=later(minutes))
    assert reads.touches == 1
    authentication.authenticate(f"Bearer {issued.text}", now=later(61))
    stored = api_keys.load(issued.key.id)
    assert stored is not None
    assert (reads.touches, stored.last_used_at) == (2, later(61))


def test_a_request_does_not_fail_because_its_keys_last_use_cannot_be_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(key_id: str, *, now: object) -> None:
        raise Unavailable("DynamoDB is away")

    issued = a_key()
    monkeypatch.setattr(api_keys, "touch", fails)
    assert authentication.authenticate(f"Bearer {issued.text}", now=NOW).id


def test_only_so_many_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "_MOST_KEPT", 2)
    for _ in range(4):
        authentication.authenticate(f"Bearer {a_key().text}", now=NOW)
    assert len(authentication._good) == 2
