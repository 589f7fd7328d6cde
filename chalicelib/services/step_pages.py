"""What became of a run's steps, to be shown: as many at a time as fit into one answer, what is large in them fetched.

How much a step holds is known without fetching it, so that nothing is fetched which is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from chalicelib.domain.definition import Definition
from chalicelib.domain.refusal import Invalid
from chalicelib.domain.run import Run
from chalicelib.domain.step import PastAttempt
from chalicelib.domain.timeline import Entry, places_of, position
from chalicelib.domain.value import Offloaded, Value, size_of
from chalicelib.services import inspections
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import INLINE_BYTES, Values
from chalicelib.store import keys, paging
from chalicelib.store.paging import Page

#: In bytes of JSON. On its way out of Lambda an answer is escaped once more, which at worst doubles it, and Lambda
#: answers with 6 MB at most.
MOST_BYTES: Final = 2_500_000
#: The output of an earlier attempt is shown up to this many bytes of JSON.
LONGEST_PAST: Final = 16 * 1024
#: What a step's other fields, or an attempt's, come to at most.
_FRAME: Final = 1024


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A run, and what became of some of its steps."""

    run: Run
    page: Page[Entry]


def page(
    project_id: str,
    run_id: str,
    *,
    attempts: bool,
    cursor: str | None,
    outside: Outside | None = None,
) -> Steps:
    """Return what became of a run's steps, in the definition's order, from a cursor on; at least one, if any is left.

    ``attempts`` says whether their earlier attempts are wanted too.
    """
    inspection = inspections.load(project_id, run_id, outside=outside)
    run, definition, values = inspection.run, inspection.progress.definition, inspection.values
    left = list(_after(inspection.in_order(), definition, cursor))
    shown: list[Entry] = []
    room = MOST_BYTES
    for one in left:
        wanted = one if attempts else replace(one, attempts=())
        room -= _weight(wanted)
        if room < 0 and shown:
            break
        shown.append(wanted)
    more = len(shown) < len(left)
    return Steps(
        run=run,
        page=Page(
            items=tuple(_fetched(one, values) for one in shown),
            cursor=_cursor(run, definition, shown[-1].key) if more else None,
        ),
    )


def one(project_id: str, run_id: str, key: str, *, attempts: bool, outside: Outside | None = None) -> Steps:
    """Return what became of one step of a run; NotFound where the run has none of that key."""
    inspection = inspections.load(project_id, run_id, outside=outside)
    found = inspection.step(key)
    shown = _fetched(found if attempts else replace(found, attempts=()), inspection.values)
    return Steps(run=inspection.run, page=Page(items=(shown,), cursor=None))


def fetched(run: Run, step: Entry, *, outside: Outside | None = None) -> Entry:
    """Return a step with its output, and earlier attempts' short ones, fetched where they lie outside its record."""
    return _fetched(step, Values(project_id=run.project_id, payloads=(outside or current()).payloads))


def _after(found: tuple[Entry, ...], definition: Definition, cursor: str | None) -> Iterator[Entry]:
    """Yield the steps from a cursor on. Iterations that have begun meanwhile shift nothing: a place is a place."""
    if cursor is None:
        yield from found
        return
    try:
        last = tuple(map(int, keys.member_of(paging.decoded(cursor)).split(".")))
    except ValueError as error:
        raise Invalid("cursor is not one that this list returned", field="cursor") from error
    places = places_of(definition)
    yield from (one for one in found if position(one.key, places) > last)


def _cursor(run: Run, definition: Definition, key: str) -> str:
    place = ".".join(map(str, position(key, places_of(definition))))
    return paging.encoded(keys.position(run.created_at, place))


def _weight(one: Entry) -> int:
    said = size_of(one.error.message) if one.error is not None else 0
    return _FRAME + said + _size(one.output) + sum(map(_past_weight, one.attempts))


def _past_weight(attempt: PastAttempt) -> int:
    said = size_of(attempt.error.message) if attempt.error is not None else 0
    return _FRAME + said + (_size(attempt.output) if _is_short(attempt.output) else 0)


def _size(value: Value) -> int:
    """Return what a value comes to; one that must be fetched takes time, and counts as what would lie in the record."""
    return max(INLINE_BYTES, value.size) if isinstance(value, Offloaded) else size_of(value)


def _is_short(value: Value) -> bool:
    return (value.size if isinstance(value, Offloaded) else size_of(value)) <= LONGEST_PAST


def _fetched(one: Entry, values: Values) -> Entry:
    past = (replace(each, output=_short(each.output, values)) for each in one.attempts)
    return replace(one, output=values.fetched(one.output), attempts=tuple(past))


def _short(value: Value, values: Values) -> Value:
    return values.fetched(value) if _is_short(value) else None
