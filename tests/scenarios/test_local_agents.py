"""Agents as processes of this machine, over the same HTTP by which one in a container would report."""

from __future__ import annotations

import fcntl
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chalicelib.domain.value import Json
from infra.local.stack import forget_clients
from tests.domain.graphs import a_node
from tests.scenarios.scene import Scene, a_chain

LINGER = "print('halfway', file=sys.stderr, flush=True); time.sleep(60)"


def an_agent(prompt: str = "a poster", **data: Json) -> dict[str, Json]:
    """Return a graph whose only step is an agent."""
    return a_chain(a_node("poster", "agent", cliId="pi", role="designer", prompt=prompt, **data))


@pytest.fixture
def pi(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have a few lines of Python run as the agent `pi`."""

    def become(lines: str) -> None:
        script = tmp_path / "agent.py"
        script.write_text(f"import json, sys, time\n{lines}\n")
        monkeypatch.setenv("STEPWELL_AGENT_PI", shlex.join([sys.executable, str(script)]))
        forget_clients()

    yield become
    monkeypatch.undo()
    forget_clients()


def test_an_agents_report_is_its_steps_output(scene: Scene) -> None:
    report = scene.result(an_agent("A poster: title {{ payload.title }}"), {"title": '"Sale"'})["output"]
    assert report["output"] == {"title": "Sale", "text": "Sale."}
    assert report["usage"]["inputTokens"] > 0


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("sys.exit('no model today')", ["the agent ended with status 1", "no model today"]),
        ("print(json.dumps({'outcome': 1}))", ["outcome"]),
    ],
)
def test_an_agent_that_comes_to_nothing_fails_its_step_with_its_last_words(
    scene: Scene, pi: Callable[[str], None], lines: str, says: list[str]
) -> None:
    pi(lines)
    row = scene.result(an_agent())
    assert row["status"] == "errored"
    assert [text for text in says if text not in row["error"]] == [], row


def test_an_agent_that_takes_too_long_fails_its_step(scene: Scene, pi: Callable[[str], None]) -> None:
    pi(LINGER)
    row = scene.result(an_agent(timeoutMs=1000))
    # Stepwell and the machine watch the same time; either may be the first to say so.
    assert row["error"].startswith(("agent timed out", "the agent was ended after 1 seconds"))


def test_an_agent_of_a_canceled_run_is_ended(scene: Scene, pi: Callable[[str], None], tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    pi(f"import fcntl; lock = open({str(lock)!r}, 'w'); fcntl.flock(lock, fcntl.LOCK_EX)\n{LINGER}")
    run = scene.started(an_agent())
    while not lock.exists():
        scene.stack.functions.wait_for_change(0.05)
    assert scene.do(run, "terminate") == [200]
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # for as long as it lives it is the agent's
    assert scene.row(run)["status"] == "terminated"
