"""The settings: defaults that need no environment, and refusals that name the variable."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from chalicelib import settings
from chalicelib.settings import BadSetting, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    settings.reset()
    yield
    settings.reset()


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_every_variable_is_read() -> None:
    read = Settings.from_environment(
        {
            "STEPWELL_TABLE": "t",
            "STEPWELL_BUCKET": "b",
            "STEPWELL_PARK_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:1:stateMachine:park",
            "STEPWELL_DRIVE_FUNCTION": "d",
            "STEPWELL_WORK_FUNCTION": "w",
            "STEPWELL_KEY_PEPPER": "p",
            "STEPWELL_PUBLIC_URL": "https://flows.example.com/api/",
            "STEPWELL_HTTP_ALLOW": "127.0.0.0/8, ::1/128",
            "STEPWELL_FUNCTION_TIMEOUT_SECONDS": "60",
            "STEPWELL_AGENTS": "local",
            "STEPWELL_AGENT_CLUSTER": "agents",
            "STEPWELL_AGENT_SUBNETS": "subnet-1, subnet-2",
            "STEPWELL_AGENT_SECURITY_GROUPS": "sg-1",
            "STEPWELL_AGENT_PUBLIC_IP": "true",
            "STEPWELL_AGENT_TASK_PREFIX": "a-",
            "STEPWELL_AGENT_CLAUDE": "one",
            "STEPWELL_AGENT_CODEX": "two",
            "STEPWELL_AGENT_OPENCODE": "three",
            "STEPWELL_AGENT_PI": "four",
            "STEPWELL_AGENT_HEARTBEAT_SECONDS": "5",
            "PATH": "/bin",
        }
    )
    assert read == Settings(
        table="t",
        bucket="b",
        park_state_machine_arn="arn:aws:states:eu-west-1:1:stateMachine:park",
        drive_function="d",
        work_function="w",
        key_pepper="p",
        public_url="https://flows.example.com/api",
        http_allow=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        function_timeout_seconds=60,
        agents="local",
        agent_cluster="agents",
        agent_subnets=("subnet-1", "subnet-2"),
        agent_security_groups=("sg-1",),
        agent_public_ip=True,
        agent_task_prefix="a-",
        agent_claude="one",
        agent_codex="two",
        agent_opencode="three",
        agent_pi="four",
        agent_heartbeat_seconds=5,
        search_path="/bin",
    )
    assert read.agent_commands == {"claude": "one", "codex": "two", "opencode": "three", "pi": "four"}


def test_an_empty_variable_counts_as_absent() -> None:
    names = ("STEPWELL_TABLE", "STEPWELL_HTTP_ALLOW", "STEPWELL_FUNCTION_TIMEOUT_SECONDS", "STEPWELL_PUBLIC_URL")
    assert Settings.from_environment(dict.fromkeys(names, "")) == Settings()


@pytest.mark.parametrize("value", ["0", "901", "-1", "ten", "1.5", "²"])
def test_a_bad_timeout_is_refused_by_name(value: str) -> None:
    with pytest.raises(BadSetting, match="STEPWELL_FUNCTION_TIMEOUT_SECONDS"):
        Settings.from_environment({"STEPWELL_FUNCTION_TIMEOUT_SECONDS": value})


@pytest.mark.parametrize("value", ["localhost", "10.0.0.1/8", "10.0.0.0/8;::1"])
def test_a_bad_network_is_refused_by_name(value: str) -> None:
    with pytest.raises(BadSetting, match="STEPWELL_HTTP_ALLOW"):
        Settings.from_environment({"STEPWELL_HTTP_ALLOW": value})


@pytest.mark.parametrize(
    ("name", "words"), [("STEPWELL_AGENTS", "ecs or local"), ("STEPWELL_AGENT_PUBLIC_IP", "false or true")]
)
def test_a_word_that_is_none_of_a_settings_own_is_refused_by_name(name: str, words: str) -> None:
    with pytest.raises(BadSetting, match=f"{name} must be {words}"):
        Settings.from_environment({name: "yes"})


def test_the_pepper_is_never_printed() -> None:
    assert "hunter2" not in repr(Settings(key_pepper="hunter2"))


def test_the_environment_is_read_once_until_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_TABLE", "first")
    assert settings.current().table == "first"
    monkeypatch.setenv("STEPWELL_TABLE", "second")
    assert settings.current().table == "first"
    settings.reset()
    assert settings.current().table == "second"
