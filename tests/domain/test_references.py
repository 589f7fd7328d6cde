from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.references import Reference, Unreadable, references, references_of_condition
from chalicelib.domain.template import TemplateError, compile_expression
from chalicelib.domain.value import Json


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("a", ["a"]),
        ("a.b.c[0].d", ["a"]),
        ("fetch-order.body.x", ["fetch-order"]),
        ("steps.a.output.x", ["steps.a"]),
        ('steps."a-b".output', ["steps.a-b"]),
        ("steps.a-b", ["steps.a-b"]),
        ("steps | a.output", ["steps.a"]),
        ("@ | a.b", ["a"]),
        ("@.a", ["a"]),
        ("keys(steps)", ["steps"]),
        ("steps", ["steps"]),
        ("steps.*.output", ["steps"]),
        ("steps.[a, b.output]", ["steps.a", "steps.b"]),
        ("a.steps.b", ["a"]),
        ("items[?price > `3` && sku == 'x'].name", ["items"]),
        ("items[*].{name: name, n: n}", ["items"]),
        ("items[].lines[].sku", ["items"]),
        ("items[0:2].x", ["items"]),
        ("a | b", ["a"]),
        ("a | [b, c]", ["a"]),
        ("{x: a, y: b.c}", ["a", "b"]),
        ("[a, b]", ["a", "b"]),
        ("a && b || !c", ["a", "b", "c"]),
        ("a.x == b.y", ["a", "b"]),
        ("length(a) > length(b.c)", ["a", "b"]),
        ("map(&x.y, a)", ["a"]),
        ("sort_by(a, &price)[0].name", ["a"]),
        ("a.b || 'text'", ["a"]),
        ('`{"no": 1}`.x', []),
        ("'no'", []),
        ("a.*.b", ["a"]),
        ("*.b", []),
    ],
)
def test_the_names_of_the_context_are_told_from_those_within_values(expression: str, names: list[str]) -> None:
    found = references_of_condition(expression)
    assert [f"steps.{one.step}" if one.step else one.root for one in found.references] == names
    assert found.unreadable == ()


def test_references_say_where_they_stand() -> None:
    value: Json = {"url": "https://x/{{ a.id }}/{{ b }}", "headers": {"x": ["{{ steps.c.output }}", "plain"]}, "n": 1}
    assert references(value, path="data").references == (
        Reference(root="a", expression="a.id", path="data.url"),
        Reference(root="b", expression="b", path="data.url"),
        Reference(root="steps", step="c", expression="steps.c.output", path="data.headers.x.0"),
    )


def test_a_name_said_twice_in_one_place_is_one_reference() -> None:
    assert len(references("{{ a }} {{ a }}").references) == 1


def test_every_template_that_cannot_be_read_is_named_with_its_place() -> None:
    found = references(["{{ a }}", "{{ b > 1 }}", {"deep": "{{ c"}])
    assert [one.root for one in found.references] == ["a"]
    assert [one.path for one in found.unreadable] == ["1", "2.deep"]
    assert "numbers are written in backticks" in found.unreadable[0].message
    assert found.unreadable[1] == Unreadable(path="2.deep", message=found.unreadable[1].message)


def test_a_value_deeper_than_python_recurses_is_read() -> None:
    value: Json = "{{ a }}"
    for _ in range(5000):
        value = [value]
    assert [one.root for one in references(value).references] == ["a"]


class Recorder:
    def __init__(self) -> None:
        self.asked: set[str] = set()

    def get(self, name: str, /) -> object:
        self.asked.add(name)
        return None


@given(st.text(alphabet="abc.[]()*&|!=@?,: `1'", max_size=25))
def test_whatever_an_evaluation_asks_its_context_for_was_named(text: str) -> None:
    try:
        expression = compile_expression(text)
    except TemplateError:
        return
    context = Recorder()
    with contextlib.suppress(TemplateError):
        expression.evaluate(context)
    assert context.asked <= {one.root for one in references_of_condition(text).references}
