"""All endpoints of Stepwell. Importing a resource's module is what fills its API's list."""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.api import function_urls, health
from chalicelib.api.endpoints import Endpoint
from chalicelib.api.trigger_api import connections, deployments, runs, versions, workflows
from chalicelib.api.trigger_api.surface import api as trigger_api

#: Named so that a reader sees what the trigger API consists of, and no import looks unused.
TRIGGER_API_RESOURCES = (workflows, versions, deployments, connections, runs)

APIS = (trigger_api, function_urls.api, health.api)


def endpoints() -> Iterator[Endpoint]:
    """Yield every endpoint, API by API."""
    for api in APIS:
        yield from api.endpoints
