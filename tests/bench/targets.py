"""The targets, each with what was measured and whether it is met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.run import RunStatus
from tests.bench import analytics, library, lists
from tests.bench.imports import Imports
from tests.bench.measure import Measured
from tests.bench.meter import Counts

MOST_WRITES_BESIDE_STEPS: Final = 6
MOST_WRITE_UNITS: Final = 1.5
MOST_FLOORS: Final = 2.0
EVENNESS: Final = 0.2
LEAST_RATE: Final = 1 / 3
MOST_TRANSITIONS: Final = 3
MOST_SIGNAL_FLOORS: Final = 6.0
LIKE_A_CHAIN: Final = 0.3
MOST_LIST_GROWTH: Final = 1.2
MOST_CALLS_OF_A_VERB: Final = 4
MOST_CALLS_OF_A_START: Final = 5
MOST_IMPORT: Final = 1.4
MOST_RESIDENT_MB: Final = 130.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """One target."""

    name: str
    #: What it asks for, and what was measured, as text.
    wanted: str
    figure: str
    #: None: a figure that explains another, with no target of its own.
    met: bool | None

    @property
    def verdict(self) -> str:
        """In a word."""
        return "" if self.met is None else ("met" if self.met else "MISSED")


def of_stack(measured: Mapping[str, Measured], *, exact: bool) -> Iterator[Target]:
    """Yield the targets of what ran on one stack; ``exact``: its units and times are those of a real DynamoDB."""
    chains = [measured[name] for name in ("chain-10", "chain-100", "chain-1000") if name in measured]
    for chain in chains:
        yield _at_most(f"{chain.name}: writes", chain.counts.writes, chain.steps + MOST_WRITES_BESIDE_STEPS, "{:g}")
    if exact:
        yield from _units(chains)
        yield from _times(measured)
        yield from _evenness(measured)
        yield from _ready_steps(measured)
        yield from _lists(measured)
        yield from _analytics(measured)
        yield from _libraries(measured)
        if "runs" in measured:
            rate = 1 / measured["runs"].ratio
            yield Target(
                name="runs: steps a second, in puts of the floor a second",
                wanted=f">= {LEAST_RATE:.2f}",
                figure=f"{rate:.2f} ({1000 / measured['runs'].step_ms:.0f} to {1000 / measured['runs'].put_ms:.0f})",
                met=rate >= LEAST_RATE,
            )
    for name, one in measured.items():
        most = MOST_TRANSITIONS if name in {"wait", "signal"} else 0
        if one.counts.invocations:
            yield _at_most(f"{name}: state transitions", one.counts.transitions, most, "{:g}")


def of_verbs(asked: Mapping[str, Counts]) -> Iterator[Target]:
    """Yield the targets of verbs on a run that is held in Step Functions."""
    for name, counts in asked.items():
        yield _at_most(f"{name}, of a held run: calls to AWS", counts.all_calls, MOST_CALLS_OF_A_VERB, "{:g}")


def of_starts(asked: Mapping[str, Counts]) -> Iterator[Target]:
    """Yield the targets of starts of runs."""
    for name, counts in asked.items():
        yield _at_most(f"{name}: calls to AWS", counts.all_calls, MOST_CALLS_OF_A_START, "{:g}")


def of_imports(imports: Imports) -> Iterator[Target]:
    """Yield the targets of `import app`."""
    yield _at_most("import app: time, in imports of its libraries", imports.ratio, MOST_IMPORT, "{:.2f}")
    bare = f"{imports.module_ratio:.2f}"
    yield Target(name="  in imports of their top modules, no name asked for", wanted="", figure=bare, met=None)
    yield _at_most("import app: resident MB", imports.resident_mb, MOST_RESIDENT_MB, "{:.0f}")


def _units(chains: list[Measured]) -> Iterator[Target]:
    if len(chains) > 1:
        short, long = chains[0], chains[-1]
        marginal = (long.counts.write_units - short.counts.write_units) / (long.steps - short.steps)
        yield _at_most(f"one step more, {short.name} to {long.name}: write units", marginal, MOST_WRITE_UNITS, "{:.3f}")
    for chain in chains:
        yield _at_most(f"{chain.name}: write units a step", chain.counts.write_units / chain.steps, MOST_WRITE_UNITS)


def _times(measured: Mapping[str, Measured]) -> Iterator[Target]:
    for name in ("chain-10", "chain-100", "chain-1000", "fan-transform", "fan-http"):
        if name in measured:
            one = measured[name]
            yield _at_most(f"{name}: time a step, in puts of the floor", one.ratio, MOST_FLOORS)
            yield Target(name="  without API and Lambda", wanted="", figure=f"{one.driving_ratio:.2f}", met=None)

    if "signal" in measured:
        one = measured["signal"]
        name = "signal: event sent to run completed, in puts of the floor"
        yield _at_most(name, one.ratio, MOST_SIGNAL_FLOORS)
        yield Target(name="  without API and Lambda", wanted="", figure=f"{one.driving_ratio:.2f}", met=None)


def _ready_steps(measured: Mapping[str, Measured]) -> Iterator[Target]:
    if {"ready-1000", "chain-1000"} <= measured.keys():
        ready, chain = measured["ready-1000"], measured["chain-1000"]
        yield _even("time a step of 1,000 ready at once, to that of a chain", ready.ratio / chain.ratio, LIKE_A_CHAIN)
        units = ready.counts.write_units / chain.counts.write_units
        yield _even("  write units", units, LIKE_A_CHAIN)


def _lists(measured: Mapping[str, Measured]) -> Iterator[Target]:
    for status in (None, RunStatus.COMPLETED):
        few, many = (measured.get(lists.name(count, status)) for count in (lists.FEW, lists.MANY))
        if few is None or many is None:
            continue
        asked = "50 runs" if status is None else f"50 {status} runs"
        same = few.counts.read_units == many.counts.read_units
        units = f"{many.counts.read_units / many.steps:g} to {few.counts.read_units / few.steps:g}"
        yield Target(
            name=f"{asked} of {lists.MANY:,}: read units, to those of 100", wanted="as many", figure=units, met=same
        )
        yield _at_most(f"{asked} of {lists.MANY:,}: time, to that of 100", many.ratio / few.ratio, MOST_LIST_GROWTH)


def _libraries(measured: Mapping[str, Measured]) -> Iterator[Target]:
    few = measured.get(library.name(library.FEW, library.PAGE))
    as_few, page = (measured.get(library.name(library.MANY, limit)) for limit in (library.FEW, library.PAGE))
    if few is None or as_few is None or page is None:
        return
    yield Target(
        name=f"{library.FEW} workflows of {library.MANY:,}: read units, to those of all of {library.FEW}",
        wanted="as many",
        figure=f"{as_few.counts.read_units / as_few.steps:g} to {few.counts.read_units / few.steps:g}",
        met=as_few.counts.read_units == few.counts.read_units,
    )
    yield Target(
        name=f"{library.PAGE} workflows of {library.MANY:,}: calls to AWS, to those of all of {library.FEW}",
        wanted="as many",
        figure=f"{page.counts.all_calls / page.steps:g} to {few.counts.all_calls / few.steps:g}",
        met=page.counts.all_calls == few.counts.all_calls,
    )


def _analytics(measured: Mapping[str, Measured]) -> Iterator[Target]:
    for days in analytics.WINDOWS:
        few, many = (measured.get(analytics.name(count, days)) for count in (analytics.FEW, analytics.MANY))
        if few is None or many is None:
            continue
        same = few.counts.read_units == many.counts.read_units
        units = f"{many.counts.read_units / many.steps:g} to {few.counts.read_units / few.steps:g}"
        name = f"analytics of {days} days, {analytics.MANY:,} runs: read units, to those of 100"
        yield Target(name=name, wanted="as many", figure=units, met=same)


def _evenness(measured: Mapping[str, Measured]) -> Iterator[Target]:
    if not {"chain-10", "chain-100", "chain-1000"} <= measured.keys():
        return
    ten, hundred, thousand = (measured[name] for name in ("chain-10", "chain-100", "chain-1000"))
    yield _even("time a step at 1,000, to that at 10", thousand.ratio / ten.ratio)
    # Without what a run costs once: the slope from 10 to 100 steps, against the slope from 100 to 1,000.
    first = (hundred.ratio * 100 - ten.ratio * 10) / 90
    then = (thousand.ratio * 1000 - hundred.ratio * 100) / 900
    yield _even("  without the run's constant part", then / first)
    constant = (ten.ratio - first) * 10
    text = f"{constant:.1f} a run + {first:.2f} a step to 100, {then:.2f} a step to 1,000"
    yield Target(name="  in puts of the floor", wanted="", figure=text, met=None)


def _even(name: str, figure: float, most: float = EVENNESS) -> Target:
    return Target(
        name=name,
        wanted=f"{1 - most:.1f} to {1 + most:.1f}",
        figure=f"{figure:.2f}",
        met=abs(figure - 1) <= most,
    )


def _at_most(name: str, figure: float, most: float, form: str = "{:.2f}") -> Target:
    return Target(name=name, wanted=f"<= {most:g}", figure=form.format(figure), met=figure <= most)
