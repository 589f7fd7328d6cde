"""Every endpoint of the API, with a good request for each, and whether anything was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.awsrequest import AWSPreparedRequest

from chalicelib.api import catalog
from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.value import Json
from chalicelib.store import table
from tests.api.http import Client, Response
from tests.domain.graphs import a_node
from tests.scenarios.scene import CONNECTION, Scene, a_chain, a_wait

ENDPOINTS = tuple(catalog.endpoints())
CLOSED = tuple(endpoint for endpoint in ENDPOINTS if not endpoint.public)
#: Those that take a body, whatever it is about.
WITH_BODY = tuple(endpoint for endpoint in ENDPOINTS if endpoint.body is not None)
WITH_QUERY = tuple(endpoint for endpoint in ENDPOINTS if endpoint.query is not None)
WITH_IDS = tuple(endpoint for endpoint in CLOSED if endpoint.parameters)

#: DynamoDB's operations that change nothing.
_READS = frozenset({"GetItem", "BatchGetItem", "Query"})

#: A body that the endpoint would take, by the name of its view.
BODIES: Mapping[str, dict[str, Json]] = {
    "create_workflow": {"name": "n"},
    "change_workflow": {"name": "n"},
    "save_version": {"ir": a_chain(a_node("only"))},
    "deploy": {"connectionId": CONNECTION},
    "take_down": {"connectionId": CONNECTION},
    "create_connection": {"name": "n", "region": "eu-west-1"},
    "trigger_run": {"connectionId": CONNECTION, "params": {"a": 1}},
    "call_function": {},
}


def named(endpoint: Endpoint) -> str:
    """What a test about an endpoint is called."""
    return f"{endpoint.method} {endpoint.path}"


@dataclass(frozen=True, kw_only=True)
class House:
    """A project with one of everything, and how to knock at its doors."""

    scene: Scene
    #: An id that there is, by the path parameter's name.
    ids: Mapping[str, str]

    @classmethod
    def of(cls, scene: Scene) -> House:
        """Have one of everything."""
        workflow = scene.deploy(a_chain(a_wait()))
        run = scene.start(workflow)
        scene.settle()
        [version] = scene.client.get(f"{workflow.path}/versions").json["data"]
        function = scene.deploy(a_chain(a_node("only")), kind="script")
        ids = {
            "workflow_id": workflow.id,
            "version_id": version["id"],
            "run_id": run.rpartition("/")[2],
            "token": function.url.rpartition("/")[2],
        }
        return cls(scene=scene, ids=ids)

    def knock(
        self,
        endpoint: Endpoint,
        *,
        body: bytes | None = None,
        key: str | None = None,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        ids: Mapping[str, str] | None = None,
    ) -> Response:
        """Send the endpoint a request; an id, in the path, is the house's own unless one is given."""
        path = endpoint.path.format(**{**self.ids, **(ids or {})})
        sent = {"Content-Type": "application/json"} if headers is None else headers
        return Client(url=self.scene.stack.url, key=key).send(endpoint.method, path + query, body, sent)


@contextmanager
def nothing_written() -> Iterator[None]:
    """Hold what is done meanwhile, by whichever thread of the app, to have sent DynamoDB nothing but reads.

    The whole table, compared before and after, would tell the same, and take moto a second each time.
    """
    sent: list[str] = []

    def note(request: AWSPreparedRequest, **_: object) -> None:
        target = request.headers["X-Amz-Target"]
        sent.append((target if isinstance(target, str) else target.decode()).rpartition(".")[2])

    events = table.connection().connection.client.meta.events
    events.register("before-send.dynamodb", note)
    try:
        yield
    finally:
        events.unregister("before-send.dynamodb", note)
    assert not [operation for operation in sent if operation not in _READS]


def said_properly(endpoint: Endpoint, answered: Response) -> bool:
    """Whether a refusal is worded as the endpoint's dialect words it, and carries its request's id."""
    told = answered.json
    word = "message" if endpoint.path.startswith("/functions/") else "error"
    whole = isinstance(told.get(word), str) and told.keys() <= {word, "details"}
    details = all({"path", "message"} <= detail.keys() for detail in told.get("details", ()))
    return bool(whole and details and answered.headers.get("x-request-id"))
