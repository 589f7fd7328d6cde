"""What a version's row says of how it came to be, in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final

from chalicelib.domain.value import Json, same
from chalicelib.domain.workflow import Workflow, WorkflowSettings
from chalicelib.services.contents import Content

CREATED: Final = "Created"
#: What a graph is called, and how settings are called where people write them.
_GRAPH: Final = "graph"
#: Of a graph that the trigger API saved after another.
SAVED: Final = f"Changed {_GRAPH}"
_SETTINGS: Final[Mapping[str, str]] = {"timeout": "timeout_secs"}


def copied(origin: Workflow) -> str:
    """Say of what it is a copy."""
    return f"Copied from {origin.name}"


def restored(number: int) -> str:
    """Say which version it repeats."""
    return f"Restored version {number}"


def changed(before: Workflow, after: Workflow, was: Content | None, content: Content) -> str:
    """Say what differs from the version before; its very first version was created."""
    if was is None:
        return CREATED
    parts = [*_of_workflow(before, after), *_of_content(was, content), *_of_settings(was.settings, content.settings)]
    if parts == ["name"]:
        return f"Renamed to {after.name}"
    return f"Changed {', '.join(parts)}" if parts else "Saved unchanged"


def overwritten(summary: str | None) -> str:
    """Say it of a version whose graph was saved over, with what was said of it before."""
    if summary is None:
        return SAVED
    if summary == CREATED or summary.endswith(_GRAPH):
        return summary
    return f"{summary}, {_GRAPH}" if summary.startswith("Changed") else f"{summary}, changed {_GRAPH}"


def _of_workflow(before: Workflow, after: Workflow) -> Iterator[str]:
    return (name for name in ("name", "slug", "description") if getattr(before, name) != getattr(after, name))


def _of_content(was: Content, content: Content) -> Iterator[str]:
    """Yield what differs of two contents; of two kinds, what the later one has: a graph becomes a drawing."""
    later = _parts(content)
    if _kind(was) != _kind(content):
        return (name for name in later if name != "workflowGraph" or later[name] != was.ir)
    earlier = _parts(was)
    return (name for name in {**later, **earlier} if not same(earlier.get(name), later.get(name)))


def _parts(content: Content) -> Mapping[str, Json]:
    if content.pipeline is not None:
        return content.pipeline
    if content.steps is not None:
        return {"steps": list(content.steps)}
    return {_GRAPH: content.ir, "triggerCode": content.trigger_code}


def _kind(content: Content) -> tuple[bool, bool]:
    return content.pipeline is None, content.steps is None


def _of_settings(was: WorkflowSettings, settings: WorkflowSettings) -> Iterator[str]:
    names = (field.name for field in fields(WorkflowSettings))
    return (_SETTINGS.get(name, name) for name in names if getattr(was, name) != getattr(settings, name))
