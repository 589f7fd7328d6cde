"""`http_request` to what is not the public internet: refused, once, and said clearly, by whatever way it is reached."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.value import Json
from infra.local import LocalStack
from infra.local.stack import forget_clients
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene, a_chain, quickly
from tests.scenarios.steps import a_step
from tests.scenarios.v1_runs import v1_run

ADDRESSES = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",  # noqa: S104 - where a step must not get, not where we listen
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "255.255.255.255",
    "224.0.0.1",
    "2130706433",
    "0x7f.1",
    "017700000001",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "localhost",
]

#: What names resolve to.
NAMES = {
    "loopback.example": ["127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "private.example": ["10.1.2.3"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "both.example": ["93.184.216.34", "127.0.0.1"],
}


@pytest.fixture
def closed(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Open nothing but the public internet, as a deployment does."""
    monkeypatch.setenv("STEPWELL_HTTP_ALLOW", "")
    forget_clients()
    yield
    monkeypatch.undo()
    forget_clients()


def resolve_as(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> None:
    """Have the system's resolver know these names."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in names:
            return real(host, port, *args, **options)
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in names[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def errors_of(scene: Scene, urls: list[str]) -> list[str]:
    """Start a run for each URL, each allowed two retries, and return what the runs' errors say."""
    workflow = scene.deploy(a_chain(a_node("call", "http_request", url="{{ payload }}", config=quickly(delay=3600))))
    runs = [scene.start(workflow, url) for url in urls]
    scene.settle()
    rows = [scene.row(run) for run in runs]
    # A retry would come in an hour: a run that has ended has none.
    assert [row["status"] for row in rows] == ["errored"] * len(urls)
    return [row["error"] for row in rows]


@pytest.mark.usefixtures("closed")
def test_no_address_off_the_public_internet_is_reached(scene: Scene, web: Web) -> None:
    errors = errors_of(scene, [f"http://{host}:{web.server.port}/x" for host in ADDRESSES])
    hosts = [host.strip("[]") for host in ADDRESSES]
    assert errors == [f"{host} is not a public address" for host in hosts]
    assert web.asked == []


@pytest.mark.usefixtures("closed")
def test_no_name_leads_there(scene: Scene, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_as(monkeypatch, NAMES)
    errors = errors_of(scene, [f"http://{name}:{web.server.port}/x" for name in NAMES])
    assert errors == [f"{name} is not a public address" for name in NAMES]
    assert web.asked == []


def test_no_redirect_leads_there(scene: Scene, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack opens loopback alone; what lies beyond stays closed, by redirect too."""
    resolve_as(monkeypatch, NAMES)
    targets = ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fd00:ec2::254]/"]
    targets += ["http://private.example/", "http://metadata.example/", "http://[::ffff:10.0.0.1]/"]
    web.answer = lambda asked: Answer(status=302, headers={"Location": targets[int(asked.path.strip("/"))]})
    errors = errors_of(scene, [f"{web.url}/{at}" for at in range(len(targets))])
    assert all(error.endswith(" is not a public address") for error in errors), errors
    assert len(web.asked) == len(targets)


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1/", "http://", "//x"])
def test_only_http_is_spoken(scene: Scene, url: str) -> None:
    [error] = errors_of(scene, [url])
    assert error


@pytest.mark.usefixtures("closed")
def test_a_refusal_can_be_caught_by_its_code(scene: Scene) -> None:
    nodes = [a_node("call", "http_request", url="http://127.0.0.1/"), a_node("sorry", value="{{ error.code }}")]
    assert scene.result(a_graph(nodes, ["call sorry error"]))["output"] == "address_refused"


@pytest.mark.usefixtures("closed")
def test_a_step_of_a_list_is_guarded_as_a_node_of_a_graph_is(scene: Scene, web: Web) -> None:
    call: Json = {"method": "GET", "url": "http://{{ payload }}/"}
    run = v1_run(scene, a_step("call", step_type="http_request", payload=call), payload=f"127.0.0.1:{web.server.port}")
    assert (run.status, run.get()["error"]) == ("failed", "127.0.0.1 is not a public address")
    assert web.asked == []
