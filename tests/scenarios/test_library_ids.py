"""Ids in the bodies and queries of the workflows API: another project's is as good as none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.api.endpoints import Endpoint
from tests.api.http import Response
from tests.conftest import Project
from tests.scenarios.conftest import SharedStack
from tests.scenarios.doors import BODIES, CLOSED, QUERIES, House, api_of, named, nothing_written, said_properly
from tests.scenarios.scene import Scene


def ids_in(endpoint: Endpoint) -> list[str]:
    """Return the names of the ids that a good request to the endpoint holds, the project's own apart."""
    view = endpoint.view.__name__
    asked = json.dumps(BODIES.get(view, {})) + QUERIES.get(view, "")
    return [name for name in re.findall(r"\{(\w+_id)\}", asked) if name != "project_id"]


WITH_NAMED_IDS = tuple(one for one in CLOSED if api_of(one) == "library" and ids_in(one))
#: Answers for each of many, and so never 404 itself.
_MANY = "trash_workflows"


@pytest.fixture(scope="module")
def house(_module_stack: SharedStack) -> House:
    stack = _module_stack.stack()
    return House.of(Scene.of(stack, Project(id="proj_ids", key=stack.add_project("proj_ids"))))


@pytest.fixture(scope="module")
def stranger(house: House) -> House:
    """Return another project, with one of everything too."""
    stack = house.scene.stack
    return House.of(Scene.of(stack, Project(id="proj_ids_2", key=stack.add_project("proj_ids_2"))))


@pytest.fixture
def untouched(house: House, stranger: House) -> Iterator[None]:
    """Hold the test to have written nothing."""
    assert house.scene.stack is stranger.scene.stack
    with nothing_written():
        yield


def knock(house: House, endpoint: Endpoint, **ids: str) -> Response:
    """Send a good request, but for these ids."""
    sent = replace(house, named={**house.named, **ids})
    return sent.knock(endpoint, body=sent.body(endpoint), key=house.scene.project.key)


def test_every_endpoint_that_is_about_something_names_it() -> None:
    about_nothing = {one.view.__name__ for one in CLOSED if api_of(one) == "library" and not ids_in(one)}
    assert about_nothing == {
        "list_library",
        "create_library_workflow",
        "list_personas",
        "create_persona",
        "request_upload",
    }


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", WITH_NAMED_IDS, ids=named)
def test_another_projects_id_is_answered_as_one_of_nothing(house: House, stranger: House, endpoint: Endpoint) -> None:
    for name in ids_in(endpoint):
        foreign = knock(stranger, endpoint, **{name: house.named[name]})
        unknown = knock(stranger, endpoint, **{name: "nowhere"})
        if endpoint.view.__name__ == _MANY:
            told = [one.json["data"] for one in (foreign, unknown)]
            assert [(one["failed"], one["results"][0]["error"]["code"]) for one in told] == [(1, "NOT_FOUND")] * 2
            continue
        assert (foreign.status, unknown.status) == (404, 404), (name, foreign.text, unknown.text)
        assert foreign.json["error"] == unknown.json["error"]
        assert foreign.json["error"]["code"] == "NOT_FOUND"
        assert said_properly(endpoint, foreign)
