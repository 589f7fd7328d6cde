"""What the Makefile hands to the tools, in a folder with a Python that only says what it was given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: It says its arguments as JSON, and for the rest is none.
STUB = """#!/bin/sh
exec python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, made)
    python = made / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STUB)
    python.chmod(0o755)
    (made / ".venv" / ".stamp").touch()
    return made


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHON": "python3", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def handed(folder: Path, *words: str, **environment: str) -> list[str]:
    """What the tool was given by make."""
    done = make(folder, *words, **environment)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(said, list)
    return sorted(said[2:])


def test_what_is_given_goes_on_as_it_was_given_and_once(folder: Path) -> None:
    given = ['NAME=it\'s a "key" of $HOME', "SCOPES=runs:read  runs:trigger", "STAGE=prod"]

    assert handed(folder, "key", *given) == [*given, "keys"]


def test_what_the_environment_says_is_not_lost(folder: Path) -> None:
    assert handed(folder, "deploy", PLAN="1", STAGE="prod") == ["PLAN=1", "STAGE=prod", "deploy"]
    assert handed(folder, "destroy", CONFIRM="dev") == ["CONFIRM=dev", "STAGE=dev", "destroy"]
    assert handed(folder, "key", "NAME=ci", EXPIRES="1d", SCOPES="read") == [
        "EXPIRES=1d",
        "NAME=ci",
        "SCOPES=read",
        "STAGE=dev",
        "keys",
    ]


def test_the_command_line_goes_before_the_environment(folder: Path) -> None:
    assert handed(folder, "deploy", "PLAN=0", "STAGE=a", PLAN="1", STAGE="b") == ["PLAN=0", "STAGE=a", "deploy"]


def test_what_an_environment_has_by_chance_reaches_no_tool(folder: Path) -> None:
    chance = dict.fromkeys(("NAME", "PROJECT", "NEW_PROJECT", "REVOKE", "EXPIRES", "CONFIRM"), "of somebody")

    assert handed(folder, "deploy", **chance) == ["STAGE=dev", "deploy"]
    assert handed(folder, "doctor", PLAN="1", **chance) == ["STAGE=dev", "doctor"]
    assert handed(folder, "keys", PLAN="1", **chance) == ["LIST=1", "STAGE=dev", "keys"]
    del chance["EXPIRES"], chance["CONFIRM"]
    assert handed(folder, "destroy", **chance) == ["STAGE=dev", "destroy"]
    assert handed(folder, "key", "ROTATE=k", **chance) == ["ROTATE=k", "STAGE=dev", "keys"]


@pytest.mark.parametrize("target", ["package", "deploy", "doctor"])
@pytest.mark.parametrize("stage", ["x; touch broken", "$(shell touch broken)x", "'; touch broken; '", "`touch broken`"])
def test_a_stage_is_a_word_and_no_command(folder: Path, target: str, stage: str) -> None:
    [word] = [word for word in handed(folder, target, f"STAGE={stage}") if "=" in word]

    assert word.rpartition("STAGE=")[2].removeprefix("--stage=") == stage
    assert not (folder / "broken").exists()


def test_a_name_is_a_word_and_no_command(folder: Path) -> None:
    assert handed(folder, "deploy", "x;touch${IFS}broken;=1")[-1].startswith("x;touch")
    assert not (folder / "broken").exists()


def test_a_line_break_becomes_a_blank(folder: Path) -> None:
    given = handed(folder, "deploy", "PARAMETERS=A=1\nB=2", "STAGE=dev\n")

    assert given == ["PARAMETERS=A=1 B=2", "STAGE=dev ", "deploy"]


def test_what_the_makefile_calls_its_own_is_nobodys_to_give(folder: Path) -> None:
    assert handed(folder, "deploy", "given=PLAN=1", "quoted=; touch broken") == ["STAGE=dev", "deploy"]
    assert not (folder / "broken").exists()


def test_a_stamp_without_its_python_is_made_anew(folder: Path, tmp_path: Path) -> None:
    whole = make(folder, "-q", "venv").returncode
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / ".venv" / "bin" / "python").unlink()

    assert whole == 0
    assert "venv --clear .venv" in make(copy, "-n", "venv").stdout
