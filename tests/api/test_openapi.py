from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import validate
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib.api import catalog, openapi_errors
from chalicelib.api.dialects import FUNCTION_URL, TRIGGER_API, WORKFLOW_RUNS_API, Dialect
from chalicelib.api.endpoints import Endpoint, answer
from chalicelib.api.openapi_document import document
from chalicelib.domain.refusal import Detail, Invalid, NotFound
from infra import openapi
from tests.api.asking import a_request, told

ENDPOINTS = tuple(catalog.endpoints())
METHODS = {"get", "head", "post", "put", "patch", "delete"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def operation_of(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][endpoint.path][endpoint.method.lower()]
    return found


def test_the_committed_document_is_current() -> None:
    assert openapi.FILE.read_text() == openapi.text(), "run `make openapi`"


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_it_describes_every_endpoint_and_nothing_else() -> None:
    described = {(method.upper(), path) for method, path, _ in operations()}
    assert described == {(one.method, one.path) for one in ENDPOINTS}


def test_whoever_asks_is_given_it_with_the_address_asked() -> None:
    (endpoint,) = (one for one in ENDPOINTS if one.path == "/openapi.json")
    answered = told(answer(endpoint, a_request(key=None)))
    assert answered.pop("servers") == [{"url": "https://stepwell.example"}]
    assert answered == json.loads(openapi.text())


def test_every_operation_has_an_id_of_its_own_and_says_what_it_does() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z_]+", id_) for id_ in ids)
    assert all(operation["summary"] for _, _, operation in operations())


def test_every_operation_has_one_tag_that_is_explained() -> None:
    explained = {tag["name"] for tag in document()["tags"]}
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == explained


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_an_operation_asks_for_the_key_that_its_endpoint_asks_for(endpoint: Endpoint) -> None:
    operation = operation_of(endpoint)
    is_open = endpoint.public and not endpoint.guarded
    assert (operation["security"] == []) == is_open
    assert ("401" in operation["responses"]) == (not is_open)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_an_operation_takes_what_its_endpoint_takes(endpoint: Endpoint) -> None:
    operation = operation_of(endpoint)
    in_path = [one["name"] for one in operation.get("parameters", ()) if one.get("in") == "path"]
    assert in_path == list(endpoint.parameters)
    assert ("requestBody" in operation) == (endpoint.body is not None)
    kept = {"$ref": "#/components/parameters/Idempotency-Key"} in operation.get("parameters", ())
    assert kept == endpoint.takes_key


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_an_operation_answers_as_its_endpoint_does(endpoint: Endpoint) -> None:
    answers = operation_of(endpoint)["responses"]
    good = {int(status) for status, response in answers.items() if "$ref" not in response}
    assert good == {endpoint.status, *endpoint.also}
    assert "500" in answers


@pytest.mark.parametrize("dialect", [TRIGGER_API, FUNCTION_URL, WORKFLOW_RUNS_API], ids=lambda one: one.name)
@pytest.mark.parametrize(
    "refused", [NotFound("no"), Invalid("no", details=(Detail(path="a", message="b", node_id="n"),))]
)
def test_an_error_looks_as_described(dialect: Dialect, refused: NotFound | Invalid) -> None:
    body = dialect.error(dialect.problem(refused, request_id="r"))
    schema = {**openapi_errors.BODIES[dialect.name], "additionalProperties": False}
    validate(body, schema)


def test_what_is_none_is_neither_required_nor_null_where_it_is_left_out() -> None:
    shown = document()["components"]["schemas"]["workflow_runs.RunOut"]
    assert "finished_at" in shown["properties"]
    assert "finished_at" not in shown["required"]
    assert shown["properties"]["error"] == {"type": "string"}


def test_what_is_null_is_said_to_be_where_it_is_not_left_out() -> None:
    shown = document()["components"]["schemas"]["trigger.RunShown"]
    assert "error" in shown["required"]
    assert {"type": "null"} in shown["properties"]["error"]["anyOf"]


def test_nothing_is_described_that_nothing_refers_to() -> None:
    text = openapi.text()
    unused = [name for name in document()["components"]["schemas"] if f'schemas/{name}"' not in text]
    assert unused == []
