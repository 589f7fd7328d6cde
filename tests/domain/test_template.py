from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.lazy import LazyMapping
from chalicelib.domain.template import TemplateError, compile_expression, evaluate, render, truthy
from chalicelib.domain.value import Json

CONTEXT: dict[str, Json] = {
    "payload": {"amount": 4999, "name": "Ann", "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}], "none": None},
    "fetch-order": {"body": {"x": 7, "line-items": [1, 2]}},
    "3f2a": {"ok": True},
    "größe": 42,
    "steps": {"fetch-order": {"output": {"x": 8}}, "1": {"output": "one"}},
    "1": {"body": "first"},
}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ payload.amount }}", 4999),
        ("{{payload.amount}}", 4999),
        ("{{ payload.items[0] }}", {"sku": "a", "n": 1}),
        ("{{ payload.none }}", None),
        ("{{ nowhere.at.all }}", None),
        ("{{ payload.items[?n > `1`].sku }}", ["b"]),
        ("{{ payload.items[*].n | sum(@) }}", 3),
        ("{{ {a: {b: payload.name}} }}", {"a": {"b": "Ann"}}),
        ("{{{a: {b: payload.name}}}}", {"a": {"b": "Ann"}}),
        ("{{ '}}' }}", "}}"),
        ("{{ '{{' }} stays", "{{ stays"),
        ("{{ fetch-order.body.x }}", 7),
        ("{{ fetch-order.body.line-items[-1] }}", 2),
        ("{{ steps.fetch-order.output.x }}", 8),
        ('{{ steps."fetch-order".output.x }}', 8),
        ("{{ 3f2a.ok }}", True),
        ("{{ größe }}", 42),
        ("{{ steps.1.output }}", "one"),
        ("{{ 1.body }}", "first"),
        ("{{ 'fetch-order' }}", "fetch-order"),
        ('{{ `"fetch-order"` }}', "fetch-order"),
        ("{{ `fetch-order` }}", "fetch-order"),
        ("{{ `running` == 'running' }}", True),
        ("{{ `[1, -2, 3.5]` }}", [1, -2, 3.5]),
        ("{{ payload.items[0:1].sku }}", ["a"]),
    ],
)
def test_a_string_that_is_one_template_becomes_its_value(written: str, value: Json) -> None:
    assert render(written, CONTEXT) == value


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Dear {{ payload.name }}!", "Dear Ann!"),
        ("{{ payload.name }}{{ payload.amount }}", "Ann4999"),
        ("is {{ payload.amount == `4999` }}", "is true"),
        ("[{{ payload.none }}]", "[]"),
        ("sees {{ payload.items[0] }}", 'sees {"sku":"a","n":1}'),
        (" {{ payload.amount }}", " 4999"),
        ("a } b }} c { d", "a } b }} c { d"),
    ],
)
def test_a_text_with_more_to_it_stays_text(written: str, text: str) -> None:
    assert render(written, CONTEXT) == text


def test_templates_are_found_however_deep_and_keys_are_left_alone() -> None:
    value: Json = {"{{ payload.name }}": [1, None, {"deep": ("{{ payload.amount }}", 2.5, False)}]}
    assert render(value, CONTEXT) == {"{{ payload.name }}": [1, None, {"deep": [4999, 2.5, False]}]}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("payload.amount > `100`", True),
        ("{{ payload.amount > `100` }}", True),
        ("  {{payload.name}} ", "Ann"),
        ("payload.name == 'Ann' && !(payload.none)", True),
    ],
)
def test_a_condition_is_written_with_or_without_braces(expression: str, value: Json) -> None:
    assert evaluate(expression, CONTEXT) == value


@pytest.mark.parametrize(("value", "true"), [(0, True), (0.0, True), ("0", True), ([0], True), (True, True)])
def test_zero_is_true_as_in_jmespath(value: Json, true: bool) -> None:  # noqa: FBT001 - a column of the table
    assert truthy(value) is true
    assert bool(evaluate("v && `1`", {"v": value})) is true


