"""README.md on what fails: each line names tests that there are, and no failure that must be there is missing."""

from __future__ import annotations

import ast
import functools
import re
from typing import Final

from tests.readme import ROOT, rows, section

HEADING: Final = "| what fails | what Stepwell does | what you see | test |"
#: Where there is no test, why not.
UNTESTED: Final = {"the region is out": "none: it takes a second region"}
#: Words of which each must stand in what some line says that fails.
MUST_BE_THERE: Final = [
    *("`drive` dies", "`work` dies", "`sweep` dies", "`uploaded` dies", "the API dies after the write"),
    *("dies in a step", "out of memory", "ends its Lambda each time"),
    *("Lambda's time runs short", "outlives its invocation", "over 29 seconds"),
    *("Lambda is throttled", "Lambda refuses an invocation", "a hint is lost", "older than 6 hours"),
    *(
        "DynamoDB throttles for a moment",
        "DynamoDB throttles for minutes",
        "is not there",
        "a write lands but times out",
    ),
    *("two transactions meet", "S3 does not take or give", "an upload is looked at", "removes a value from the bucket"),
    *("Step Functions refuses StartExecution", "a token is lost", "a token is answered twice"),
    *("aborted by hand", "an execution times out late", "the state machine changes"),
    *("schedule is late", "skips minutes", "schedule fires twice"),
    *("S3 event of an upload is late or never comes", "S3 event comes twice, or out of order"),
    *("`drive` is delivered twice", "`work` is delivered twice", "a request is sent twice"),
    *("clocks do not agree", "an agent falls silent", "sandbox is killed", "reports twice", "a worker falls silent"),
    *("ECS refuses", "`http_request` hangs", "garbage", "far too much"),
    *("a key is revoked", "the pepper changes", "restored from a point in time"),
    *("a deployment in the middle of runs", "the region is out", "a dead letter"),
]


def lines() -> dict[str, str]:
    """What fails, and the cell that names its tests."""
    assert HEADING in section("## When something fails")
    return {what: tests for what, _, _, tests in rows(HEADING)}


@functools.cache
def names_in(path: str) -> frozenset[str]:
    """The names of a file's tests."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_no_failure_that_must_be_there_is_missing() -> None:
    failures = lines()
    assert [words for words in MUST_BE_THERE if not any(words in what for what in failures)] == []


def test_each_line_names_tests_that_there_are() -> None:
    for what, cell in lines().items():
        if what in UNTESTED:
            assert cell == UNTESTED[what]
            continue
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cell)
        assert ", ".join(f"`{path}::{name}`" for path, name in named) == cell, what
        for path, name in named:
            assert name in names_in(path), f"{what}: {path} has no {name}"


def test_each_test_of_failures_is_named_by_a_line() -> None:
    named = " ".join(lines().values())
    for path in sorted(ROOT.glob("tests/*/test_failure*.py")):
        where = str(path.relative_to(ROOT))
        for name in names_in(where):
            if name.startswith("test_"):
                assert f"`{where}::{name}`" in named, f"{where}::{name} shows what no line says"
