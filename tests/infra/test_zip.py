"""The zip that is deployed, itself: what is in it, and that it runs alone."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest

from infra import archive, package
from infra.local import LocalStack
from infra.local.functions import Function
from infra.local.stack import HANDLERS
from tests.api.http import Client
from tests.conftest import Project
from tests.domain.graphs import a_graph, a_node
from tests.infra import unzipped
from tests.scenarios.scene import Scene, a_wait
from tests.scenarios.uploading import uploaded

#: The ELF header's number of a processor: 64-bit ARM.
AARCH64 = 0xB7


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.package(tmp_path_factory.mktemp("package")).with_name("deployment.zip")


@pytest.fixture(scope="module")
def folder(deployment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unzipped.unzip(deployment, tmp_path_factory.mktemp("unzipped"))


@pytest.fixture(scope="module")
def names(deployment: Path) -> list[str]:
    with zipfile.ZipFile(deployment) as zipped:
        return zipped.namelist()


def test_at_its_top_lie_the_app_and_the_libraries_that_it_imports(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}

    assert {top for top in tops if not top.endswith(".dist-info")} == {
        *("__pycache__", "app.py", "chalice", "chalicelib"),
        *("aws_lambda_powertools", "aws_xray_sdk", "wrapt", "wrapt-stubs"),
        *("botocore", "dateutil", "jmespath", "six.py", "urllib3"),
        *("annotated_types", "pydantic", "pydantic_core", "typing_extensions.py", "typing_inspection"),
        *("cronsim", "pynamodb", "re2", "tzdata"),
    }


def test_of_the_project_it_holds_the_sources_alone(names: list[str]) -> None:
    ours = {name for name in names if name.startswith(("app", "chalice"))}
    sources = {name for name in ours if not name.endswith(".pyc") and ".dist-info/" not in name}

    here = {path.relative_to(package.PROJECT).as_posix() for path in (package.PROJECT / "chalicelib").rglob("*.py")}
    assert sources == {"app.py", "chalice/__init__.py", "chalice/app.py", *here}


def test_each_source_has_its_bytecode_and_there_is_no_other(names: list[str]) -> None:
    sources = {name for name in names if name.endswith(".py")}

    assert {name for name in names if name.endswith(".pyc")} == {cache_from_source(name) for name in sources}


def test_its_libraries_are_the_versions_that_the_tests_run_with_under_their_licences(names: list[str]) -> None:
    kept = {name.partition(".dist-info/")[0] for name in names if ".dist-info/" in name}
    termed = {name.partition(".dist-info/")[0] for name in names if "licen" in name.lower() and ".dist-info/" in name}

    assert "chalice-" + metadata.version("chalice") in kept
    assert {each: metadata.version(each.partition("-")[0]) for each in kept} == {
        each: each.partition("-")[2] for each in kept
    }
    assert termed == kept


def test_what_is_compiled_runs_on_the_functions_processor(deployment: Path) -> None:
    with zipfile.ZipFile(deployment) as zipped:
        processors = {name: zipped.read(name)[18] for name in zipped.namelist() if name.endswith(".so")}

    assert {name.partition("/")[0] for name in processors} == {"pydantic_core", "re2", "wrapt"}
    assert set(processors.values()) == {AARCH64}


def test_it_is_far_from_what_lambda_loads_at_most(deployment: Path) -> None:
    assert archive.contents(deployment).unzipped < package.MOST_UNZIPPED / 5


def test_an_unchanged_checkout_makes_the_same_bytes(deployment: Path, tmp_path: Path) -> None:
    again = package.package(tmp_path).with_name("deployment.zip")

    one, other = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (deployment, again))
    assert one == other


def test_every_module_and_every_client_is_made_from_it_alone(folder: Path) -> None:
    made = unzipped.run(
        folder,
        """
import app, importlib, json, pathlib
for path in pathlib.Path(sys.path[0], "chalicelib").rglob("*.py"):
    name = ".".join(path.relative_to(sys.path[0]).with_suffix("").parts)
    importlib.import_module(name.removesuffix(".__init__"))
from chalicelib.gateways import clients
from chalicelib.store import table
made = [clients._client(name) for name in clients.SERVICES] + [table.connection().connection.client]
print(json.dumps([each.meta.service_model.service_name for each in made]))
""",
    )

    assert sorted(json.loads(made)) == ["dynamodb", "ecs", "lambda", "s3", "stepfunctions", "sts"]


def test_a_traceback_names_the_lines_of_the_sources(folder: Path) -> None:
    told = unzipped.run(
        folder,
        """
import traceback
from chalicelib import settings
try:
    settings.Settings.from_environment({"STEPWELL_AGENTS": "nowhere"})
except settings.BadSetting as bad:
    frames = traceback.extract_tb(bad.__traceback__)
    print(settings.__cached__, frames[-1].filename, frames[-1].line, sep="\\n")
""",
    )

    cached, filename, line = told.splitlines()
    assert Path(cached).is_file()
    assert Path(filename) == folder / "chalicelib" / "settings.py"
    assert line == "raise BadSetting(message)"


@pytest.fixture
def deployed(folder: Path, stack: LocalStack, project: Project) -> Iterator[Scene]:
    """Have the stack's functions and its API run from the zip, in a process that has nothing else."""
    functions = {handler: stack.resources.functions[logical] for logical, handler in HANDLERS.items()}
    before = {name: stack.functions.find(name) for name in functions.values()}
    with unzipped.served(folder) as url:
        served = Client(url=url, key=project.key)
        for handler, name in functions.items():
            stack.functions.register(_forwarding(before[name], served, handler))
        yield Scene(stack=stack, project=project, client=served)
        stack.wait_idle(30)
    for function in before.values():
        stack.functions.register(function)


def test_a_run_comes_through_with_every_function_on_what_is_in_the_zip_alone(deployed: Scene) -> None:
    stack = deployed.stack
    before = len(stack.lambda_log)
    stack.register("workflow-double", lambda event, _context: {"n": 2 * event["n"], "text": "x" * 9000})
    arms = [a_node(f"arm-{n}", "lambda", functionName="workflow-double", payload={"n": n}) for n in range(33)]
    fan = [edge for arm in arms for edge in (f"wait {arm['id']}", f"{arm['id']} sum")]
    total = a_node("sum", value="{{ sum(values(steps)[?output.text].output.n) }}")

    run = deployed.started(a_graph([a_wait(), *arms, total], fan))
    deployed.told(run, "go")
    ended = deployed.ended(run)
    stack.invoke("sweep")
    uploaded(deployed)
    deployed.settle()

    assert (ended["status"], ended["output"]) == ("complete", 2 * sum(range(33)))
    made = {each.function for each in list(stack.lambda_log)[before:] if each.error is None}
    assert made == {*(stack.resources.functions[logical] for logical in HANDLERS), "workflow-double"}


def _forwarding(function: Function, served: Client, handler: str) -> Function:
    def forward(event: Any, _context: object) -> Any:
        return served.post(f"/2015-03-31/functions/{handler}/invocations", event).json

    return Function(name=function.name, handler=forward, retries=0, timeout_seconds=function.timeout_seconds)
