"""The key grammar, whole: each kind of item, and what no key may be built from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.store import keys
from chalicelib.store.keys import ImpossibleId, Key

AT = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
INSTANT = "2026-11-22T07:30:00.000000Z"

GRAMMAR = [
    (keys.workflow("w"), "WORKFLOW#w", "#WORKFLOW"),
    (keys.counter("w"), "WORKFLOW#w", "#COUNTER"),
    (keys.statistics_of_day("w", AT.date()), "WORKFLOW#w", "STATS#DAY#2026-11-22"),
    (keys.statistics_of_quarter("w", AT), "WORKFLOW#w", "STATS#QUARTER#2026-11-22T07:30"),
    (
        keys.statistics_beside(keys.statistics_of_day("w", AT.date()), 7),
        "WORKFLOW#w",
        "STATS#DAY-BESIDE#2026-11-22#07",
    ),
    (keys.models("w"), "WORKFLOW#w", "STATS#MODELS"),
    (keys.slug("p", "my-orders"), "PROJECT#p", "SLUG#my-orders"),
    (keys.ticket("t"), "TICKET#t", "#TICKET"),
    (keys.version("w", 12), "WORKFLOW#w", "VERSION#000012"),
    (keys.version_id("w", "v"), "WORKFLOW#w", "VERSION-ID#v"),
    (keys.deployment("w", "c"), "WORKFLOW#w", "DEPLOYMENT#c"),
    (keys.function("d"), "FUNCTION#d", "#FUNCTION"),
    (keys.run("r"), "RUN#r", "#RUN"),
    (keys.run_payload("r", "d"), "RUN#r", "PAYLOAD#d"),
    (keys.run_output("r", "d"), "RUN#r", "OUTPUT#d"),
    (keys.run_excerpt("r"), "RUN#r", "EXCERPT"),
    (keys.event("r", "e"), "RUN#r", "EVENT#e"),
    (keys.step("r", "each.2.charge"), "RUN#r", "STEP#each.2.charge"),
    (keys.history_record("r", AT, "h"), "HISTORY#r", f"{INSTANT}#h"),
    (keys.api_key("k"), "KEY#k", "#KEY"),
    (keys.related("w", "issue", "d"), "WORKFLOW#w", "RELATED#issue#d"),
    (keys.related_counts("w"), "WORKFLOW#w", "RELATED#COUNTS"),
    (keys.reported("p", "r", "issue", "d"), "REPORTED#p#r", "issue#d"),
    (keys.persona("p"), "PERSONA#p", "#PERSONA"),
    (keys.project("p"), "PROJECT#p", "#PROJECT"),
    (keys.connection("p", "c"), "PROJECT#p", "CONNECTION#c"),
]
IMPOSSIBLE = ["", "a#b", "#", "x" * 201, "a\nb", "\ud800", "a\x00"]
BUILDERS: list[Callable[[str], object]] = [
    keys.workflow,
    keys.run,
    keys.run_partition,
    keys.history,
    keys.api_key,
    keys.project,
    keys.function,
    lambda id_: keys.version(id_, 1),
    lambda id_: keys.version_id("w", id_),
    lambda id_: keys.deployment("w", id_),
    lambda id_: keys.connection("p", id_),
    lambda id_: keys.event("r", id_),
    lambda id_: keys.step(id_, "a"),
    lambda id_: keys.history_record("r", AT, id_),
    lambda id_: keys.idempotency("p", id_, "mine"),
    lambda id_: keys.listed_run("running", AT, id_),
    lambda id_: keys.listed_ticket("job", "open", AT, id_),
    keys.counter,
    keys.ticket,
    keys.persona,
    lambda id_: keys.related(id_, "issue", "d"),
    lambda id_: keys.related("w", "issue", id_),
    lambda id_: keys.reported("p", id_, "issue", "d"),
    lambda id_: keys.reported(id_, "r", "issue", "d"),
    lambda id_: keys.slug(id_, "a"),
    lambda id_: keys.event_waits(id_, "a"),
    lambda id_: keys.event_wait("p", "a", id_),
]


@pytest.mark.parametrize(("key", "pk", "sk"), GRAMMAR)
def test_every_kind_of_item_has_its_place(key: Key, pk: str, sk: str) -> None:
    assert key == (pk, sk)


def test_an_idempotency_key_of_any_text_is_part_of_ours_as_a_digest_only() -> None:
    key = keys.idempotency("p", "trigger", "any # text \ud800\n" * 50)
    assert key.sk == "#RECORD"
    assert key.pk.startswith("IDEMPOTENCY#p#trigger#")
    assert len(key.pk) == len("IDEMPOTENCY#p#trigger#") + 64


@pytest.mark.parametrize("impossible", IMPOSSIBLE)
@pytest.mark.parametrize("builder", range(len(BUILDERS)))
def test_an_id_that_reaches_into_other_keys_is_refused(builder: int, impossible: str) -> None:
    with pytest.raises(ImpossibleId):
        BUILDERS[builder](impossible)


def test_a_root_sorts_before_its_members() -> None:
    members = [keys.event("r", "0"), keys.run_output("r", "0"), keys.run_payload("r", "0"), keys.step("r", "!")]
    assert all(keys.run("r").sk < member.sk for member in members)
    assert keys.workflow("w").sk < keys.deployment("w", "0").sk
    assert keys.project("p").sk < keys.connection("p", "0").sk


def test_versions_sort_by_number() -> None:
    found = [keys.version("w", number).sk for number in (1, 9, 10, 99, 100, 12345)]
    assert found == sorted(found)


def test_a_version_is_told_from_the_id_of_one() -> None:
    assert not keys.version_id("w", "v").sk.startswith(keys.VERSIONS)


@given(st.text(min_size=1, max_size=400), st.text(min_size=1, max_size=400))
def test_two_steps_never_share_a_key_and_every_key_fits(one: str, other: str) -> None:
    try:
        one.encode()
        other.encode()
    except UnicodeEncodeError:
        return
    assert len(keys.step("r", one).sk.encode()) <= 1024
    assert (keys.step("r", one) == keys.step("r", other)) == (one == other)


def test_long_steps_that_begin_alike_are_kept_apart() -> None:
    assert keys.step("r", "x" * 500) != keys.step("r", "x" * 501)


def test_list_keys_sort_by_time_within_a_status() -> None:
    older, newer = (keys.listed_run("running", AT + timedelta(microseconds=n), "r") for n in (0, 1))
    assert older == f"RUN#running#{INSTANT}#r"
    assert older < newer < keys.after_all(keys.listed_runs("running"))


def test_lists_of_a_project_do_not_mix() -> None:
    found = {
        keys.listed_run("running", AT, "a"),
        keys.listed_workflow(AT, "a"),
        keys.trashed_workflow(AT, "a"),
        keys.listed_api_key(AT, "a"),
        keys.listed_persona(AT, "a"),
        keys.listed_ticket("job", "open", AT, "a"),
    }
    assert {key.split("#")[0] for key in found} == {"RUN", "WORKFLOW", "TRASH", "KEY", "PERSONA", "TICKET"}


def test_a_workflows_related_entities_do_not_mix_with_its_runs() -> None:
    found = keys.listed_related("issue", AT, "d")
    assert found == f"{keys.listed_entities('issue')}{INSTANT}#d"
    assert not found.startswith("RUN#")


def test_tickets_of_one_kind_and_status_make_one_list() -> None:
    first, second = (keys.listed_ticket("job", "open", AT + timedelta(microseconds=n), "t") for n in (0, 1))
    prefix = keys.listed_tickets("job", "open")
    assert first == f"{prefix}{INSTANT}#t"
    assert (
        first < prefix + keys.until(AT) < second < prefix + keys.until(None) < keys.listed_tickets("job", "timed_out")
    )


@pytest.mark.parametrize("impossible", ["", "a#b", "#", "x" * 256, "a\nb", "\ud800", "ö", "a\x00"])
def test_a_slug_that_reaches_into_other_keys_is_refused(impossible: str) -> None:
    with pytest.raises(ImpossibleId):
        keys.slug("p", impossible)


def test_the_longest_slug_has_a_place() -> None:
    assert keys.slug("p", "x" * 255).sk == "SLUG#" + "x" * 255


def test_an_event_key_of_any_text_is_part_of_ours_as_a_digest_only() -> None:
    key = keys.event_wait("p", "any # text \ud800\n" * 50, "t")
    assert key.sk == "WAIT#t"
    assert key.pk.startswith("EVENTKEY#p#")
    assert len(key.pk) == len("EVENTKEY#p#") + 64
    assert key.pk != keys.event_waits("p", "another")


def test_ids_are_read_back_from_keys() -> None:
    assert keys.id_of(keys.run("r-1").pk) == "r-1"
    assert keys.member_of(keys.step("r", "a.1.b").sk) == "a.1.b"
    assert keys.member_of(keys.position(AT, "id")) == "id"


def test_a_run_stays_in_one_shard_and_shards_are_all_used() -> None:
    shards = [keys.sweep_shard(f"run-{number}") for number in range(200)]
    assert shards == [keys.sweep_shard(f"run-{number}") for number in range(200)]
    assert set(shards) == set(keys.SWEEP_SHARDS)
