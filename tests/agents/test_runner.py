"""The runner of `examples/agents/`: what a container does, as a process of this machine against a small server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agents import sample_agent
from tests.agents.test_sample_agent import work
from tests.gateways.far_end import FarEnd, far_end, refusal
from tests.gateways.servers import Answer

RUNNER = Path(__file__).parents[2] / "examples" / "agents" / "runner.py"
PRELUDE = "import json, os, signal, subprocess, sys, time\n"


@pytest.fixture
def end() -> Iterator[FarEnd]:
    with far_end() as serving:
        serving.says["work"] = [Answer(body=json.dumps(work(prompt='title "Sale"')).encode())]
        yield serving


@pytest.fixture
def begin(end: FarEnd) -> Callable[..., subprocess.Popen[str]]:
    """Start the runner with a command: a few lines of Python, or a program."""

    def start(lines: str = "", *command: str, timeout: str = "30") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", RUNNER, *(command or [sys.executable, "-c", PRELUDE + lines])],
            env={
                "PATH": os.defpath,
                "MODEL_KEY": "key",
                "STEPWELL_CLI": "claude",
                "STEPWELL_WORK_URL": f"{end.url}/work",
                "STEPWELL_CALLBACK_URL": end.url,
                "STEPWELL_CALLBACK_TOKEN": "hush",
                "STEPWELL_TIMEOUT_SECONDS": timeout,
                "STEPWELL_HEARTBEAT_SECONDS": "0.05",
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for its end, and return its status and its log."""
    _, log = process.communicate(timeout=30)
    return process.returncode, log


def test_it_fetches_the_work_and_reports_what_the_command_prints(
    begin: Callable[..., subprocess.Popen[str]], end: FarEnd
) -> None:
    status, log = ended(begin("", sys.executable, str(sample_agent.__file__)))
    assert (status, log) == (0, "designer, round 1 of 4\n")
    assert end.wait("report")["output"]["title"] == "Sale"
    assert end.words() == ["work", "report"]
    assert end.came["report"][0].headers["authorization"] == "Bearer hush"


def test_the_command_has_the_containers_environment_without_the_token(
    begin: Callable[..., subprocess.Popen[str]], end: FarEnd
) -> None:
    ended(begin("print(json.dumps({'file': json.load(open(os.environ['STEPWELL_WORK_FILE'])), **os.environ}))"))
    told = end.wait("report")
    assert told["file"]["prompt"] == 'title "Sale"'
    assert (told["MODEL_KEY"], told["STEPWELL_CLI"]) == ("key", "claude")
    assert "hush" not in json.dumps(told)


@pytest.mark.parametrize(
    ("lines", "code", "message", "tail"),
    [
        ("sys.exit('no key')", "agent_failed", "the agent ended with status 1", "no key"),
        ("print('no idea')", "agent_no_report", "the agent printed no JSON object", "no idea"),
        ("print('x' * 2_000_000)", "agent_output_too_large", "more than 1048576 bytes", "xxx"),
    ],
)
def test_a_command_that_fails_is_told_with_the_end_of_its_output(
    begin: Callable[..., subprocess.Popen[str]], end: FarEnd, lines: str, code: str, message: str, tail: str
) -> None:
    status, log = ended(begin(lines))
    said = end.wait("fail")
    assert said["code"] == code
    assert message in said["message"]
    assert tail in said["tail"]
    assert (status, f"{code}: " in log) == (1, True)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(
    begin: Callable[..., subprocess.Popen[str]], end: FarEnd
) -> None:
    # The log is the pipe that the two would hold open: it ends only once they have.
    status, _ = ended(begin("subprocess.Popen(['sleep', '60'], stderr=2); time.sleep(60)", timeout="0.5"))
    assert (status, end.wait("fail")["code"]) == (1, "timeout")


def test_a_command_that_nobody_waits_for_any_more_is_ended(
    begin: Callable[..., subprocess.Popen[str]], end: FarEnd
) -> None:
    end.says["heartbeat"] = [Answer(status=503), refusal(409, "it is over")]
    status, _ = ended(begin("time.sleep(60)"))
    assert (status, end.words()) == (0, ["work"])


def test_a_container_that_is_told_to_stop_says_so(begin: Callable[..., subprocess.Popen[str]], end: FarEnd) -> None:
    process = begin("print('halfway', file=sys.stderr, flush=True); time.sleep(60)")
    end.wait("heartbeat", containing="halfway")
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 1
    said = end.wait("fail")
    assert (said["code"], said["tail"]) == ("agent_stopped", "halfway\n")


def test_a_report_that_is_refused_fails_with_the_reason(
    begin: Callable[..., subprocess.Popen[str]], end: FarEnd
) -> None:
    end.says["report"] = [refusal(400, "is required", field="output")]
    ended(begin("print('{}')"))
    said = end.wait("fail")
    assert (said["code"], said["message"]) == ("agent_report_refused", "output: is required")


@pytest.mark.parametrize("status", [403, 404])
def test_work_that_cannot_be_fetched_is_told(
    begin: Callable[..., subprocess.Popen[str]], end: FarEnd, status: int
) -> None:
    end.says["work"] = [Answer(status=status, body=b"<Error/>")]
    assert ended(begin("print('{}')"))[0] == 1
    said = end.wait("fail")
    assert (said["code"], said["message"]) == ("agent_start_failed", f"a request was answered with status {status}")


def test_a_command_that_is_not_there_is_told(begin: Callable[..., subprocess.Popen[str]], end: FarEnd) -> None:
    ended(begin("", "/no/such/agent"))
    assert "/no/such/agent" in end.wait("fail")["message"]
