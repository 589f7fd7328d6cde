from __future__ import annotations

import inspect
import pkgutil
import re
from collections import defaultdict
from importlib import import_module

import pytest

from chalicelib import api
from chalicelib.api import catalog
from chalicelib.api.bodies import built
from chalicelib.api.endpoints import ANY_KEY, AnyKey, Api, Endpoint
from chalicelib.api.requests import HttpRequest, path_ids
from chalicelib.domain.access import Scope, word_for
from tests.api.asking import a_request

ENDPOINTS = tuple(catalog.endpoints())

#: The trigger API's page and its resolved semantics, with the word of each endpoint's scope.
TRIGGER_API = {
    ("POST", "/api/workflows/{workflow_id}/trigger"): "deploy",
    ("GET", "/api/workflows/{workflow_id}/runs"): "read",
    ("GET", "/api/workflows/{workflow_id}/runs/{run_id}"): "read",
    ("POST", "/api/workflows/{workflow_id}/runs/{run_id}/pause"): "deploy",
    ("POST", "/api/workflows/{workflow_id}/runs/{run_id}/resume"): "deploy",
    ("POST", "/api/workflows/{workflow_id}/runs/{run_id}/terminate"): "deploy",
    ("GET", "/api/workflows"): "read",
    ("POST", "/api/workflows"): "write",
    ("GET", "/api/workflows/{workflow_id}"): "read",
    ("PATCH", "/api/workflows/{workflow_id}"): "write",
    ("DELETE", "/api/workflows/{workflow_id}"): "write",
    ("POST", "/api/workflows/{workflow_id}/versions"): "write",
    ("GET", "/api/workflows/{workflow_id}/versions"): "read",
    ("POST", "/api/workflows/{workflow_id}/versions/{version_id}/revert"): "write",
    ("POST", "/api/workflows/{workflow_id}/deploy"): "deploy",
    ("POST", "/api/workflows/{workflow_id}/takedown"): "deploy",
    ("GET", "/api/workflows/{workflow_id}/deployments"): "read",
    ("GET", "/api/connections"): "read",
    ("POST", "/api/connections"): "write",
}

