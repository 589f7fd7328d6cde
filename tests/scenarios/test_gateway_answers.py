"""What is answered where no endpoint is, by the real routes: as the template has API Gateway answer it."""

from __future__ import annotations

import pytest

from chalicelib.api import catalog
from chalicelib.api.endpoints import METHODS
from tests.api.http import Client, Response
from tests.scenarios.doors import nothing_written
from tests.scenarios.scene import Scene

#: By path: the methods that it answers.
ROUTES: dict[str, set[str]] = {}
for route in catalog.routes():
    ROUTES.setdefault(route.path, set()).add(route.method)


def is_no_endpoint(answered: Response) -> bool:
    """Whether it says, to a page of any origin too, that there is no such endpoint and where they are listed."""
    told = answered.json
    return (
        (answered.status, told["error"]["code"]) == (404, "not_found")
        and "GET /openapi.json lists them" in told["message"] == told["error"]["message"]
        and told["request_id"] == told["requestId"] == answered.headers["x-request-id"]
        and answered.headers["access-control-allow-origin"] == "*"
    )


def test_a_path_answers_no_method_but_its_own_and_tells_browsers_which_those_are(scene: Scene) -> None:
    with nothing_written():
        for path, methods in ROUTES.items():
            for method in sorted(METHODS - methods - {"HEAD"}):
                assert is_no_endpoint(scene.client.send(method, path, b"{}")), (method, path)
            allowed = scene.client.send("OPTIONS", path)
            assert allowed.status == 200
            assert set(allowed.headers["access-control-allow-methods"].split(",")) == methods | {"OPTIONS"}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/runs",
        "/v1",
        "/v1/nothing",
        "/api/v1",
        "/api/v1/runs",
        "/functions",
        "/Healthz",
        "/v1/a/b/c/d",
    ],
)
def test_beside_the_paths_there_is_nothing_and_no_key_is_repeated(scene: Scene, path: str) -> None:
    for client in (scene.client, Client(url=scene.stack.url, key=None)):
        answered = client.get(path)

        assert is_no_endpoint(answered)
        assert scene.project.key not in answered.text + str(answered.headers)
