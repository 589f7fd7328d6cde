"""Things done at once, from as many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from chalicelib.store.errors import StoreError


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Do all of it at once; return what came of each: ``done`` or the error's name."""
    barrier = threading.Barrier(len(acts))
    outcomes = [""] * len(acts)

    def do(place: int) -> None:
        barrier.wait()
        try:
            acts[place]()
        except StoreError as error:
            outcomes[place] = type(error).__name__
        else:
            outcomes[place] = "done"

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
