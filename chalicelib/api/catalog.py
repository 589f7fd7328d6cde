"""Every endpoint of Stepwell, under the module that answers it.

A resource's module is loaded when one of its endpoints is first asked, and with it the models and services that it
alone needs: a cold start pays for one resource, however many there are. What a module declares is therefore listed here
once more, since its routes are made before it is loaded; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Final

from chalicelib.api.endpoints import Endpoint

_API: Final = "chalicelib.api"

#: By module: its paths, and the methods of each.
RESOURCES: Final[Mapping[str, Mapping[str, Sequence[str]]]] = MappingProxyType(
    {
        f"{_API}.trigger_api.workflows": {
            "/api/workflows": ("GET", "POST"),
            "/api/workflows/{workflow_id}": ("GET", "PATCH", "DELETE"),
        },
        f"{_API}.trigger_api.versions": {
            "/api/workflows/{workflow_id}/versions": ("GET", "POST"),
            "/api/workflows/{workflow_id}/versions/{version_id}/revert": ("POST",),
        },
        f"{_API}.trigger_api.deployments": {
            "/api/workflows/{workflow_id}/deploy": ("POST",),
            "/api/workflows/{workflow_id}/takedown": ("POST",),
            "/api/workflows/{workflow_id}/deployments": ("GET",),
        },
        f"{_API}.trigger_api.connections": {
            "/api/connections": ("GET", "POST"),
        },
        f"{_API}.trigger_api.runs": {
            "/api/workflows/{workflow_id}/trigger": ("POST",),
            "/api/workflows/{workflow_id}/runs": ("GET",),
            "/api/workflows/{workflow_id}/runs/{run_id}": ("GET",),
            "/api/workflows/{workflow_id}/runs/{run_id}/pause": ("POST",),
            "/api/workflows/{workflow_id}/runs/{run_id}/resume": ("POST",),
            "/api/workflows/{workflow_id}/runs/{run_id}/terminate": ("POST",),
        },
        f"{_API}.workflow_runs_api.whoami": {
            "/v1/whoami": ("GET",),
        },
        f"{_API}.workflow_runs_api.workflows": {
            "/v1/workflows": ("GET", "POST"),
            "/v1/workflows/{workflow_id}": ("GET", "PATCH", "DELETE"),
            "/v1/workflows/{workflow_id}/clone": ("POST",),
        },
        f"{_API}.workflow_runs_api.workflow_versions": {
            "/v1/workflows/{workflow_id}/versions": ("GET",),
            "/v1/workflows/{workflow_id}/versions/{version_id}": ("GET",),
            "/v1/workflows/{workflow_id}/versions/{version_id}/steps": ("GET",),
            "/v1/workflows/{workflow_id}/versions/{version_id}/diff/{other_version_id}": ("GET",),
        },
        f"{_API}.workflow_runs_api.workflow_graphs": {
            "/v1/workflows/{workflow_id}/graph": ("GET",),
            "/v1/workflows/{workflow_id}/dry-run": ("POST",),
            "/v1/workflows/{workflow_id}/plan": ("POST",),
        },
        f"{_API}.workflow_runs_api.runs": {
            "/v1/workflow-runs": ("GET",),
            "/v1/workflow-runs/{run_id}": ("GET", "DELETE"),
            "/v1/workflow-runs/{run_id}/pause": ("POST",),
            "/v1/workflow-runs/{run_id}/resume": ("POST",),
            "/v1/workflows/{workflow_id}/runs": ("GET",),
        },
        f"{_API}.workflow_runs_api.run_steps": {
            "/v1/workflow-runs/{run_id}/steps": ("GET",),
            "/v1/workflow-runs/{run_id}/steps/{step_ref}": ("GET",),
        },
        f"{_API}.workflow_runs_api.run_views": {
            "/v1/workflow-runs/{run_id}/labels": ("GET",),
            "/v1/workflow-runs/{run_id}/graph": ("GET",),
            "/v1/workflow-runs/{run_id}/timeline": ("GET",),
            "/v1/workflow-runs/{run_id}/explain": ("GET",),
            "/v1/workflow-runs/{run_id}/why": ("GET",),
            "/v1/workflow-runs/{run_id}/history": ("GET",),
        },
        f"{_API}.workflow_runs_api.run_costs": {
            "/v1/workflow-runs/{run_id}/cost": ("GET",),
        },
        f"{_API}.workflow_runs_api.step_verbs": {
            "/v1/workflow-runs/{run_id}/steps/{step_ref}/approve": ("POST",),
            "/v1/workflow-runs/{run_id}/steps/{step_ref}/reject": ("POST",),
            "/v1/workflow-runs/{run_id}/steps/{step_ref}/skip": ("POST",),
            "/v1/workflow-runs/{run_id}/steps/{step_ref}/force-complete": ("POST",),
            "/v1/workflow-runs/{run_id}/steps/{step_ref}/retry": ("POST",),
            "/v1/workflow-runs/{run_id}/steps/{step_ref}/replay-subtree": ("POST",),
        },
        f"{_API}.workflow_runs_api.triggers": {
            "/v1/workflows/{workflow_id}/trigger": ("POST",),
            "/v1/workflow-runs/{run_id}/retry": ("POST",),
        },
        f"{_API}.workflow_runs_api.bulk": {
            "/v1/workflow-runs/bulk-cancel": ("POST",),
            "/v1/workflow-runs/bulk-replay": ("POST",),
        },
        f"{_API}.workflow_runs_api.job_runs": {
            "/v1/job-runs": ("GET",),
            "/v1/job-runs/{job_run_id}": ("GET",),
            "/v1/job-runs/{job_run_id}/claim": ("POST",),
            "/v1/job-runs/{job_run_id}/heartbeat": ("POST",),
            "/v1/job-runs/{job_run_id}/complete": ("POST",),
            "/v1/job-runs/{job_run_id}/fail": ("POST",),
        },
        f"{_API}.workflow_runs_api.events": {
            "/v1/events": ("GET",),
            "/v1/events/{event_key}": ("GET", "DELETE"),
            "/v1/events/{event_key}/send": ("POST",),
        },
        f"{_API}.workflow_runs_api.approvals": {
            "/v1/approvals": ("GET",),
        },
        f"{_API}.workflows_api.personas": {
            "/api/v1/personas/list": ("GET",),
            "/api/v1/personas/get": ("GET",),
            "/api/v1/personas/create": ("POST",),
            "/api/v1/personas/update": ("POST",),
            "/api/v1/personas/delete": ("POST",),
            "/api/v1/personas/duplicate": ("POST",),
            "/api/v1/personas/toggle": ("POST",),
        },
        f"{_API}.workflows_api.analytics": {
            "/api/v1/workflows/analytics": ("GET",),
        },
        f"{_API}.workflows_api.files": {
            "/api/v1/files/upload-url": ("POST",),
            "/api/v1/files/get": ("GET",),
        },
        f"{_API}.workflows_api.agent_callbacks": {
            "/api/v1/agents/{ticket_id}/report": ("POST",),
            "/api/v1/agents/{ticket_id}/heartbeat": ("POST",),
            "/api/v1/agents/{ticket_id}/fail": ("POST",),
        },
        f"{_API}.workflows_api.workflows": {
            "/api/v1/workflows/list": ("GET",),
            "/api/v1/workflows/get": ("GET",),
            "/api/v1/workflows/create": ("POST",),
            "/api/v1/workflows/update": ("POST",),
            "/api/v1/workflows/rename": ("POST",),
            "/api/v1/workflows/duplicate": ("POST",),
        },
        f"{_API}.workflows_api.workflow_versions": {
            "/api/v1/workflows/versions": ("GET",),
            "/api/v1/workflows/versions/revert": ("POST",),
        },
        f"{_API}.workflows_api.workflow_trash": {
            "/api/v1/workflows/delete": ("POST",),
            "/api/v1/workflows/restore": ("POST",),
            "/api/v1/workflows/permanent-delete": ("POST",),
            "/api/v1/workflows/bulk-delete": ("POST",),
        },
        f"{_API}.workflows_api.runs": {
            "/api/v1/runs/start": ("POST",),
        },
        f"{_API}.workflows_api.workflow_runs": {
            "/api/v1/workflows/runs": ("GET",),
            "/api/v1/runs/get": ("GET",),
        },
        f"{_API}.workflows_api.related": {
            "/api/v1/workflows/related": ("GET",),
        },
        f"{_API}.function_urls": {
            "/functions/{token}": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        },
        f"{_API}.openapi": {
            "/openapi.json": ("GET",),
        },
        f"{_API}.health": {
            "/healthz": ("GET",),
        },
    },
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where an endpoint is, before it is loaded."""

    method: str
    #: With its parameters in braces.
    path: str
    #: The module that declares it, to its ``api``.
    module: str

    def endpoint(self) -> Endpoint:
        """Return the endpoint, its module loaded."""
        declared: Sequence[Endpoint] = import_module(self.module).api.endpoints
        return next(one for one in declared if (one.method, one.path) == (self.method, self.path))


def routes() -> Iterator[Route]:
    """Yield where every endpoint is."""
    for module, paths in RESOURCES.items():
        for path, methods in paths.items():
            for method in methods:
                yield Route(method=method, path=path, module=module)


def endpoints() -> Iterator[Endpoint]:
    """Yield every endpoint, which loads them all."""
    for route in routes():
        yield route.endpoint()
