from __future__ import annotations

import random
import re
import subprocess
import sys
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
        (r"\Aabc\z", "abc", True),
        ("a|^c$", "xxc", False),
        (r"^order-\d{4}$", "order-2026", True),
        (r"^order-\d{4}$", "order-202", False),
        (r"^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$", "ann.b@example.co.uk", True),
        (r"^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$", "ann@example", False),
        (r"\bcat\b", "a cat sat", True),
        (r"\bcat\b", "concatenate", False),
        (r"\Bcat\B", "concatenate", True),
        ("(?i)^ERROR", "error: x", True),
        ("(?i)^ÉTAT", "état", True),
        ("a(?i)b", "aB", True),
        ("^(?P<year>[0-9]{2,4})(-|/)x?$", "2026/", True),
        ("a{0}b", "b", True),
        ("^a{2,}$", "aaa", True),
        ("^a{2,3}?$", "aaaa", False),
        ("(a*)*b", "aaab", True),
        ("^[]a]+$", "]a", True),
        ("^[^]a]+$", "bc", True),
        (r"^[\]\[]+$", "[]", True),
        ("a.c", "a\nc", False),
        ("(?s)a.c", "a\nc", True),
        (r"^a{x}$", "a{x}", True),
        (r"\x41\x{e9}", "Aé", True),
        (r"é\.", "É. é.", True),
        ("^.$", "\U0001f600", True),
        (r"^\pL+$", "größe", True),
        (r"^\d$", "٣", False),
        (r"^\w$", "é", False),
        (r"\C", "é", True),
        ("^a.b$", "a\ud800b", True),
        ("a\0b", "a\0b", True),
    ],
)
def test_a_pattern_is_found_or_not(pattern: str, text: str, expected: object) -> None:
    assert read_pattern(pattern).is_in(text) is expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a" * 201, "200 characters long at most"),
        ("(", "missing ): ("),
        ("a)", "unexpected ): a)"),
        ("*", "no argument for repetition operator: *"),
        ("a**", "bad repetition operator: **"),
        ("[a", "missing ]: [a"),
        ("a\\", "trailing \\"),
        (r"\q", r"invalid escape sequence: \q"),
        ("[é-a]", "invalid character class range: é-a"),
        ("a{2,1}", "invalid repetition size: {2,1}"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("(a{999}){9}", "invalid repetition size"),
        ("a*+", "bad repetition operator: *+"),
        ("\ud800", "half a surrogate pair"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_pattern(pattern)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(?P<a>.)(?P=a)", "invalid perl operator: (?P"),
        ("(?=a)", "invalid perl operator: (?="),
        ("a(?!b)", "invalid perl operator: (?!"),
        ("(?<!a)b", "invalid perl operator: (?<!"),
        ("(?>a)", "invalid perl operator: (?>"),
        ("((a{99}){99}){9}", "invalid repetition size"),
        (r"\pL{1000}", "pattern too large"),
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
    assert time.process_time() - started < 1


def test_even_the_worst_of_texts_does_not_take_long() -> None:
    found = read_pattern("(?:.*a.*){90}a.{250}b$")
    started = time.process_time()
    assert not found.is_in("".join(random.Random(1).choices("ab", k=9_999)) + "c")
    assert time.process_time() - started < 2


def test_the_library_is_loaded_by_the_first_pattern_only() -> None:
    program = """
import sys
from chalicelib.domain import condition, pattern
before = "re2" in sys.modules
pattern.read_pattern("a")
print(before, "re2" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("False True\n", "")


def test_a_refused_pattern_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_pattern("(")
    assert capfd.readouterr() == ("", "")


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", "^", r"\z", r"\b", "é"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda ways: f"(?:{'|'.join(ways)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "{1,2}", "*?"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@given(PATTERNS, st.text("ab1é ", max_size=7))
@settings(deadline=None, max_examples=300)
def test_it_finds_what_pythons_own_finds(pattern: str, text: str) -> None:
    expected = re.search(pattern.replace(r"\z", r"\Z"), text, re.ASCII)
    assert read_pattern(pattern).is_in(text) is bool(expected)


@given(st.text(max_size=12) | st.text(r"ab(|)[]{}*+?^$.\dpLCQE-,2:P<>=i!#", max_size=12), st.text(max_size=20))
@settings(deadline=None, max_examples=500)
def test_whatever_is_sent_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    try:
        found = read_pattern(pattern)
    except ValueError as error:
        assert str(error).startswith("the regex cannot be read: ")  # noqa: PT017 - either will do
        return
    assert found.is_in(text) in {True, False}
