from __future__ import annotations

import pytest

import app as deployed
from infra.paths import MOST_RESOURCES, faults, resources


def test_api_gateway_takes_stepwells_paths() -> None:
    paths = {path: [method.lower() for method in methods] for path, methods in deployed.app.routes.items()}

    print(f"{resources(paths)} of {MOST_RESOURCES} resources")
    assert len(paths) > 80
    assert faults(paths) == []


@pytest.mark.parametrize(
    ("paths", "fault"),
    [
        (["/a/{x}", "/a/{y}/b"], "/a/: {x} and {y} stand for the same part"),
        (["/a/{x}", "/a/{rest+}"], "/a/: {rest+} and {x} stand for the same part"),
        (["/a/{rest+}/b"], "/a/{rest+}/b: goes on after a variable that takes all the rest"),
        (["/a/{x}/{x}"], "/a/{x}/{x}: names a variable twice"),
        (["/a/Runs", "/a/runs/{x}"], "/a/: Runs and runs"),
        (["/ping"], "/ping: /ping is API Gateway's own"),
        (["/a/"], "/a/: '' is neither a word nor a variable"),
        (["/a//b"], "/a//b: '' is neither a word nor a variable"),
        (["/a/b~"], "/a/b~: 'b~' is neither a word nor a variable"),
        (["/a/x{x}"], "/a/x{x}: 'x{x}' is neither a word nor a variable"),
        (["a"], "a: does not begin with a slash"),
        ([f"/a/{number}" for number in range(299)], "301 resources, where an API may have 300"),
    ],
)
def test_what_api_gateway_refuses_is_found(paths: list[str], fault: str) -> None:
    assert fault in faults({path: ["get"] for path in paths})


def test_a_method_that_api_gateway_does_not_know_is_found() -> None:
    assert faults({"/a": ["get", "trace"]}) == ["/a: no method trace"]


def test_a_word_beside_a_variable_and_one_variable_on_many_ways_are_no_fault() -> None:
    paths = ["/", "/a/{x}", "/a/b", "/a/{x}/c", "/a/b/{y}", "/d/{rest+}", "/ping-pong", "/a/ping"]

    assert faults({path: ["get", "options"] for path in paths}) == []
    assert resources(paths) == 10


def test_three_hundred_resources_are_no_fault() -> None:
    assert faults({f"/a/{number}": ["get"] for number in range(298)}) == []
