"""What a run has used of AWS, as its writes carry it: what adds to it, and what the carrying writes cost themselves.

What a write costs is known once it is made, too late to be carried by it. So those that carry are given here what they
cost a run of ordinary size: a root of at most 1 KB.
"""

from __future__ import annotations

from typing import Final

from pynamodb.expressions.update import Action

from chalicelib.domain.run import Run
from chalicelib.domain.usage import UNIT_NAMES, Units
from chalicelib.domain.value import Offloaded, Value, size_of
from chalicelib.store import usages
from chalicelib.store.run_items import LARGEST_IN_ROOT, RunItem

_KB: Final = 1024
#: Units of putting a run: itself, its entries in two lists, and one in the sweep's index.
_CREATION: Final = 1 + 2 + 1
#: Of its end: itself, its entries in two lists, which move, and the one in the sweep's index, which goes.
_END: Final = 1 + 4 + 1
#: Of adding it to its workflow's statistics, of the day and of the quarter of an hour.
_STATISTICS: Final = 2
#: Of telling its parent: an event, and the parent with its entry in the sweep's index, which moves.
_TELLING: Final = 1 + 1 + 2

#: Of the write that gives a lease back: the run, and its entry in the sweep's index, which moves.
RELEASE: Final = Units(write_halves=2 + 4)
#: Of what parks a run after that: its two states, and the write of its token.
PARKING: Final = Units(write_halves=2, transitions=2)
#: Of the write by which `work` has the run looked at.
WAKE: Final = Units(write_halves=2)


def creation(run: Run, *, beside: int) -> Units:
    """Return what it costs to put a run, with so many other items in the same transaction, and to number it before."""
    numbering = 2 if run.number is not None else 0
    # A payload apart goes with the run, each KB of it like an item of its own.
    return Units(
        write_halves=_written(_CREATION, beside + _apart(run.payload) // 2) + numbering,
        s3_writes=1 if isinstance(run.payload, Offloaded) else 0,
    )


def end(run: Run) -> Units:
    """Return what it costs to record the end of a run: its entries in lists move, and its parent is told."""
    beside = _STATISTICS + (1 if run.counted else 0) + (_TELLING if run.parent_run_id is not None else 0)
    return Units(write_halves=_written(_END, beside) + _apart(run.output))


def _written(units: int, beside: int) -> int:
    """Return the halves of a write of so many units with so many others beside it: in a transaction all count twice.

    Of entries in indexes, that is what DynamoDB Local says; what AWS charges for those may be less.
    """
    return 2 * units if beside == 0 else 4 * (units + beside)


def _apart(value: Value) -> int:
    """Return what it costs to write a value apart from the run; one that lies in S3 has been counted there."""
    size = 0 if isinstance(value, Offloaded) else size_of(value)
    return 2 * -(-size // _KB) if size > LARGEST_IN_ROOT else 0


def additions(used: Units) -> list[Action]:
    """Return what adds to what a run has used; of two that add at once both are counted."""
    attributes = RunItem.get_attributes()
    counted = {usages.USED[name]: getattr(used, name) for name in UNIT_NAMES}
    return [attributes[name].add(count) for name, count in counted.items() if count]
