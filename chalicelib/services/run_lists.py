"""Lists of a project's or a workflow's runs, newest first: all, in some statuses, or with a tag."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.run import Run, RunStatus
from chalicelib.services import identifiers, workflows
from chalicelib.store import keys, paging, run_lists
from chalicelib.store.paging import Page

#: How many pages of the store are read at most to fill one page, where not every run that is read is wanted.
_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag that runs are looked for by."""

    key: str
    #: None is any.
    value: str | None = None

    def is_on(self, run: Run) -> bool:
        """Whether the run carries it."""
        return self.key in run.tags and self.value in {None, run.tags[self.key]}


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


def narrowed(
    project_id: str,
    *,
    workflow_id: str | None = None,
    status: RunStatus | None = None,
    tag: Tag | None = None,
    cursor: str | None,
    limit: int,
) -> Page[Run]:
    """Return a page of a project's runs, or of one workflow's: in a status or any, with a tag or without.

    No list is kept by tag, so a page of those with one may be short, or empty, and not the last.
    """
    workflow = None
    if workflow_id is not None:
        workflow = workflows.load_even_deleted(project_id, identifiers.known_form(workflow_id, "Workflow"))

    def read(cursor: str | None, limit: int) -> Page[Run]:
        if workflow is None:
            return run_lists.page_of_project(project_id, status=status, cursor=cursor, limit=limit)
        return run_lists.page_of_workflow(workflow.id, status=status, cursor=cursor, limit=limit)

    return read(cursor, limit) if tag is None else sifted(read, tag.is_on, cursor=cursor, limit=limit)


def sifted(
    read: Callable[[str | None, int], Page[Run]],
    keep: Callable[[Run], bool],
    *,
    cursor: str | None,
    limit: int,
) -> Page[Run]:
    """Return a page of the runs that are to be kept of those that ``read`` gives, by cursor and limit.

    A few more pages are read to fill the gaps, and no more than that: a page's cost stays bounded, and its cursor leads
    on.
    """
    found: list[Run] = []
    for _ in range(_ROUNDS):
        page = read(cursor, limit - len(found))
        found += [run for run in page.items if keep(run)]
        cursor = page.cursor
        if cursor is None or len(found) == limit:
            break
    return Page(items=tuple(found), cursor=cursor)


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