#: The workflow-runs API's page, its resolved semantics and what goes beyond them, likewise.
WORKFLOW_RUNS_API = {
    ("GET", "/v1/whoami"): ANY_KEY,
    ("GET", "/v1/workflows"): "workflows:read",
    ("POST", "/v1/workflows"): "workflows:write",
    ("GET", "/v1/workflows/{workflow_id}"): "workflows:read",
    ("PATCH", "/v1/workflows/{workflow_id}"): "workflows:write",
    ("DELETE", "/v1/workflows/{workflow_id}"): "workflows:write",
    ("POST", "/v1/workflows/{workflow_id}/trigger"): "workflows:trigger",
    ("GET", "/v1/workflows/{workflow_id}/runs"): "workflows:read",
    ("POST", "/v1/workflows/{workflow_id}/clone"): "workflows:write",
    ("GET", "/v1/workflows/{workflow_id}/graph"): "workflows:read",
    ("POST", "/v1/workflows/{workflow_id}/dry-run"): "workflows:read",
    ("POST", "/v1/workflows/{workflow_id}/plan"): "workflows:read",
    ("GET", "/v1/workflows/{workflow_id}/versions"): "workflows:read",
    ("GET", "/v1/workflows/{workflow_id}/versions/{version_id}"): "workflows:read",
    ("GET", "/v1/workflows/{workflow_id}/versions/{version_id}/steps"): "workflows:read",
    ("GET", "/v1/workflows/{workflow_id}/versions/{version_id}/diff/{other_version_id}"): "workflows:read",
    ("GET", "/v1/workflow-runs"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}"): "workflows:read",
    ("DELETE", "/v1/workflow-runs/{run_id}"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/pause"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/resume"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/retry"): "workflows:trigger",
    ("GET", "/v1/workflow-runs/{run_id}/steps"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/steps/{step_ref}"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/labels"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/graph"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/explain"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/timeline"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/history"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/why"): "workflows:read",
    ("GET", "/v1/workflow-runs/{run_id}/cost"): "workflows:read",
    ("POST", "/v1/workflow-runs/{run_id}/steps/{step_ref}/approve"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/steps/{step_ref}/reject"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/steps/{step_ref}/skip"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/steps/{step_ref}/force-complete"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/steps/{step_ref}/retry"): "workflows:write",
    ("POST", "/v1/workflow-runs/{run_id}/steps/{step_ref}/replay-subtree"): "workflows:write",
    ("POST", "/v1/workflow-runs/bulk-cancel"): "workflows:write",
    ("POST", "/v1/workflow-runs/bulk-replay"): "workflows:write",
    ("GET", "/v1/events"): "workflows:read",
    ("GET", "/v1/events/{event_key}"): "workflows:read",
    ("DELETE", "/v1/events/{event_key}"): "workflows:write",
    ("POST", "/v1/events/{event_key}/send"): "workflows:trigger",
    ("GET", "/v1/job-runs"): "workflows:read",
    ("GET", "/v1/job-runs/{job_run_id}"): "workflows:read",
    ("POST", "/v1/job-runs/{job_run_id}/claim"): "workflows:write",
    ("POST", "/v1/job-runs/{job_run_id}/heartbeat"): "workflows:write",
    ("POST", "/v1/job-runs/{job_run_id}/complete"): "workflows:write",
    ("POST", "/v1/job-runs/{job_run_id}/fail"): "workflows:write",
    ("GET", "/v1/approvals"): "workflows:read",
}


#: The workflows API's page and its resolved semantics, with the scope of each endpoint. Agents call back on tokens.
WORKFLOWS_API = {
    ("GET", "/api/v1/workflows/list"): "workflows:read",
    ("GET", "/api/v1/workflows/get"): "workflows:read",
    ("GET", "/api/v1/workflows/runs"): "runs:read",
    ("GET", "/api/v1/workflows/analytics"): "workflows:read",
    ("GET", "/api/v1/workflows/related"): "workflows:read",
    ("GET", "/api/v1/workflows/versions"): "workflows:read",
    ("POST", "/api/v1/workflows/create"): "workflows:write",
    ("POST", "/api/v1/workflows/update"): "workflows:write",
    ("POST", "/api/v1/workflows/rename"): "workflows:write",
    ("POST", "/api/v1/workflows/duplicate"): "workflows:write",
    ("POST", "/api/v1/workflows/delete"): "workflows:write",
    ("POST", "/api/v1/workflows/bulk-delete"): "workflows:write",
    ("POST", "/api/v1/workflows/restore"): "workflows:write",
    ("POST", "/api/v1/workflows/permanent-delete"): "workflows:write",
    ("POST", "/api/v1/workflows/versions/revert"): "workflows:write",
    ("POST", "/api/v1/runs/start"): "runs:write",
    ("GET", "/api/v1/runs/get"): "runs:read",
    ("POST", "/api/v1/files/upload-url"): "files:write",
    ("GET", "/api/v1/files/get"): "files:write",
    ("GET", "/api/v1/personas/list"): "personas:read",
    ("GET", "/api/v1/personas/get"): "personas:read",
    ("POST", "/api/v1/personas/create"): "personas:write",
    ("POST", "/api/v1/personas/update"): "personas:write",
    ("POST", "/api/v1/personas/delete"): "personas:write",
    ("POST", "/api/v1/personas/duplicate"): "personas:write",
    ("POST", "/api/v1/personas/toggle"): "personas:write",
    ("POST", "/api/v1/agents/{ticket_id}/report"): None,
    ("POST", "/api/v1/agents/{ticket_id}/heartbeat"): None,
    ("POST", "/api/v1/agents/{ticket_id}/fail"): None,
}


def word_of(endpoint: Endpoint) -> str | AnyKey | None:
    if isinstance(endpoint.scope, AnyKey):
        return endpoint.scope
    words = (word for word, scopes in endpoint.dialect.bundles.items() if endpoint.scope in scopes)
    return next(words, None)


def test_each_endpoint_is_listed_under_the_module_that_declares_it_and_none_is_missing() -> None:
    modules = [import_module(found.name) for found in pkgutil.walk_packages(api.__path__, "chalicelib.api.")]
    declared = {
        (one.view.__module__, one.method, one.path)
        for module in modules
        if isinstance(declares := getattr(module, "api", None), Api)
        for one in declares.endpoints
    }
    listed = [(route.module, route.method, route.path) for route in catalog.routes()]
    assert sorted(listed) == sorted(declared)


def test_the_trigger_api_is_served_whole_and_under_the_scopes_of_its_page() -> None:
    served = {
        (one.method, one.path): word_of(one)
        for one in ENDPOINTS
        if one.path.startswith("/api/") and one.dialect.name == "trigger"
    }
    assert served == TRIGGER_API


def test_the_workflow_runs_api_is_served_whole_and_under_the_scopes_of_its_page() -> None:
    served = {(one.method, one.path): word_of(one) for one in ENDPOINTS if one.path.startswith("/v1/")}
    assert served == WORKFLOW_RUNS_API


def test_the_workflows_api_is_served_whole_and_under_the_scopes_of_its_page() -> None:
    served = {
        (one.method, one.path): word_for(one.scope, one.dialect.bundles) if isinstance(one.scope, Scope) else None
        for one in ENDPOINTS
        if one.path.startswith("/api/v1/")
    }
    assert served == WORKFLOWS_API


def test_each_api_is_in_its_own_dialect() -> None:
    prefixes = {"/api/v1": "workflows", "/api": "trigger", "/v1": "workflow_runs", "/functions": "function"}
    for one in ENDPOINTS:
        dialect = next((name for prefix, name in prefixes.items() if one.path.startswith(f"{prefix}/")), None)
        assert dialect in {one.dialect.name, None}, one.path


def test_every_post_of_the_later_apis_takes_an_idempotency_key() -> None:
    """What starts a run keeps its key with the run itself."""
    closed = [one for one in ENDPOINTS if not one.public and one.path != "/api/v1/runs/start"]
    posts = [one for one in closed if one.path.startswith(("/v1/", "/api/v1/")) and one.method == "POST"]
    assert [one for one in ENDPOINTS if one.takes_key] == posts


def test_only_health_the_document_and_function_urls_are_open_and_agents_show_a_token_of_their_own() -> None:
    guarded = {(one.method, one.path) for one in ENDPOINTS if one.guarded}
    assert guarded == {("POST", f"/api/v1/agents/{{ticket_id}}/{verb}") for verb in ("report", "heartbeat", "fail")}
    public = {(one.method, one.path) for one in ENDPOINTS if one.public} - guarded
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
    assert public == {("GET", "/healthz"), ("GET", "/openapi.json")} | {
        (method, "/functions/{token}") for method in methods
    }


def test_one_level_of_a_path_has_one_variable_name_as_api_gateway_demands() -> None:
    """API Gateway refuses sibling resources with two variable names at deployment; locally they pass."""
    variables: dict[str, set[str]] = defaultdict(set)
    for one in ENDPOINTS:
        parts = one.path.split("/")
        for depth, part in enumerate(parts):
            if part.startswith("{"):
                variables["/".join(parts[:depth])].add(part)
    assert {parent: names for parent, names in variables.items() if len(names) > 1} == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_a_path_is_one_that_api_gateway_takes(endpoint: Endpoint) -> None:
    assert re.fullmatch(r"(/(v1|openapi\.json|[a-z-]+|\{[a-z_]+\}))+", endpoint.path)


def test_each_endpoint_has_a_name_of_its_own() -> None:
    names = [one.name for one in ENDPOINTS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_a_view_takes_what_its_endpoint_declares_and_says_what_it_does(endpoint: Endpoint) -> None:
    declared = [name for name in ("body", "query", "headers") if getattr(endpoint, name) is not None]
    _, *names = inspect.signature(endpoint.view).parameters
    assert sorted(names) == sorted([*endpoint.parameters, *declared])
    assert inspect.getdoc(endpoint.view)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_a_model_can_be_built(endpoint: Endpoint) -> None:
    models = [model for model in (endpoint.body, endpoint.query, endpoint.headers) if model is not None]
    assert all(built(model).__pydantic_complete__ for model in models)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_each_path_parameter_names_something(endpoint: Endpoint) -> None:
    request: HttpRequest = a_request(path=dict.fromkeys(endpoint.parameters, "id_1"))
    assert set(path_ids(request).values()) <= {"id_1"}


def test_every_scope_has_at_most_one_word_in_a_dialect() -> None:
    for dialect in {one.dialect.name: one.dialect for one in ENDPOINTS}.values():
        for scope in Scope:
            assert sum(scope in scopes for scopes in dialect.bundles.values()) <= 1
