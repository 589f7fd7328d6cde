"""The engine's rules, held against random definitions to which anything happens in any order.

Steps complete, fail, wait; events come early, late and twice; drivers crash, between writes and in the middle of them,
come back, and run out of time; others record results that the driver learns of afterwards; the run is paused, resumed
and canceled; people skip, complete, approve, reject, retry and replay steps, of runs that have ended too, while drivers
end attempts without having seen it. ``Walk.check`` says what must hold after each of these. ``EXAMPLES=20000`` searches
harder than the tests do.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.definition import Definition
from tests.domain.strategies import Happening, afterwards, definitions, disabled, happenings
from tests.domain.walk import Walk

#: In CI the same examples are tried each time: what fails there can be had again.
SEARCH = settings(
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "400")),
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)


@SEARCH
@given(definitions(), st.integers(0, 3), disabled, happenings, afterwards)
def test_whatever_happens_to_a_run_the_rules_hold_and_it_ends(
    definition: Definition,
    parallel: int,
    off: tuple[str, ...],
    happened: list[Happening],
    reopened: list[Happening],
) -> None:
    walk = Walk(definition, parallel=parallel, disabled=off)
    for happening in happened:
        walk.happen(happening)
    walk.finish()
    for happening in reopened:
        walk.happen(happening)
        walk.finish()
