"""What a workflow's runs have to do with: each run counts once, each learning has its versions, none is lost."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from chalicelib.domain.related import Issue, Learning, RelatedCounts, RelatedKind
from chalicelib.services import related
from chalicelib.store import related as store
from tests.store.builders import NOW, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_workflows = itertools.count(1)


@pytest.fixture
def workflow() -> str:
    return f"wf-related-{next(_workflows)}"


def report(
    workflow: str,
    run: str,
    *,
    issues: tuple[str, ...] = (),
    learnings: tuple[tuple[str, str], ...] = (),
    persona: str | None = None,
    severity: str = "low",
    at: datetime = NOW,
) -> None:
    related.record(
        "p",
        workflow,
        run,
        issues=[Issue(title=title, severity=severity) for title in issues],
        learnings=[Learning(title=title, body=body) for title, body in learnings],
        persona_id=persona,
        now=at,
    )


def issues(workflow: str) -> list[tuple[str, str | None, int]]:
    return [(one.name, one.severity, one.runs) for one in store.newest(workflow, RelatedKind.ISSUE, 100)]


def learnings(workflow: str) -> set[tuple[str, str | None, int | None, int]]:
    found = store.newest(workflow, RelatedKind.LEARNING, 100)
    return {(one.name, one.body, one.version, one.runs) for one in found}


def test_a_run_counts_once_however_often_it_says_so(workflow: str) -> None:
    for at in range(3):
        report(workflow, "r1", issues=("torn", "torn"), persona="per_1", at=later(at))
    report(workflow, "r2", issues=("torn", "bent"), persona="per_1", severity="high", at=later(9))
    assert sorted(issues(workflow)) == [("bent", "high", 1), ("torn", "high", 2)]
    [persona] = store.newest(workflow, RelatedKind.PERSONA, 100)
    assert (persona.name, persona.runs, persona.first_at, persona.last_at) == ("per_1", 2, NOW, later(9))
    assert store.counts(workflow) == RelatedCounts(personas=1, issues=2)


def test_the_last_met_comes_first(workflow: str) -> None:
    for place, title in enumerate(("a", "b", "c", "a")):
        report(workflow, f"r{place}", issues=(title,), at=later(place))
    assert [title for title, _, _ in issues(workflow)] == ["a", "c", "b"]
    assert [one.name for one in store.newest(workflow, RelatedKind.ISSUE, 2)] == ["a", "c"]


def test_another_text_under_a_title_is_its_next_version(workflow: str) -> None:
    report(workflow, "r1", learnings=(("colour", "red"), ("colour", "blue"), ("size", "A3")))
    report(workflow, "r2", learnings=(("colour", "green"),))
    report(workflow, "r3", learnings=(("colour", "red"),))
    assert learnings(workflow) == {
        ("colour", "red", 1, 2),
        ("colour", "blue", 2, 1),
        ("colour", "green", 3, 1),
        ("size", "A3", 1, 1),
    }
    assert store.counts(workflow) == RelatedCounts(learning_versions=4)


def test_a_report_of_very_much_is_recorded_whole(workflow: str) -> None:
    many = tuple(f"issue {place}" for place in range(50))
    report(workflow, "r1", issues=many, learnings=tuple(("one title", title) for title in many[:3]), persona="per_1")
    assert {title for title, _, _ in issues(workflow)} == set(many)
    assert store.counts(workflow) == RelatedCounts(personas=1, issues=50, learning_versions=3)


def test_a_long_text_is_cut(workflow: str) -> None:
    report(workflow, "r1", issues=("t" * 600,), learnings=(("t" * 600, "b" * 5000),), severity="s" * 60)
    assert issues(workflow) == [("t" * 500, "s" * 50, 1)]
    assert learnings(workflow) == {("t" * 500, "b" * 4000, 1, 1)}


def test_of_reports_at_once_none_is_lost_and_versions_stay_dense(workflow: str) -> None:
    def at_once(place: int) -> None:
        bodies = (("colour", f"body {place % 3}"),)
        report(workflow, f"r{place}", issues=("torn",), learnings=bodies, persona="per_1", at=later(place))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(at_once, range(6)))
    assert issues(workflow) == [("torn", "low", 6)]
    found = learnings(workflow)
    assert sorted(version or 0 for _, _, version, _ in found) == [1, 2, 3]
    assert Counter(runs for _, _, _, runs in found) == {2: 3}
    assert store.counts(workflow) == RelatedCounts(personas=1, issues=1, learning_versions=3)


def test_a_workflow_that_nothing_was_reported_of_has_nothing(workflow: str) -> None:
    report(workflow, "r1")
    assert (issues(workflow), store.counts(workflow)) == ([], RelatedCounts())
