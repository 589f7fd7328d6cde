"""What goes in as a domain value comes out as the same one, and is small on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.step import Claim, PastAttempt, Reset, StepError, StepStatus, Wait, WaitKind
from chalicelib.domain.value import Json, Offloaded
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.store import times, values
from tests.store.builders import NOW, a_claim, later

ATTEMPTED = PastAttempt(attempt=1, generation=1, status=StepStatus.FAILED, started_at=None, finished_at=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them naive
CLAIMS = st.builds(
    Claim,
    key=TEXT,
    attempt=st.integers(1, 99),
    at=MOMENTS,
    owner=st.sampled_from(["", "request-1"]),
    deadline=st.none() | MOMENTS,
    generation=st.integers(1, 3),
    failures=st.integers(0, 3),
    losses=st.integers(0, 3),
)


@given(JSON)
def test_any_json_comes_back(value: Json) -> None:
    assert values.value_of(values.inline(value), values.handle(value)) == value


def test_an_offloaded_value_is_kept_as_its_handle() -> None:
    offloaded = Offloaded(digest="ab12", size=99_000)
    assert values.inline(offloaded) is None
    assert values.value_of(None, values.handle(offloaded)) == offloaded


def test_nothing_is_kept_of_null() -> None:
    assert values.inline(None) is None
    assert values.handle(None) is None
    assert values.value_of(None, None) is None


def test_what_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        values.inline(float("nan"))


@given(st.lists(CLAIMS, max_size=4, unique_by=lambda claim: claim.key))
def test_any_claims_come_back(claims: list[Claim]) -> None:
    by_key = {claim.key: claim for claim in claims}
    assert values.claims_of(values.claims_text(by_key)) == by_key


def test_the_claim_of_a_chain_is_short() -> None:
    owner = "0f8fad5b-d9cb-469f-a165-70867728950e"
    text = values.claims_text({"step-17": a_claim("step-17", owner=owner)})
    assert text is not None
    assert len(text) < 100


@pytest.mark.parametrize("error", [None, StepError(code="a", message="b"), StepError(code="a", message="b", step="c")])
def test_any_error_comes_back(error: StepError | None) -> None:
    assert values.error_of(values.error_text(error)) == error


@pytest.mark.parametrize(
    "wait",
    [
        None,
        Wait(kind=WaitKind.SLEEP, until=NOW),
        Wait(kind=WaitKind.EVENT, event_type="paid", until=later(5)),
        Wait(kind=WaitKind.APPROVAL, event_type="approval-a", note="Sure?", approvers=("ann", "bob")),
        Wait(kind=WaitKind.APPROVAL, event_type="approval-a", forbid_self_approval=True, ticket="t"),
        Wait(kind=WaitKind.JOB, event_type="ticket:a:1:0", ticket="t"),
    ],
)
def test_any_wait_comes_back(wait: Wait | None) -> None:
    assert values.wait_of(values.wait_text(wait)) == wait


PAST_ATTEMPTS = st.builds(
    PastAttempt,
    attempt=st.integers(1, 99),
    generation=st.integers(1, 3),
    status=st.sampled_from(list(StepStatus)),
    started_at=st.none() | MOMENTS,
    finished_at=st.none() | MOMENTS,
    output=JSON | st.just(Offloaded(digest="ab12", size=99_000)),
    error=st.none() | st.builds(StepError, code=TEXT, message=TEXT, step=st.none() | TEXT),
    event_id=st.none() | TEXT,
)
RESETS = st.builds(
    Reset,
    generation=st.integers(2, 9),
    step=TEXT,
    subtree=st.booleans(),
    reopened=st.booleans(),
    forced=st.booleans(),
)
SETTINGS = st.builds(
    WorkflowSettings,
    timeout=st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=366)),
    max_concurrent_runs=st.integers(0, 9),
    max_parallel_steps=st.integers(0, 9),
    cron=st.none() | TEXT,
    cron_timezone=st.just("UTC") | TEXT,
    skip_if_running=st.booleans(),
    enabled=st.booleans(),
    tags=st.dictionaries(TEXT, TEXT, max_size=3),
)


@given(st.lists(PAST_ATTEMPTS, max_size=3).map(tuple))
def test_any_past_attempts_come_back(attempts: tuple[PastAttempt, ...]) -> None:
    assert values.attempts_of(values.attempts_text(attempts)) == attempts


def test_what_an_attempt_does_not_say_is_not_kept() -> None:
    assert values.attempts_text([]) is None
    assert values.attempts_text([ATTEMPTED]) == '[[1,1,"failed"]]'
    moment = values.attempts_text([replace(ATTEMPTED, started_at=NOW)])
    assert moment == f'[[1,1,"failed",{times.microseconds_of(NOW)}]]'


@given(st.lists(RESETS, max_size=3).map(tuple))
def test_any_resets_come_back(resets: tuple[Reset, ...]) -> None:
    assert values.resets_of(values.resets_text(resets)) == resets


@given(SETTINGS)
def test_any_settings_come_back(settings: WorkflowSettings) -> None:
    assert values.settings_of(values.settings_text(settings)) == settings


def test_nothing_is_kept_of_usual_settings_resets_and_lists() -> None:
    assert values.settings_text(WorkflowSettings()) is None
    assert values.resets_text(()) is None
    assert values.texts_text(()) is None
    assert values.settings_text(WorkflowSettings(enabled=False)) == '{"enabled":false}'


@given(MOMENTS)
def test_any_moment_comes_back_to_the_microsecond(at: datetime) -> None:
    assert times.time_of(times.text_of(at)) == at
    assert times.from_microseconds(times.microseconds_of(at)) == at


@given(MOMENTS, MOMENTS)
def test_texts_of_moments_sort_as_moments_do(one: datetime, other: datetime) -> None:
    assert (times.text_of(one) < times.text_of(other)) == (one < other)


def test_a_moment_elsewhere_is_kept_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert times.text_of(there) == times.text_of(NOW)


@pytest.mark.parametrize("text", ["", "now", "2026-11-22", "2026-11-22T07:30:00Z", "2026-11-22T07:30:00.000000+01:00"])
def test_only_text_that_was_written_so_is_a_moment(text: str) -> None:
    with pytest.raises(ValueError):
        times.time_of(text)


def test_milliseconds_drop_what_is_finer() -> None:
    assert times.from_milliseconds(times.milliseconds_of(NOW)) == NOW.replace(microsecond=123000)
    assert times.seconds_of(NOW) == int(NOW.timestamp())
