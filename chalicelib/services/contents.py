"""What a version holds: the graph, and the trigger code and kind it was saved under, so that it stands by itself."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.definition import Definition
from chalicelib.domain.value import Json, Value, resolved
from chalicelib.domain.workflow import WorkflowKind, WorkflowVersion
from chalicelib.services import outside
from chalicelib.services.values import Values


@dataclass(frozen=True, kw_only=True)
class Content:
    """A version's content in the trigger API's form."""

    ir: Json
    kind: WorkflowKind
    #: What a function's answer is rendered from.
    trigger_code: str | None


def source_of(content: Content, values: Values) -> Value:
    """Return what is recorded of a content; a large one is put outside the record."""
    return values.kept({"ir": content.ir, "kind": content.kind.value, "triggerCode": content.trigger_code})


def content_of(version: WorkflowVersion, values: Values) -> Content:
    """Return a version's content."""
    source = resolved(version.source, values.resolver())
    if not isinstance(source, dict):
        message = f"version {version.id} holds no graph"
        raise TypeError(message)
    code = source["triggerCode"]
    return Content(ir=source["ir"], kind=WorkflowKind(source["kind"]), trigger_code=None if code is None else str(code))


def compiled(content: Content) -> Definition:
    """Return the definition that a content comes to; InvalidDefinition tells all that is wrong with it.

    The compiler is loaded with the first graph: most requests compile none, and a cold start is the shorter for it.
    """
    from chalicelib.domain.graph import compile_graph  # noqa: PLC0415 - as just said

    return compile_graph(content.ir, kind=content.kind, trigger_code=content.trigger_code)


def values_of(project_id: str) -> Values:
    """Return where a project's large values are kept."""
    return Values(project_id=project_id, payloads=outside.current().payloads)
