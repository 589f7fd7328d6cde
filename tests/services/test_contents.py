"""What a list shows of a content."""

from __future__ import annotations

import pytest

from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Outline, WorkflowKind
from chalicelib.services.contents import Content, compiled, outline_of
from tests.domain.graphs import a_graph, a_node
from tests.domain.pipelines import a_persona, a_pipeline, an_agent
from tests.domain.step_lists import a_list_step


def a_content(**parts: Json) -> Content:
    return Content(kind=WorkflowKind.WORKFLOW, **parts)  # type: ignore[arg-type] # a test names the parts


@pytest.mark.parametrize(
    ("content", "outline"),
    [
        (a_content(ir=a_graph([a_node("a"), a_node("b")], ["a b"])), Outline(step_count=2)),
        (a_content(steps=[a_list_step("a"), a_list_step("b", "agent")]), Outline(step_count=2, tools=("claude",))),
        (
            a_content(pipeline=a_pipeline(an_agent(), an_agent("checker", cliId="pi"), an_agent("judge"))),
            Outline(step_count=3, tools=("claude", "pi")),
        ),
        (
            a_content(pipeline=a_pipeline(an_agent("designer", "l"), an_agent("checker", "l"))),
            Outline(step_count=2, tools=("claude",)),
        ),
        (
            a_content(pipeline=a_pipeline({"type": "designer"}, defaultConfig={"tool": "codex"})),
            Outline(step_count=1, tools=("codex",)),
        ),
        (
            a_content(
                pipeline={
                    "personaPipelineSteps": [a_persona("p_2"), a_persona("p_1"), a_persona("p_2")],
                    "defaultConfig": {"tool": "codex"},
                },
            ),
            Outline(step_count=3, personas=("p_2", "p_1")),
        ),
        (
            a_content(pipeline={"workflowGraph": a_graph([a_node("a"), a_node("b", "agent")], ["a b"])}),
            Outline(step_count=2, tools=("claude",)),
        ),
    ],
)
def test_an_outline_counts_the_steps_that_an_author_gave_and_names_their_tools_and_personas(
    content: Content, outline: Outline
) -> None:
    assert outline_of(content) == outline
    assert outline_of(content, compiled(content)) == outline
