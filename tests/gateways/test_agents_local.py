"""Agents on this machine: real processes that report, fail, linger, and take more than they may."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.gateways import agent_process, agents_local
from chalicelib.gateways.agent_process import MOST_PRINTED, report_in
from chalicelib.gateways.agents_local import LocalAgents, close_all
from chalicelib.gateways.clients import OWN_ACCESS
from chalicelib.gateways.errors import CallFailed
from tests.gateways.agents_ecs_cluster import an_order
from tests.gateways.far_end import FarEnd, far_end, refusal
from tests.gateways.servers import Answer

PRELUDE = """
import fcntl, json, os, signal, subprocess, sys, time
def say(text): print(text, file=sys.stderr, flush=True)
def linger(): say("ready"); time.sleep(60)
def hold(path):  # whoever has the file open is alive
    file = open(path, "w"); fcntl.flock(file, fcntl.LOCK_EX); return file
"""


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def end() -> Iterator[FarEnd]:
    with far_end() as serving:
        yield serving


@pytest.fixture
def run(end: FarEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Start an agent that is a few lines of Python."""
    monkeypatch.setattr(agents_local, "_agents", {})

    def start(lines: str, *, seconds: float = 30, memory_mb: int = 2048, work: str = '{"prompt": "é"}') -> str:
        script = tmp_path / "agent.py"
        script.write_text(PRELUDE + lines)
        order = dataclasses.replace(
            an_order("one", token="hush", work=work),
            timeout=timedelta(seconds=seconds),
            memory_mb=memory_mb,
            callback_url=end.url,
        )
        return agents(shlex.join([sys.executable, str(script)])).start(OWN_ACCESS, order, again=False)

    return start


def agents(command: str) -> LocalAgents:
    return LocalAgents(commands={"claude": command}, heartbeat_seconds=0.05, search_path=os.defpath)


def wait_until_free(path: Path) -> None:
    """Wait until nobody holds it, which a kill brings about in its own time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def test_an_agent_has_its_work_twice_and_little_else_and_reports(
    run: Callable[..., str], end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("STEPWELL_KEY_PEPPER", "pepper")
    handle = run("""
print("thinking")
work = json.load(sys.stdin)
assert work == json.load(open(os.environ["STEPWELL_WORK_FILE"]))
assert os.getcwd() == os.path.realpath(os.environ["HOME"])
print(json.dumps({"output": [work, dict(os.environ)]}))
""")
    work, environment = end.wait("report")["output"]
    assert handle == "local/ticket-one"
    assert work == {"prompt": "é"}
    home = environment.pop("HOME")
    assert environment.pop("STEPWELL_WORK_FILE") == f"{home}/work.json"
    assert {name: value for name, value in environment.items() if name not in {"PWD", "SHLVL", "_", "OLDPWD"}} == {
        "PATH": os.defpath,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "STEPWELL_CLI": "claude",
        "STEPWELL_TIMEOUT_SECONDS": "30",
    }
    assert {asked.headers["authorization"] for asked in end.came["report"]} == {"Bearer hush"}
    close_all()
    assert end.words() == ["report"]
    assert not Path(home).exists()


@pytest.mark.parametrize(
    ("lines", "code", "message", "tail"),
    [
        ("say('no key'); sys.exit(3)", "agent_failed", "the agent ended with status 3", "no key"),
        ("os.kill(os.getpid(), 9)", "agent_killed", "the agent was killed by signal 9", ""),
        ("print('x' * 2_000_000)", "agent_output_too_large", "more than 1048576 bytes", "xxx"),
        ("print('no idea')", "agent_no_report", "the agent printed no JSON object", "no idea"),
        ("print('[1]')", "agent_no_report", "the agent printed no JSON object", "[1]"),
        ("bytearray(300_000_000)", "agent_failed", "the agent ended with status 1", "MemoryError"),
        ("say('a' * 5000 + 'é' * 5000); sys.exit(1)", "agent_failed", "status 1", "é" * 2047),
    ],
)
def test_an_agent_that_fails_says_why_with_the_end_of_its_output(
    run: Callable[..., str], end: FarEnd, lines: str, code: str, message: str, tail: str
) -> None:
    run(lines, memory_mb=128)
    said = end.wait("fail")
    assert said["code"] == code
    assert message in said["message"]
    assert tail in said["tail"]
    assert len(said["tail"].encode()) <= 4096


@pytest.mark.parametrize("deaf", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_an_agent_that_takes_too_long_is_ended_even_if_it_will_not(
    run: Callable[..., str], end: FarEnd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deaf: str
) -> None:
    monkeypatch.setattr(agent_process, "GRACE_SECONDS", 0.1)
    run(f"lock = hold({str(tmp_path / 'lock')!r}); {deaf}\nlinger()", seconds=1)
    said = end.wait("fail")
    assert (said["code"], said["message"]) == ("timeout", "the agent was ended after 1 seconds")
    assert "ready" in said["tail"]
    wait_until_free(tmp_path / "lock")


def test_what_an_agent_leaves_running_ends_with_it(run: Callable[..., str], end: FarEnd, tmp_path: Path) -> None:
    run(f"""
