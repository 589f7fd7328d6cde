"""One verb on many objects: each by itself, some at a time, so that the trouble of one is told and spoils no other."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib import logs
from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.refusal import Conflict, Refusal, TryLater
from chalicelib.logs import Action
from chalicelib.services import identifiers, retries, verbs
from chalicelib.services.availability import PASSING
from chalicelib.services.clock import Clock
from chalicelib.services.faults import describe
from chalicelib.services.outside import Outside, current
from chalicelib.services.verbs import Ask

#: Those that are acted on at the same time. A verb on a run with a live driver waits 300 ms: a hundred take 4 seconds.
SIDE_BY_SIDE: Final = 8


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of one of many."""

    #: The run's or workflow's that was named.
    id: str
    #: The run that was started in its place, if that was asked for and is done.
    new_id: str | None = None
    #: Why it was not done; none where it was.
    refused: Refusal | None = None


def cancel(
    project_id: str,
    run_ids: Sequence[str],
    *,
    ask: Ask,
    now: datetime,
    outside: Outside | None = None,
    clock: Clock | None = None,
) -> tuple[Done, ...]:
    """End each run that has not ended, and say what became of each, in the order given."""
    outside = outside or current()

    def canceled(run_id: str) -> Done:
        verbs.terminate(project_id, run_id, ask=ask, manners=WORKFLOW_RUNS_API, now=now, outside=outside, clock=clock)
        return Done(id=run_id)

    return each(run_ids, canceled, noun="Run")


def replay(
    project_id: str,
    run_ids: Sequence[str],
    *,
    new_id: Callable[[str], str],
    ask: Ask,
    now: datetime,
    outside: Outside | None = None,
) -> tuple[Done, ...]:
    """Start each run that has ended anew, under the id that ``new_id`` has for it; say what became of each."""
    outside = outside or current()
    # The runs of one workflow share its settings; two threads that read them at once read the same.
    settings_of = functools.cache(retries.settings_of)

    def replayed(run_id: str) -> Done:
        started = retries.retry(
            project_id, run_id, new_id=new_id(run_id), ask=ask, now=now, outside=outside, settings_of=settings_of
        )
        return Done(id=run_id, new_id=started.id)

    return each(run_ids, replayed, noun="Run")


def each(ids: Sequence[str], act: Callable[[str], Done], *, noun: str) -> tuple[Done, ...]:
    """Act on each object once; an id that is given again counts as failed, and so does one that nothing can have."""
    # What each does is counted and told with the request that asks for all of them.
    each_in = [(contextvars.copy_context(), one) for one in dict.fromkeys(ids)]
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        acted = {done.id: done for done in pool.map(lambda one: one[0].run(_told, one[1], act, noun), each_in)}
    again = {id_: Done(id=id_, refused=Conflict("duplicate")) for id_ in acted}
    return tuple(acted.pop(id_, again[id_]) for id_ in ids)


def _told(id_: str, act: Callable[[str], Done], noun: str) -> Done:
    try:
        return act(identifiers.known_form(id_, noun))
    except Refusal as refused:
        return Done(id=id_, refused=refused)
    except PASSING as error:
        logs.tell(Action.PART_UNAVAILABLE, of=noun, id=id_, fault=describe(error))
        later = TryLater("a part of Stepwell does not answer at this moment; try again")
        return Done(id=id_, refused=later)
    except Exception as error:  # noqa: BLE001 - the outermost loop: what befalls one must not spoil the others
        logs.tell(Action.BULK_FAILED, of=noun, id=id_, fault=describe(error))
        return Done(id=id_, refused=TryLater("internal error"))
