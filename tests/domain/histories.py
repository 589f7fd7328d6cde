"""Random histories of a workflow's runs: they end, are reopened, and end again, each in its own way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from hypothesis import strategies as st

from chalicelib.domain.periods import Granularity
from chalicelib.domain.run import ENDED, Run, RunCommand, RunStatus, move
from chalicelib.domain.usage import ModelUsage, Units

#: Clocks go back in New York and St John's on 1 November 2026, and forward on Lord Howe Island on 4 October, by half an
#: hour.
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo")
_CLOCKS_CHANGE = (datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 10, 3, 15, tzinfo=UTC))
_ENDINGS = (RunCommand.COMPLETE, RunCommand.FAIL, RunCommand.TIME_OUT, RunCommand.CANCEL)


def a_run(number: int = 0, **changes: object) -> Run:
    """Return a run that has started and not ended."""
    at = datetime(2026, 10, 1, tzinfo=UTC)
    run = Run(
        id=f"run-{number}",
        project_id="p",
        workflow_id="wf",
        version_id="v",
        version=1,
        connection_id="c",
        status=RunStatus.RUNNING,
        triggered_by="api",
        created_by="ada",
        created_at=at,
        updated_at=at,
        started_at=at,
    )
    return replace(run, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Change:
    """That a run ended, or was reopened."""

    before: Run
    after: Run


def moments() -> st.SearchStrategy[datetime]:
    """Return moments about changes of the clocks, many of them a full hour or quarter, where days may begin."""
    full = st.builds(
        lambda start, quarters: start + quarters * timedelta(minutes=15),
        st.sampled_from(_CLOCKS_CHANGE),
        st.integers(-40 * 96, 12 * 96),
    )
    return full | st.builds(lambda at, late: at + timedelta(microseconds=late), full, st.integers(-(10**6), 10**9))


def usages() -> st.SearchStrategy[tuple[ModelUsage, ...]]:
    """Return what agents report."""
    one = st.builds(
        ModelUsage,
        tool=st.sampled_from(["claude", "codex"]),
        model=st.sampled_from(["", "opus", "sonnet"]),
        input_tokens=st.integers(0, 10**6),
        output_tokens=st.integers(0, 10**6),
        cost_nano_usd=st.integers(0, 10**11),
    )
    return st.lists(one, max_size=3, unique_by=lambda used: (used.tool, used.model)).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """Return what happened to some runs, each step of it, and their last state in the last change of each."""
    found: list[Change] = []
    for number in range(draw(st.integers(0, 6))):
        started = draw(st.none() | moments())
        status = RunStatus.PENDING if started is None else RunStatus.RUNNING
        run = a_run(
            number, status=status, started_at=started, units=draw(st.builds(Units, invocations=st.integers(0, 99)))
        )
        for _ in range(draw(st.integers(1, 4))):
            command = RunCommand.REOPEN if run.status.ended else draw(st.sampled_from(_ENDINGS))
            if run.status is RunStatus.PENDING:
                command = RunCommand.CANCEL
            before = run if command is RunCommand.REOPEN else replace(run, usage=draw(usages()))
            run, _ = move(before, command, actor="ada", at=draw(moments()))
            found.append(Change(before=before, after=run))
    return found


@dataclass(frozen=True, kw_only=True)
class Recount:
    """What a period's runs came to, counted one by one."""

    completed: int
    failed: int
    canceled: int
    durations: tuple[int, ...]
    invocations: int
    cost_nano_usd: int


def recounted(runs: list[Run]) -> Recount:
    """Count runs one by one."""
    timed = [run for run in runs if run.started_at is not None]
    return Recount(
        completed=sum(run.status is RunStatus.COMPLETED for run in runs),
        failed=sum(run.status in {RunStatus.FAILED, RunStatus.TIMED_OUT} for run in runs),
        canceled=sum(run.status is RunStatus.CANCELED for run in runs),
        durations=tuple(sorted(_milliseconds(run) for run in timed)),
        invocations=sum(run.units.invocations for run in runs),
        cost_nano_usd=sum(used.cost_nano_usd for run in runs for used in run.usage),
    )


def by_period(
    runs: list[Run], granularity: Granularity, zone: tzinfo, first: date, last: date
) -> Mapping[str, Recount]:
    """Count runs that have ended, by the period in which they did, one by one, and every period of the window."""
    found: dict[str, list[Run]] = {_name(day, granularity): [] for day in _days(first, last)}
    for run in runs:
        ended_on = run.finished_at.astimezone(zone).date() if run.finished_at and run.status in ENDED else None
        if ended_on is not None and first <= ended_on <= last:
            found[_name(ended_on, granularity)].append(run)
    return {name: recounted(ended) for name, ended in found.items()}


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _name(day: date, granularity: Granularity) -> str:
    return day.strftime({"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m"}[granularity])


def _milliseconds(run: Run) -> int:
    assert run.finished_at is not None
    assert run.started_at is not None
    return max(0, (run.finished_at - run.started_at) // timedelta(milliseconds=1))
