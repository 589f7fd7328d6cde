from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from chalice.config import Config
from chalice.deploy.validate import validate_configuration

from chalicelib.api import catalog

PROJECT = Path(__file__).parent.parent
#: Prints the process's peak memory in kilobytes. (getrusage would count its parent's too, from before exec.)
PEAK = "import re; print(re.search(r'VmHWM:\\s+([0-9]+) kB', open('/proc/self/status').read())[1])"


def run(code: str) -> str:
    """Run Python in a process of its own, with no environment that the app could lean on."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env={}, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def test_the_app_imports_without_any_environment_and_declares_its_functions() -> None:
    code = "import app; print(app.app.app_name, sorted(app.app.handler_map), sorted(app.app.event_sources[0].__dict__))"
    name, rest = run(code).split(" ", 1)
    assert name == "stepwell"
    assert "'drive'" in rest
    assert "'sweep'" in rest
    assert "'work'" in rest


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's peak memory there")
def test_the_app_imports_in_little_memory() -> None:
    assert int(run(f"import app; {PEAK}")) < 130 * 1024


def test_importing_the_app_loads_neither_boto3_nor_what_only_develops_it() -> None:
    loaded = set(json.loads(run("import app, sys, json; print(json.dumps(sorted(sys.modules)))")))
    assert loaded.isdisjoint({"boto3", "moto", "infra", "chalice.cli", "chalice.deploy", "pytest", "hypothesis"})


def test_importing_the_app_loads_neither_the_engine_nor_any_resource_of_the_api() -> None:
    loaded = set(json.loads(run("import app, sys, json; print(json.dumps(sorted(sys.modules)))")))
    assert loaded.isdisjoint({"chalicelib.domain.engine", "chalicelib.services.drive", *catalog.RESOURCES})


def test_polling_a_run_loads_neither_the_engine_nor_the_compiler_nor_another_resource() -> None:
    code = "import chalicelib.api.trigger_api.runs, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(run(code)))
    others = set(catalog.RESOURCES) - {"chalicelib.api.trigger_api.runs"}
    assert loaded.isdisjoint(
        {"chalicelib.domain.engine", "chalicelib.domain.graph", "chalicelib.domain.template", *others}
    )


def test_chalice_finds_nothing_wrong_with_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    stepwell = importlib.import_module("app").app
    configured = json.loads((PROJECT / ".chalice" / "config.json").read_text())
    validate_configuration(Config("dev", config_from_disk=configured, user_provided_params={"chalice_app": stepwell}))


def test_a_line_of_any_part_is_written_once_and_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import app, logging; logging.getLogger('stepwell.drive').error('hello', extra={'run_id': 'r1'})"
    [line] = run(code).splitlines()
    told = json.loads(line)
    assert (told["level"], told["message"], told["run_id"], told["service"]) == ("ERROR", "hello", "r1", "stepwell")


def test_chalice_itself_writes_to_the_same_log() -> None:
    assert importlib.import_module("app").app.log is logging.getLogger("stepwell")
