from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.access import (
    TRIGGER_API_BUNDLES,
    WORKFLOW_RUNS_API_BUNDLES,
    ApiKey,
    Scope,
    digest_of,
    scopes_of,
    word_for,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def a_key(**given: datetime) -> ApiKey:
    return ApiKey(
        id="k",
        project_id="p",
        name="n",
        scopes=frozenset(),
        digest=digest_of("secret", pepper="pepper"),
        created_at=NOW,
        **given,
    )


def test_no_bundle_implies_another() -> None:
    bundles = list(TRIGGER_API_BUNDLES.values())
    assert sum(len(bundle) for bundle in bundles) == len(frozenset[Scope]().union(*bundles))


def test_a_word_stands_for_its_bundle_and_a_fine_scope_for_itself() -> None:
    assert scopes_of(["read", "runs:approve"]) == TRIGGER_API_BUNDLES["read"] | {Scope.RUNS_APPROVE}


def test_a_word_that_is_spelled_like_a_fine_scope_is_the_bundle_and_the_scope_itself_is_not() -> None:
    assert scopes_of(["workflows:read"]) == WORKFLOW_RUNS_API_BUNDLES["workflows:read"]
    assert scopes_of([Scope.WORKFLOWS_READ]) == {Scope.WORKFLOWS_READ}
    assert scopes_of(list(Scope)) == set(Scope)


def test_the_words_of_the_workflow_runs_api_do_not_overlap_and_none_is_the_trigger_apis() -> None:
    bundles = WORKFLOW_RUNS_API_BUNDLES.values()
    assert sum(len(bundle) for bundle in bundles) == len(frozenset[Scope]().union(*bundles))
    assert TRIGGER_API_BUNDLES.keys().isdisjoint(WORKFLOW_RUNS_API_BUNDLES)


@pytest.mark.parametrize("word", ["", "READ", "admin", "runs:*"])
def test_an_unknown_word_is_an_error(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Scope"):
        scopes_of([word])


@pytest.mark.parametrize(("scope", "word"), [(Scope.RUNS_CONTROL, "deploy"), (Scope.KEYS_ADMIN, "keys:admin")])
def test_a_scope_is_called_by_its_bundle_or_by_its_own_name(scope: Scope, word: str) -> None:
    assert word_for(scope, TRIGGER_API_BUNDLES) == word


@pytest.mark.parametrize(
    ("secret", "pepper", "given", "good"),
    [
        ("secret", "pepper", {}, True),
        ("secret2", "pepper", {}, False),
        ("secret", "salt", {}, False),
        ("secret", "pepper", {"expires_at": NOW + timedelta(seconds=1)}, True),
        ("secret", "pepper", {"expires_at": NOW}, False),
        ("secret", "pepper", {"revoked_at": NOW}, False),
    ],
)
def test_a_key_is_good_by_its_secret_while_it_is_in_force(
    secret: str,
    pepper: str,
    given: dict[str, datetime],
    good: bool,  # noqa: FBT001 - the table's last column
) -> None:
    assert a_key(**given).good(digest=digest_of(secret, pepper=pepper), now=NOW) is good
