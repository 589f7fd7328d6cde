"""Random graphs: what is well formed compiles to what the engine wants, and what is not is refused and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.definition import ROOT, Definition, container_of
from chalicelib.domain.graph import compile_graph
from chalicelib.domain.graph_order import ordered, successors_of
from chalicelib.domain.refusal import Detail, InvalidDefinition
from chalicelib.domain.run import RunStatus
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind
from tests.domain.building import World, completed
from tests.domain.graphs import a_graph, a_node, blocks_of, compiled

#: A program: a list of pieces, each a plain step or a construct with programs inside.
Program = list["Piece"]
Piece = tuple[str, list[Program]]

PROGRAMS: st.SearchStrategy[Program] = st.recursive(
    st.just([("transform", [])]),
    lambda inner: st.lists(
        st.one_of(
            st.just(("transform", [])),
            st.tuples(st.just("loop"), st.lists(inner, min_size=1, max_size=1)),
            st.tuples(st.sampled_from(["race", "parallel"]), st.lists(inner, min_size=1, max_size=3)),
            st.tuples(st.just("try_catch"), st.lists(inner, min_size=2, max_size=3)),
        ),
        min_size=1,
        max_size=3,
    ),
    max_leaves=12,
)
#: The labels of the edges that lead to a construct's inner programs.
INTO = {"loop": ["body"], "race": ["", "", ""], "parallel": ["", "", ""], "try_catch": ["try", "catch", "finally"]}


@dataclass
class Drawing:
    """A program drawn as a graph, and the blocks that its steps must come to stand in."""

    nodes: list[Json] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)
    blocks: dict[str, str] = field(default_factory=dict)
    #: The label of the edge that leads on from the piece drawn last.
    then: str = ""

    def draw(self, program: Program, *, block: str) -> str:
        """Draw a program's pieces one after the other, and return the first."""
        first = before = ""
        for step_type, inner in program:
            ref = f"s{len(self.nodes)}"
            value = f"{{{{ {before or 'payload'}.x }}}}"
            self.nodes.append(a_node(ref, step_type, **({"value": value} if step_type == "transform" else {})))
            if block != ROOT:
                self.blocks[ref] = block
            if before:
                self.edges.append(f"{before} {ref} {self.then}".strip())
            self._draw_inner(ref, step_type, inner, block)
            first, before = first or ref, ref
            self.then = "then" if inner else ""
        return first

    def _draw_inner(self, ref: str, step_type: str, inner: list[Program], block: str) -> None:
        for label, program in zip(INTO.get(step_type, []), inner, strict=False):
            name = f"s{len(self.nodes)}" if step_type == "race" else label
            start = self.draw(program, block=block if step_type == "parallel" else f"{ref}/{name}")
            self.edges.append(f"{ref} {start} {label}".strip())


