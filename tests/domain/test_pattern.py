from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.pattern import read_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("b", "abc", True),
        ("^b", "abc", False),
        ("^abc$", "abc", True),
        ("^abc$", "abc\n", False),
        (r"\Aabc\Z", "abc", True),
        ("a|^c$", "xxc", False),
        (r"^order-\d{4}$", "order-2026", True),
        (r"^order-\d{4}$", "order-202", False),
        (r"^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$", "ann.b@example.co.uk", True),
        (r"^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$", "ann@example", False),
        (r"\bcat\b", "a cat sat", True),
        (r"\bcat\b", "concatenate", False),
        (r"\Bcat\B", "concatenate", True),
        ("(?i)^ERROR", "error: x", True),
        ("(?i)[A-C]+$", "abc", True),
        ("^(?P<year>[0-9]{2,4})(-|/)x?$", "2026/", True),
        ("a{0}b", "b", True),
        ("^a{,2}$", "aaa", False),
        ("^a{2,}$", "aaa", True),
        ("^a{2,3}?$", "aaaa", False),
        ("(a*)*b", "aaab", True),
        ("(?:){4000}", "", True),
        ("^[]a]+$", "]a", True),
        ("^[^]a]+$", "bc", True),
        (r"^[\]\[]+$", "[]", True),
        ("a.c", "a\nc", False),
        (r"^a{x}$", "a{x}", True),
        (r"\x41\u00e9", "Aé", True),
        (r"é\.", "É. é.", True),
    ],
)
def test_a_pattern_is_found_or_not(pattern: str, text: str, expected: object) -> None:
    assert read_pattern(pattern).is_in(text) is expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a" * 201, "200 characters long at most"),
        ("(", "cannot be read"),
        ("a)", "cannot be read"),
        ("*", "cannot be read"),
        ("a**", "cannot be read"),
        ("[a", "cannot be read"),
        ("[[", "cannot be read"),
        (r"[\\--a]", "in a class of characters"),
        ("a\\", "cannot be read"),
        (r"\q", "cannot be read"),
        ("[b-a]", "cannot be read"),
        ("a{2,1}", "cannot be read"),
        ("a{99999999999}", "cannot be read"),
        (r"(a)\1", "cannot refer to its groups"),
        ("a*+", "no possessive repetition"),
        ("(?=a)", "of (?…) a regex here has"),
        ("(?<!a)b", "of (?…) a regex here has"),
        ("(?>a)", "of (?…) a regex here has"),
        ("(?s)a", "of (?…) a regex here has"),
        ("a(?i)b", "of (?…) a regex here has"),
        ("(?#a)", "of (?…) a regex here has"),
        ("[[a]", "in a class of characters"),
        ("[a--b]", "in a class of characters"),
        ("a{601}", "repeats too much"),
        ("((a{9}){9}){9}", "repeats too much"),
        ("((){9999}){9999}", "repeats too much"),
        ("(){0,4294967294}", "repeats too much"),
    ],
)
def test_what_cannot_be_searched_for_in_good_time_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_pattern(pattern)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+$", "^(a|aa)*$", "(a|a)*b", "a*a*a*a*a*a*a*b", "(.*)(.*)(.*)(.*)[^a!]"),
        *("^(([a-z])+.)+[A-Z]$", "(a?){200}b", "(.{1,255}x)+", r"(\ba|a\B)*b"),
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.process_time()
    assert not read_pattern(pattern).is_in("a" * 9_999 + "!")
    assert time.process_time() - started < 2


def test_even_the_worst_of_texts_does_not_take_for_ever() -> None:
    found = read_pattern("a.{250}b$")
    started = time.process_time()
    assert not found.is_in("".join(random.Random(1).choices("ab", k=9_999)) + "c")
    assert time.process_time() - started < 10


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", "^", "$", r"\b", "é"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda ways: f"(?:{'|'.join(ways)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{,2}", "{1,}", "{1,2}", "*?"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@given(PATTERNS, st.text("ab1é ", max_size=7))
@settings(deadline=None, max_examples=500)
def test_it_finds_what_pythons_own_finds(pattern: str, text: str) -> None:
    assert read_pattern(pattern).is_in(text) is bool(re.search(pattern, text))


@given(st.text(r"ab(|)[]{}*+?^$.\d-,2:P<>=i!#", max_size=12))
@settings(deadline=None, max_examples=500)
def test_whatever_is_sent_is_a_pattern_or_refused(text: str) -> None:
    try:
        found = read_pattern(text)
    except ValueError as error:
        assert str(error).startswith(("the regex", "a regex", "of (?", "in a class"))  # noqa: PT017 - either will do
        return
    body = text.removeprefix("(?i)")
    assert found.is_in("ab2 ") is bool(re.search(body, "ab2 ", re.IGNORECASE if body != text else re.NOFLAG))