@pytest.mark.parametrize("value", [False, None, "", [], {}])
def test_false_null_and_the_empty_are_false(value: Json) -> None:
    assert not truthy(value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("amount > 100", r"character 10, \"100\": numbers are written in backticks, `100`"),
        ("fetch-order.amount > 1.5", "numbers are written in backticks, `1.5`"),
        ("a = 'b'", "equality is written =="),
        ("a + b", "no arithmetic"),
        ("a - b", "no arithmetic"),
        ("a ? b : c", "no choice"),
        ("", "empty"),
        ("   ", "empty"),
        ("payload.", "ends too soon"),
        ("a ==", "ends too soon"),
        ("it's", "a ' is not closed"),
        ('"open', 'a " is not closed'),
        ("`open", "a ` is not closed"),
        ('`{"a":`', "in single quotes"),
        ("a && !payload.b", r"as in !\(a.b\)"),
        ("nope(a)", r"no function nope\(\)"),
        ("length()", r"length\(\) takes 1 argument, not 0"),
        ("join(',', a, b)", r"join\(\) takes 2 arguments, not 3"),
        ("merge()", "takes at least 1 argument, not 0"),
        ("a]", "cannot be read at character 2"),
        ("a b", "cannot be read at character 3"),
        ("x" * 5000, "longer than 4096"),
        ("(" * 2000 + "a" + ")" * 2000, "nested too deeply"),
        ("!" * 3000 + "a", "nested too deeply"),
        (" | ".join("a" * 500), "nested too deeply"),
        ("`" + "[" * 2000 + "]" * 2000 + "`", "nested too deeply"),
        ("@" + " | [@, @]" * 30, "repeats its input too often"),
        ("@" + " | [@, @][]" * 30, "repeats its input too often"),
        ("map(&[@,@,@,@,@,@,@,@,@,@], " * 5 + "a" + ")" * 5, "repeats its input too often"),
    ],
)
def test_what_cannot_be_read_is_refused_when_it_is_compiled(expression: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        compile_expression(expression)
    assert caught.value.expression == expression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ a", "not closed"),
        ("fine {{ a }} and {{ b }", "not closed"),
        ("{{ it's }}", "a ' is not closed"),
        ("{{ }}", "empty"),
        ("{{" + "x" * 9000 + "}}", "longer than 4096 characters"),
        ("{{" + "x" * 9000, "longer than 4096 characters"),
        ("{{ " + "'\\" * 3000, "is not closed"),
    ],
)
def test_a_template_that_is_not_closed_or_empty_is_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render(text, {})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("sum(payload.name)", r"sum\(\) wants array-number, and was given string"),
        ("keys(nowhere)", r"keys\(\) wants object, and was given null"),
        ("payload.name < payload.amount", "cannot be worked out"),
        ("contains('abc', `1`)", "cannot be worked out"),
        ("payload.items[::0]", "cannot be worked out"),
        ("to_number('nan')", "not a finite number"),
        ("&payload", "no value by itself"),
    ],
)
def test_what_has_no_value_is_an_error_of_the_template(expression: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        evaluate(expression, CONTEXT)


def test_an_error_does_not_repeat_the_data() -> None:
    with pytest.raises(TemplateError) as caught:
        evaluate("sum(secret)", {"secret": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_text_around_a_condition_is_refused() -> None:
    with pytest.raises(TemplateError, match="one expression is wanted"):
        evaluate("{{ a }} > {{ b }}", {})


def test_a_result_too_large_for_any_output_is_refused_without_being_built() -> None:
    doubled = "payload" + " | [@, @]" * 13
    with pytest.raises(TemplateError, match="too large"):
        evaluate(doubled, {"payload": list(range(200))})


def test_a_text_of_many_large_values_is_refused() -> None:
    with pytest.raises(TemplateError, match="more than 4 MB"):
        render("{{ a }}{{ a }}{{ a }}", {"a": "x" * 1_500_000})


def a_lazy_context(fetched: list[str]) -> dict[str, Json]:
    def fetch(ref: str) -> Json:
        fetched.append(ref)
        step: dict[str, Json] = {"output": {"of": ref}, "status": "completed"}
        return LazyMapping(step, step.__getitem__)

    return {"steps": LazyMapping(("one", "two-b"), fetch)}


@pytest.mark.parametrize(
    ("expression", "value", "fetched"),
    [
        ("steps.one.output.of", "one", ["one"]),
        ("steps.two-b.status", "completed", ["two-b"]),
        ("steps.three", None, []),
        ("keys(steps)", ["one", "two-b"], []),
        ("length(steps)", 2, []),
        ("steps && 'some'", "some", []),
        ("steps.one.output.of && steps.one.status", "completed", ["one"]),
        ("steps.*.status", ["completed", "completed"], ["one", "two-b"]),
        ("values(steps)[0].output.of", "one", ["one", "two-b"]),
        ("steps.one", {"output": {"of": "one"}, "status": "completed"}, ["one"]),
        ("[steps.one]", [{"output": {"of": "one"}, "status": "completed"}], ["one"]),
        ("@.steps.one.status", "completed", ["one"]),
    ],
)
def test_a_lazy_object_is_fetched_as_far_as_it_is_read(expression: str, value: Json, fetched: list[str]) -> None:
    seen: list[str] = []
    assert evaluate(expression, a_lazy_context(seen)) == value
    assert seen == fetched


def test_a_context_needs_nothing_but_get() -> None:
    class Only:
        def get(self, name: str, /) -> object:
            return {"a": name}

    assert evaluate("x.a", Only()) == "x"
    with pytest.raises(TemplateError, match="no value by itself"):
        evaluate("@", Only())


@given(st.text(alphabet="ab-1.[]{}()'\"`|&!<>=@*?,: \\é0", max_size=40))
def test_an_expression_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        found = compile_expression(text)
    except TemplateError:
        return
    try:
        found.evaluate({"a": {"b": [1, {"a": 2}]}, "b": "text"})
    except TemplateError:
        return


@given(st.text(alphabet="{}' a\"`.", max_size=30))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    try:
        render(text, {"a": 1})
    except TemplateError:
        return


@given(st.text(), st.text())
def test_text_without_braces_is_left_as_it_is(before: str, after: str) -> None:
    text = (before + after).replace("{{", "")
    assert render(text, {}) == text
