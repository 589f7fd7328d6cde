"""Measures scenarios on one stack: what they ask of AWS in one go, then their time against the floor, in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from infra.local import LocalStack
from tests.bench import floor
from tests.bench.floor import Puts
from tests.bench.meter import Counts, metered
from tests.bench.scenarios import Scenario, Timed

#: Puts of the floor on either side of each go: as many as it has steps, within these.
_FEWEST_PUTS: Final = 50
_MOST_PUTS: Final = 500


@dataclass(frozen=True, kw_only=True)
class Round:
    """One go, and the floor beside it."""

    timed: Timed
    #: A put, of those just before and just after.
    put: Puts


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of a scenario."""

    name: str
    steps: int
    counts: Counts
    rounds: tuple[Round, ...]

    @property
    def step_ms(self) -> float:
        """Milliseconds a step, the steps' own time taken off."""
        return self._median(lambda each: 1000 * (each.timed.whole - each.timed.own) / self.steps)

    @property
    def driving_ms(self) -> float:
        """Milliseconds a step from the first invocation on, the steps' own time taken off."""
        return self._median(lambda each: 1000 * (each.timed.driving - each.timed.own) / self.steps)

    @property
    def own_ms(self) -> float:
        """Milliseconds a step that the steps' own calls take alone."""
        return self._median(lambda each: 1000 * each.timed.own / self.steps)

    @property
    def put_ms(self) -> float:
        """Milliseconds a put of the floor."""
        return self._median(lambda each: 1000 * each.put.wall)

    @property
    def ratio(self) -> float:
        """How many puts of the floor a step takes; each round is compared with its own floor."""
        return self._median(lambda each: (each.timed.whole - each.timed.own) / self.steps / each.put.wall)

    @property
    def driving_ratio(self) -> float:
        """The same, from the first invocation on."""
        return self._median(lambda each: (each.timed.driving - each.timed.own) / self.steps / each.put.wall)

    @property
    def cpu_ratio(self) -> float:
        """How much processor time a step takes, in puts of the floor: the same, whatever else the machine does."""
        return self._median(lambda each: each.timed.cpu / self.steps / each.put.cpu)

    def _median(self, of: Callable[[Round], float]) -> float:
        return statistics.median(map(of, self.rounds))

    def as_json(self) -> dict[str, Any]:
        """Return it as the JSON report has it."""
        return {
            "steps": self.steps,
            "step_ms": self.step_ms,
            "step_ms_driving": self.driving_ms,
            "own_ms": self.own_ms,
            "floor_put_ms": self.put_ms,
            "floors_a_step": self.ratio,
            "floors_a_step_driving": self.driving_ratio,
            "floors_a_step_cpu": self.cpu_ratio,
            "rounds": [
                {
                    "whole": one.timed.whole,
                    "driving": one.timed.driving,
                    "own": one.timed.own,
                    "cpu": one.timed.cpu,
                    "put": vars(one.put),
                }
                for one in self.rounds
            ],
            **self.counts.as_json(),
        }


def measure(
    stack: LocalStack, scenarios: Mapping[str, Scenario], *, rounds: int, say: Callable[[str], None]
) -> dict[str, Measured]:
    """Measure all scenarios, a go of each in every round, so that what slows the machine slows all alike."""
    with ExitStack() as until:
        for scenario in scenarios.values():
            scenario.prepare(stack, until)
        return _measured(stack, scenarios, rounds, say)


def _measured(
    stack: LocalStack, scenarios: Mapping[str, Scenario], rounds: int, say: Callable[[str], None]
) -> dict[str, Measured]:
    counted: dict[str, Counts] = {}
    for name, scenario in scenarios.items():
        scenario.go()  # the first go: the definition is compiled and kept, connections are opened
        with metered(stack) as counts:
            scenario.go()
        scenario.check()
        counted[name] = counts
    goes: dict[str, list[Round]] = {name: [] for name in scenarios}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, scenario in scenarios.items():
            goes[name].append(_round(scenario))
    return {
        name: Measured(name=name, steps=scenario.steps, counts=counted[name], rounds=tuple(goes[name]))
        for name, scenario in scenarios.items()
    }


def _round(scenario: Scenario) -> Round:
    puts = min(max(scenario.steps // 2, _FEWEST_PUTS), _MOST_PUTS)
    before = floor.puts(puts)
    timed = scenario.go()
    after = floor.puts(puts)
    scenario.check()
    floor.clear(puts)
    put = Puts(wall=(before.wall + after.wall) / 2, cpu=(before.cpu + after.cpu) / 2)
    return Round(timed=timed, put=put)
