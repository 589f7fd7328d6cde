"""Whether the parts that Stepwell stands on answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chalicelib.gateways.errors import Unavailable
from chalicelib.services import outside
from chalicelib.store import table
from chalicelib.store.errors import StoreError


def check() -> Mapping[str, bool]:
    """Return whether each part is there and ours to use."""
    here = outside.current()
    return {
        "table": _answers(table.check),
        "bucket": _answers(here.payloads.check),
        "state_machine": _answers(here.parking.check),
    }


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (StoreError, Unavailable):
        return False
    return True