@given(PROGRAMS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_program_drawn_as_a_graph_compiles_to_its_blocks(program: Program) -> None:
    drawing = Drawing()
    drawing.draw(program, block=ROOT)
    definition = compiled(a_graph(drawing.nodes, drawing.edges))
    assert blocks_of(definition) == drawing.blocks
    holds_together(definition)


@given(PROGRAMS)
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_program_drawn_as_a_graph_runs_to_its_end(program: Program) -> None:
    drawing = Drawing()
    drawing.draw(program, block=ROOT)
    world = World(compiled(a_graph(drawing.nodes, drawing.edges)))
    assert world.run(lambda _: completed({"x": 1})).status is RunStatus.COMPLETED
    assert set(world.definition.blocks[ROOT]) <= set(world.records)


@given(st.integers(1, 25).flatmap(lambda count: st.tuples(*(st.sets(st.integers(0, at)) for at in range(count)))))
@settings(max_examples=100, deadline=None)
def test_a_random_graph_without_cycles_compiles(before: tuple[set[int], ...]) -> None:
    # Each step comes after those named for it, or else after the first.
    edges = [f"n{other} n{at + 1}" for at, others in enumerate(before) for other in sorted(others or {0})]
    values = [" ".join(f"{{{{ n{other} }}}}" for other in sorted(others)) for others in before]
    nodes = [a_node("n0"), *(a_node(f"n{at + 1}", value=value) for at, value in enumerate(values))]
    definition = compiled(a_graph(nodes, edges))
    assert len(definition.edges) == len(edges)
    holds_together(definition)


def holds_together(definition: Definition) -> None:
    """Assert what the engine takes for granted."""
    for edge in definition.edges:
        assert definition.steps[edge.source].block == definition.steps[edge.target].block
    order = ordered(successors_of(definition.steps, ((edge.source, edge.target) for edge in definition.edges)))
    assert len(order) == len(definition.steps)
    for block in definition.blocks:
        assert block == ROOT or container_of(block) in definition.steps
        assert any(not definition.incoming[ref] for ref in definition.blocks[block])


JUNK: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["{{ a }}", "{{ a", "{{ s0.x > 1 }}", "s0", "s1", "then", "body", "loop", "race", "1 s", "-"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places_in(value: Json, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [at]
    if isinstance(value, dict):
        found += [place for key, inner in value.items() for place in places_in(inner, (*at, key))]
    elif isinstance(value, list):
        found += [place for index, inner in enumerate(value) for place in places_in(inner, (*at, index))]
    return found


def put(value: Json, at: tuple[str | int, ...], junk: Json) -> Json:
    """Return a value with something else at a place, if the place is there."""
    if not at:
        return junk
    name, rest = at[0], at[1:]
    if isinstance(value, dict):
        return {key: put(inner, rest, junk) if key == name else inner for key, inner in value.items()}
    if isinstance(value, list):
        return [put(inner, rest, junk) if index == name else inner for index, inner in enumerate(value)]
    return value


def is_refused_or_compiled(ir: Json, kind: WorkflowKind, trigger_code: str | None) -> None:
    definition, details = attempt(ir, kind, trigger_code)
    if definition is not None:
        holds_together(definition)
    else:
        assert details
        assert all(detail.path and detail.message for detail in details)


def attempt(ir: Json, kind: WorkflowKind, code: str | None) -> tuple[Definition | None, tuple[Detail, ...]]:
    try:
        return compile_graph(ir, kind=kind, trigger_code=code), ()
    except InvalidDefinition as refused:
        return None, refused.details


@given(PROGRAMS, st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_broken_graph_is_refused_with_places_and_never_fails_otherwise(program: Program, data: st.DataObject) -> None:
    drawing = Drawing()
    drawing.draw(program, block=ROOT)
    ir: Json = a_graph(drawing.nodes, drawing.edges)
    for _ in range(data.draw(st.integers(1, 3))):
        ir = put(ir, data.draw(st.sampled_from(places_in(ir))), data.draw(JUNK))
    kind = data.draw(st.sampled_from(WorkflowKind))
    is_refused_or_compiled(ir, kind, data.draw(st.none() | st.text(alphabet="{} s01.'", max_size=12)))


@given(
    st.lists(st.sampled_from(["transform", "loop", "race", "parallel", "try_catch", "branch", "break"]), max_size=8),
    st.lists(
        st.tuples(
            st.integers(0, 7),
            st.integers(0, 7),
            st.sampled_from(["", "then", "body", "try", "catch", "finally", "error", "yes", "no"]),
        ),
        max_size=16,
    ),
)
@settings(max_examples=150, deadline=None)
def test_any_edges_between_any_steps_compile_or_are_refused(
    types: list[str], edges: list[tuple[int, int, str]]
) -> None:
    nodes = [a_node(f"s{at}", step_type) for at, step_type in enumerate(types)]
    texts = [f"s{source} s{target} {label}".strip() for source, target, label in edges]
    is_refused_or_compiled(a_graph(nodes, texts), WorkflowKind.WORKFLOW, None)