lock = hold({str(tmp_path / "lock")!r})
subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()])
print('{{"output": "done"}}')
""")
    assert end.wait("report") == {"output": "done"}
    wait_until_free(tmp_path / "lock")


def test_an_agent_tells_what_it_says_while_it_works_and_nothing_once_it_is_stopped(
    run: Callable[..., str], end: FarEnd, tmp_path: Path
) -> None:
    handle = run(f"lock = hold({str(tmp_path / 'lock')!r})\nlinger()")
    end.wait("heartbeat", containing="ready")
    for _ in range(2):
        agents("").stop(OWN_ACCESS, handle, reason="canceled")
    close_all()
    wait_until_free(tmp_path / "lock")
    agents("").stop(OWN_ACCESS, handle, reason="again")
    agents("").stop(OWN_ACCESS, "local/unknown", reason="never there")
    assert end.words() == []


def test_an_agent_that_nobody_waits_for_any_more_is_ended(run: Callable[..., str], end: FarEnd, tmp_path: Path) -> None:
    end.says["heartbeat"] = [Answer(), refusal(409, "it is over")]
    run(f"lock = hold({str(tmp_path / 'lock')!r})\nlinger()")
    agent = agents_local._agents["ticket-one"]
    assert agent is not None
    agent.join(30)
    wait_until_free(tmp_path / "lock")
    assert end.words() == []


def test_an_agent_that_is_asked_for_twice_is_one_even_once_it_has_ended(run: Callable[..., str], end: FarEnd) -> None:
    lines = "print(json.dumps({'output': os.getpid()}))"
    assert run(lines) == run(lines)
    end.wait("report")
    close_all()
    run(lines)
    close_all()
    assert end.words() == ["report"]


def test_a_report_that_is_refused_fails_the_step_with_the_reason(run: Callable[..., str], end: FarEnd) -> None:
    end.says["report"] = [refusal(400, "must be pass or fail", field="verdict")]
    run('print(\'{"verdict": "maybe"}\')')
    said = end.wait("fail")
    assert (said["code"], said["message"]) == ("agent_report_refused", "verdict: must be pass or fail")


def test_a_report_that_comes_too_late_is_dropped(run: Callable[..., str], end: FarEnd) -> None:
    end.says["report"] = [refusal(409, "it is over")]
    run("print('{}')")
    end.wait("report")
    close_all()
    assert end.words() == ["report"]


def test_an_agent_need_not_read_its_work(run: Callable[..., str], end: FarEnd) -> None:
    run("os.close(0); print('{\"output\": 1}')", work=json.dumps("x" * 2_000_000))
    assert end.wait("report") == {"output": 1}


def test_a_command_that_is_not_there_is_told_by_the_shell(end: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents_local, "_agents", {})
    order = dataclasses.replace(an_order("one"), callback_url=end.url)
    agents("/no/such/agent --fast").start(OWN_ACCESS, order, again=False)
    said = end.wait("fail")
    assert said["message"] == "the agent ended with status 127"
    assert "/no/such/agent" in said["tail"]


@pytest.mark.parametrize("command", ["", "agent 'unclosed"])
def test_a_command_that_is_not_set_is_named_by_its_variable(command: str) -> None:
    with pytest.raises(CallFailed, match="STEPWELL_AGENT_CLAUDE") as failed:
        agents(command).start(OWN_ACCESS, an_order(), again=False)
    assert (failed.value.code, failed.value.retryable) == ("agents_not_configured", False)


def test_a_machine_without_room_for_a_process_may_have_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", full)
    with pytest.raises(CallFailed, match="no process") as failed:
        agents("agent").start(OWN_ACCESS, an_order("no-room"), again=False)
    assert (failed.value.code, failed.value.retryable) == ("agent_start_failed", True)


@pytest.mark.parametrize(
    ("printed", "report"),
    [
        (b'{"a": 1}', b'{"a": 1}'),
        (b'\n{\n "a":\n 1}\n', b'{\n "a":\n 1}'),
        (b'thinking\n{"a": 1}\n{"b": 2}\n\n', b'{"b": 2}'),
        (b'{"a": 1}\nbye {"b": 2}', b'{"a": 1}'),
        (b'{"a": "\xe2\x80\xa8"}', b'{"a": "\xe2\x80\xa8"}'),
        (b'\xff\n{"a": 1}', b'{"a": 1}'),
        (b'{"a": "\xff"}', None),
        (b'"text"', None),
        (b"", None),
        (b'{"a":' * 100_000, None),
    ],
)
def test_a_report_is_all_that_was_printed_or_the_last_object_on_a_line(printed: bytes, report: bytes | None) -> None:
    assert report_in(printed) == report


def test_a_report_of_just_the_most_is_taken(run: Callable[..., str], end: FarEnd) -> None:
    run(f"sys.stdout.write('{{\"output\": \"' + 'x' * ({MOST_PRINTED} - 14) + '\"}}')")
    assert len(end.wait("report")["output"]) == MOST_PRINTED - 14
