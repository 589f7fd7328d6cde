"""JSON values, and those that lie elsewhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.value import Json, Offloaded, dumps, resolved, size_of

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
HANDLE = Offloaded(digest="ab", size=3)


@given(VALUES)
def test_the_text_of_a_value_is_read_back_as_the_value(value: Json) -> None:
    assert json.loads(dumps(value)) == value


def test_the_text_is_compact_and_keeps_the_order_of_keys() -> None:
    assert dumps({"b": [1, 2.5], "a": {"é": None}}) == '{"b":[1,2.5],"a":{"é":null}}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_json_has_no_number_for_is_an_error(value: Json) -> None:
    with pytest.raises(ValueError):
        dumps(value)


@pytest.mark.parametrize(("value", "size"), [("", 2), ("é", 4), ("😀", 6), ({"a": 1}, 7), (None, 4)])
def test_the_size_is_counted_in_bytes(value: Json, size: int) -> None:
    assert size_of(value) == size


def test_only_a_value_that_lies_elsewhere_is_fetched() -> None:
    fetched: list[Offloaded] = []

    def fetch(handle: Offloaded) -> Json:
        fetched.append(handle)
        return "large"

    assert resolved({"a": 1}, fetch) == {"a": 1}
    assert fetched == []
    assert resolved(HANDLE, fetch) == "large"
    assert fetched == [HANDLE]
