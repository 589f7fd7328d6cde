"""What goes wrong outside Stepwell is told in one line, without a secret in it and without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from infra import __main__ as loader
from infra import package
from infra.checks import Check, Finding, Site, examine
from infra.stacks import Aws
from infra.trouble import Trouble, explained, run
from tests.infra.site import a_site

SECRET = "SECRET0123456789"
ONCE = Config(retries={"total_max_attempts": 1})
Said = pytest.CaptureFixture[str]


def with_a_line_break() -> None:
    session = boto3.Session("AKIDEXAMPLE", "secret", SECRET + "\n", region_name="us-east-1")
    session.client("sts", config=ONCE, endpoint_url="http://127.0.0.1:9").get_caller_identity()


def with_a_process_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = f"{sys.executable} -c \"import sys; sys.exit('{SECRET}')\""
    _with_a_process(folder, monkeypatch, command)


def with_a_process_that_says_something_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_a_process(folder, monkeypatch, f"echo {SECRET}")


def _with_a_process(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    config = folder / "config"
    config.write_text(f"[profile it]\nregion = us-east-1\ncredential_process = {command}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    boto3.Session(profile_name="it").client("sts", config=ONCE).get_caller_identity()


def test_a_credential_with_a_line_break_is_not_said(capsys: Said) -> None:
    def work() -> None:
        with explained("read the stack"):
            with_a_line_break()

    assert run("make deploy", work) == 1
    told = capsys.readouterr().err
    assert SECRET not in told
    assert told.startswith("make deploy: cannot read the stack: your credentials or endpoint hold a character")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (with_a_process_that_fails, "custom-process gives no credentials"),
        (with_a_process_that_says_something_else, "what should be JSON is none"),
    ],
)
def test_what_a_credential_process_says_is_not_repeated(
    call: Callable[[Path, pytest.MonkeyPatch], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Trouble, match=said) as raised, explained("begin"):
        call(tmp_path, monkeypatch)

    assert SECRET not in str(raised.value)


def test_a_check_says_no_credential_either() -> None:
    def look(_: Site) -> list[Finding]:
        with_a_line_break()
        return []

    [found] = examine(a_site(), [Check(about="it", look=look, wants="nothing", of_stack=False)])

    assert SECRET not in found.line
    assert "could not look: your credentials or endpoint hold a character" in found.line


def test_an_endpoint_that_is_none_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "garbage")
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    def work() -> None:
        Aws.of_caller().sts.get_caller_identity()

    assert run("make deploy", work) == 1
    assert capsys.readouterr().err == ("make deploy: cannot go on: Invalid endpoint: garbage: check AWS_ENDPOINT_URL\n")


def test_a_fault_of_ours_is_not_taken_for_a_setting() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        run("make deploy", lambda: print(int("x")))


def test_a_stage_that_is_none_is_not_packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(package, "package", lambda *_, **__: pytest.fail("it was packaged"))

    assert package.main(["--stage=Prod; x", f"--out={tmp_path}"]) == 1
    assert capsys.readouterr().err.startswith("make package: STAGE='Prod; x' is none")


def test_a_folder_that_cannot_be_is_told_in_one_line(tmp_path: Path, capsys: Said) -> None:
    (tmp_path / "build").write_text("")

    assert package.main([f"--out={tmp_path / 'build' / 'package'}"]) == 1
    assert capsys.readouterr().err.startswith("make package: Not a directory: ")


#: What is written late, fails late.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
WRITES = "import sys; from infra.trouble import run; sys.exit(run('make keys', lambda: print('x' * 9)))"


def test_a_full_disk_and_a_reader_who_left_are_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        on_full = subprocess.run(
            [sys.executable, "-c", WRITES], env=BUFFERED, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    reading, writing = os.pipe()
    os.close(reading)
    unread = subprocess.run(
        [sys.executable, "-c", WRITES], env=BUFFERED, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)

    assert (on_full.returncode, on_full.stderr) == (1, "make keys: No space left on device\n")
    assert unread.returncode == 1
    assert unread.stderr.startswith("make keys: nobody reads on what it writes")
    assert len(unread.stderr.splitlines()) == 1


def test_what_is_stopped_while_it_is_loaded_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    def stopped(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loader, "import_module", stopped)

    assert loader.main(["deploy", "STAGE=prod"]) == 130
    assert capsys.readouterr().err == "infra.deploy: stopped before it began\n"


def test_a_tool_is_loaded_by_its_name_and_given_the_rest(capsys: Said) -> None:
    assert loader.main(["doctor", "STAGE=Prod"]) == 1
    assert "make doctor: STAGE='Prod' is none" in capsys.readouterr().err
