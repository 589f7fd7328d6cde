"""A run put into each state that the trigger API knows, for real."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from threading import Event

from infra.local.functions import Function
from tests.domain.graphs import a_node
from tests.gateways.servers import Answer, Asked
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene, a_chain, a_wait

#: One step that goes on at once, for runs that are to end.
_QUICK = a_chain(a_node("only", value="done"))


def queued(scene: Scene, web: Web) -> str:
    """A run that nobody drives yet: its first invocation is lost."""
    del web
    drive = scene.stack.resources.functions["Drive"]
    real = scene.stack.functions.find(drive)
    workflow = scene.deploy(_QUICK)
    scene.stack.functions.register(Function(name=drive, handler=lambda _event, _context: None))
    run = scene.start(workflow)
    scene.settle()
    scene.stack.functions.register(real)
    return run


def running(scene: Scene, web: Web) -> str:
    """A run whose first step asks a server that does not answer yet; `web.answer` lets go when the test is done."""
    arrived, release = Event(), Event()

    def answer(_: Asked) -> Answer:
        arrived.set()
        assert release.wait(30)
        return Answer(body=json.dumps("late").encode())

    web.answer = answer
    web.release = release.set
    graph = a_chain(
        a_node("call", "http_request", url=web.url), a_node("after", "http_request", url=f"{web.url}/after")
    )
    run = scene.start(scene.deploy(graph))
    assert arrived.wait(30)
    return run


def paused(scene: Scene, web: Web) -> str:
    """A run paused by hand."""
    run = queued(scene, web)
    assert scene.do(run, "pause") == [200]
    scene.settle()
    return run


def waiting(scene: Scene, web: Web) -> str:
    """A run that waits for an event of the type `go`, which shows as paused."""
    del web
    return scene.started(a_chain(a_wait()))


def complete(scene: Scene, web: Web) -> str:
    """A run that is complete."""
    del web
    return scene.started(_QUICK)


def errored(scene: Scene, web: Web) -> str:
    """A run that has failed."""
    del web
    return scene.started(a_chain(a_node("call", "http_request", url="{{ payload.nowhere }}")))


def terminated(scene: Scene, web: Web) -> str:
    """A run that was terminated."""
    run = waiting(scene, web)
    assert scene.do(run, "terminate") == [200]
    scene.settle()
    return run


#: How a run comes into each state, and the status that it then shows.
STATES: Mapping[str, tuple[Callable[[Scene, Web], str], str]] = {
    "queued": (queued, "queued"),
    "running": (running, "running"),
    "paused by hand": (paused, "paused"),
    "waiting": (waiting, "paused"),
    "complete": (complete, "complete"),
    "errored": (errored, "errored"),
    "terminated": (terminated, "terminated"),
}
