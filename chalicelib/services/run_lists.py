"""Lists of a workflow's runs, newest first, in any statuses together."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from chalicelib.domain.run import Run, RunStatus
from chalicelib.services import workflows
from chalicelib.store import keys, paging, run_lists
from chalicelib.store.paging import Page


def page(
    project_id: str,
    workflow_id: str,
    *,
    statuses: Sequence[RunStatus] | None,
    cursor: str | None,
    limit: int,
) -> Page[Run]:
    """Return a page of a workflow's runs; None is every status, and an unknown or foreign workflow is NotFound.

    The runs of a deleted workflow can be listed still.
    """
    workflow = workflows.load_even_deleted(project_id, workflow_id)
    wanted: Sequence[RunStatus | None] = [None] if statuses is None else statuses
    pages = [run_lists.page_of_workflow(workflow.id, status=one, cursor=cursor, limit=limit) for one in wanted]
    return pages[0] if len(pages) == 1 else merged(pages, limit)


def merged(pages: Sequence[Page[Run]], limit: int) -> Page[Run]:
    """Return one page of several that begin at the same place.

    Cursors are places in time, the same in each list. Beyond the nearest end of a page that has more to come, nothing
    is taken: what its list has there has not been read.
    """
    ends = [paging.decoded(one.cursor) for one in pages if one.cursor is not None]
    nearest = max(ends, default="")
    placed = {keys.position(run.created_at, run.id): run for one in pages for run in one.items}
    within = [place for place in placed if place >= nearest]
    taken = heapq.nlargest(limit, within)
    if len(within) > limit:
        last: str | None = taken[-1]
    else:
        last = nearest or None
    return Page(items=tuple(placed[place] for place in taken), cursor=paging.encoded(last) if last else None)
