from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.bodies import DEEPEST, checked, read_json, single
from chalicelib.api.trigger_api.surface import PageQuery
from chalicelib.domain.refusal import Invalid, MalformedBody, Refusal

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=5)
    ),
)


@given(JSON)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary() | st.text(alphabet='[]{}",:\\u0dDfFtrue1e-+. \n').map(str.encode))
def test_whatever_is_sent_is_a_value_or_a_refusal(raw: bytes) -> None:
    try:
        value = read_json(raw)
    except Refusal:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_read_to_the_limit_and_no_deeper(opening: str) -> None:
    closing = "]" if opening == "[" else "}"

    def nested(depth: int) -> bytes:
        return (opening * depth + "1" + closing * depth).encode()

    read_json(nested(DEEPEST))
    with pytest.raises(MalformedBody, match="nests deeper"):
        read_json(nested(DEEPEST + 1))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert read_json(b"[" + b"[]," * 5000 + b"[]]") == [[]] * 5001


def test_of_a_name_given_twice_the_last_counts() -> None:
    assert read_json(b'{"a": 1, "a": 2}') == {"a": 2}


def test_a_surrogate_pair_written_as_escapes_is_text() -> None:
    assert read_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_a_body_with_many_faults_is_answered_with_some_of_them() -> None:
    with pytest.raises(Invalid) as refused:
        checked(PageQuery, {"limit": "x", "cursor": ""})
    assert {detail.path for detail in refused.value.details} == {"limit", "cursor"}


@pytest.mark.parametrize(
    "limit",
    ["0", "101", "-1", "", "x", "1.5", "1e1", "5_0", " 5", "\N{ARABIC-INDIC DIGIT FIVE}", "9" * 30, "+5", "0x5"],
)
def test_a_bad_limit_is_refused(limit: str) -> None:
    with pytest.raises(Invalid):
        checked(PageQuery, single({"limit": [limit]}))


def test_what_is_worded_here_is_said_without_what_pydantic_puts_before_it() -> None:
    with pytest.raises(Invalid) as refused:
        checked(PageQuery, single({"limit": ["zz"]}))
    assert refused.value.message == "Validation failed"
    assert [(detail.path, detail.message) for detail in refused.value.details] == [("limit", "not a whole number")]


@pytest.mark.parametrize(
    ("query", "limit"), [({}, 50), ({"limit": ["1"]}, 1), ({"limit": ["100"]}, 100), ({"x": ["1"]}, 50)]
)
def test_a_good_limit_is_taken_and_what_is_not_ours_ignored(query: dict[str, list[str]], limit: int) -> None:
    assert checked(PageQuery, single(query)).limit == limit
