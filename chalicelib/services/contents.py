"""What a version holds: a graph or a list of steps, and what it was saved under, so that it stands by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from chalicelib.domain.definition import Definition, StepType
from chalicelib.domain.value import Json, Value, resolved
from chalicelib.domain.workflow import Outline, WorkflowKind, WorkflowSettings, WorkflowVersion
from chalicelib.services import outside
from chalicelib.services.values import Values
from chalicelib.store.values import settings_of, settings_text


@dataclass(frozen=True, kw_only=True)
class Content:
    """A version's content, in the form of the API that it was saved through."""

    #: The graph; None where there are steps.
    ir: Json = None
    #: The list of steps as its author sent it; None where there is a graph.
    steps: Sequence[Json] | None = None
    #: What the workflows API saved: agent steps, their defaults, and the builder's drawing; see ``domain.pipeline``.
    pipeline: Mapping[str, Json] | None = None
    kind: WorkflowKind
    #: What a function's answer is rendered from.
    trigger_code: str | None = None
    #: How the version's runs are started and bounded.
    settings: WorkflowSettings = field(default_factory=WorkflowSettings)

    @property
    def shown_ir(self) -> Json:
        """The content where a graph is asked for: steps and pipelines have none, and are shown as what they are."""
        if self.pipeline is not None:
            return self.pipeline
        return self.ir if self.steps is None else {"steps": self.steps}


def source_of(content: Content, values: Values) -> Value:
    """Return what is recorded of a content; a large one is put outside the record."""
    written: dict[str, Json] = {"kind": content.kind.value}
    if content.pipeline is not None:
        written["pipeline"] = content.pipeline
    elif content.steps is not None:
        written["steps"] = content.steps
    else:
        written |= {"ir": content.ir, "triggerCode": content.trigger_code}
    settings = settings_text(content.settings)
    return values.kept(written if settings is None else {**written, "settings": settings})


def content_of(version: WorkflowVersion, values: Values) -> Content:
    """Return a version's content."""
    source = resolved(version.source, values.resolver())
    if not isinstance(source, dict):
        message = f"version {version.id} holds no content"
        raise TypeError(message)
    return Content(
        ir=source.get("ir"),
        steps=source.get("steps"),
        pipeline=cast("Mapping[str, Json] | None", source.get("pipeline")),
        kind=WorkflowKind(source["kind"]),
        trigger_code=cast("str | None", source.get("triggerCode")),
        settings=settings_of(cast("str | None", source.get("settings"))),
    )


def compiled(content: Content) -> Definition:
    """Return the definition that a content comes to; InvalidDefinition tells all that is wrong with it.

    The compiler is loaded with the first content: most requests compile none, and a cold start is the shorter for it.
    """
    if content.pipeline is not None:
        from chalicelib.domain.pipeline import compile_pipeline  # noqa: PLC0415 - as just said

        return compile_pipeline(content.pipeline)
    if content.steps is not None:
        from chalicelib.domain.step_list import compile_steps  # noqa: PLC0415 - as just said

        return compile_steps(content.steps)
    from chalicelib.domain.graph import compile_graph  # noqa: PLC0415 - the same

    return compile_graph(content.ir, kind=content.kind, trigger_code=content.trigger_code)


def outline_of(content: Content, definition: Definition | None = None) -> Outline:
    """Return what a list of workflows shows of a content; ``definition`` is what it was compiled to, if it was.

    Of a pipeline's steps those count that its author gave, and not what their loops are made of.
    """
    steps = (compiled(content) if definition is None else definition).steps.values()
    agents = [spec.config for spec in steps if spec.type is StepType.AGENT]
    piped = any("before" in config for config in agents)
    tools = (_tool_of(config) for config in agents)
    return Outline(
        step_count=len(agents) if piped else len(steps),
        tools=tuple(dict.fromkeys(tool for tool in tools if tool is not None)),
        personas=tuple(dict.fromkeys(str(config["personaId"]) for config in agents if "personaId" in config)),
    )


def _tool_of(config: Mapping[str, Json]) -> str | None:
    """Return the tool of an agent step as far as its workflow says; None where its persona says, or a run's config."""
    defaults = config.get("defaults")
    tool = config.get("cliId")
    if tool is None and "personaId" not in config and isinstance(defaults, Mapping):
        tool = defaults.get("cliId")
    return tool if isinstance(tool, str) else None


def values_of(project_id: str) -> Values:
    """Return where a project's large values are kept."""
    return Values(project_id=project_id, payloads=outside.current().payloads)
