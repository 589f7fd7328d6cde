"""README.md is current: what it lists is what there is, and its examples do what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from chalicelib.api import catalog
from chalicelib.api.dialects import TRIGGER_API, WORKFLOW_RUNS_API, Dialect
from chalicelib.api.endpoints import Endpoint
from chalicelib.domain import template
from chalicelib.domain.access import Scope, word_for
from chalicelib.domain.definition import ON_ERROR
from chalicelib.domain.graph_edges import LABELS
from chalicelib.domain.graph_fields import FIELDS
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import ENDED, MOVES, RunStatus
from chalicelib.domain.value import dumps
from chalicelib.settings import Settings
from infra.local import LocalStack
from tests.conftest import Project
from tests.readme import README, ROOT, blocks, code, rows, section

SETTINGS = (ROOT / "chalicelib" / "settings.py").read_text()


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """Yield the kinds of refusals that have a code of their own."""
    for inner in kind.__subclasses__():
        if "code" in vars(inner):
            yield inner
        yield from refusals(inner)


def status_of(kind: type[Refusal], dialect: Dialect) -> int:
    return dialect.problem(kind("no"), request_id="r").status


def word_in(dialect: Dialect, scope: Scope) -> str:
    return next((word for word, scopes in dialect.bundles.items() if scope in scopes), "")


def wanted_of(endpoint: Endpoint) -> str:
    """What a key must have for the endpoint, as the table of endpoints says it."""
    if isinstance(endpoint.scope, Scope):
        return word_for(endpoint.scope, endpoint.dialect.bundles)
    return "none" if endpoint.public else "any"


def test_the_make_targets_are_those_that_make_help_lists() -> None:
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = dict(re.findall(r"^make (\S+) +(.*)$", helped, re.MULTILINE))
    assert {code(target).removeprefix("make "): does for target, does in rows("| target | does |")} == targets


def test_the_endpoints_are_those_that_are_served_under_the_scopes_and_statuses_that_they_have() -> None:
    written = {
        (method, code(path)): (code(scope), int(success[:3]))
        for methods, path, scope, success in rows("| method | path | scope | success |")
        for method in re.findall(r"`([A-Z]+)`", methods)
    }
    served = {(one.method, one.path): (wanted_of(one), one.status) for one in catalog.endpoints()}
    assert written == served


def test_the_settings_are_those_that_the_app_reads_with_their_defaults() -> None:
    fields = dict(re.findall(r"#: (STEPWELL_\w+): .*\n    (\w+):", SETTINGS))
    assert set(fields) == set(re.findall(r'"(STEPWELL_\w+)"', SETTINGS))
    defaults = {variable: getattr(Settings(), field) for variable, field in fields.items()}
    written = {code(variable): code(default) for variable, default, _ in rows("| variable | default | is |")}
    assert written == {variable: str(default or "") for variable, default in defaults.items()}


def test_the_refusals_are_all_there_with_their_statuses_and_their_meanings() -> None:
    known = {
        kind.code: (status_of(kind, TRIGGER_API), status_of(kind, WORKFLOW_RUNS_API), kind.__doc__)
        for kind in refusals()
    }
    written = {
        code(name): (int(status), int(other[:3]), when)
        for name, status, other, when in rows("| code | status | in `/v1` | when |")
    }
    assert written == known


def test_the_codes_of_the_workflow_runs_api_are_those_that_it_answers() -> None:
    written = {code(name): code(other[4:]) for name, _, other, _ in rows("| code | status | in `/v1` | when |")}
    for kind in refusals():
        problem = WORKFLOW_RUNS_API.problem(kind("no"), request_id="r")
        told = json.loads(dumps(WORKFLOW_RUNS_API.error(problem)))
        assert told["error"]["code"] == written[kind.code]


def test_each_scope_is_there_with_the_word_that_holds_it() -> None:
    known = {
        str(scope): tuple(word_in(dialect, scope) for dialect in (TRIGGER_API, WORKFLOW_RUNS_API)) for scope in Scope
    }
    written = {
        code(scope): (code(ours), code(theirs))
        for scope, ours, theirs in rows("| scope | word of `/api` | word of `/v1` |")
    }
    assert written == known


def test_each_type_of_step_is_there_with_its_fields_and_which_may_be_left_out() -> None:
    written = {
        code(name): set(re.findall(r"`(\w+\??)`", data))
        for name, data, _, _ in rows("| type | `data` | edges | output |")
    }
    known = {
        str(kind): {name if field.required else f"{name}?" for name, field in fields.items()}
        for kind, fields in FIELDS.items()
    }
    assert written == known


def test_the_labels_of_edges_are_those_of_the_types() -> None:
    written = {code(name): edges for name, _, edges, _ in rows("| type | `data` | edges | output |")}
    for kind, labels in LABELS.items():
        assert set(re.findall(r"`(\w+)`", written[kind])) == labels.keys() - {"", ON_ERROR}
        assert ("arm" in written[kind]) == ("" in labels)


def test_the_statuses_of_a_run_are_those_that_the_api_shows() -> None:
    from chalicelib.api.trigger_api.run_rows import RunStatusShown  # noqa: PLC0415 - a module of routes

    assert [code(status) for status, _ in rows("| status | means |")] == list(RunStatusShown)


def test_the_diagram_of_moves_is_drawn_from_the_table() -> None:
    moves = [f"{before} --> {after}: {command}" for before, to in MOVES.items() for command, after in to.items()]
    ends = [f"{status} --> [*]" for status in RunStatus if status in ENDED]
    drawn = README.partition("```mermaid\n")[2].partition("```")[0].splitlines()
    assert [line.strip() for line in drawn] == ["stateDiagram-v2", "[*] --> pending", *moves, *ends]


def test_the_examples_of_templates_become_what_is_said() -> None:
    text = README.partition("With the payload `")[2].partition("`")[0]
    context = {"payload": json.loads(text)}
    block = README.partition("<!-- templates: begin -->")[2].partition("<!-- templates: end -->")[0]
    assert block.count("\n|") > 5
    for written, becomes in rows("| text | becomes |"):
        assert template.render(code(written), context) == json.loads(code(becomes)), written


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_commands_work_as_they_are_printed(stack: LocalStack, project: Project) -> None:
    _, *commands = blocks(section("## Go on by hand"), "sh")
    done = subprocess.run(
        ["bash", "-eu", "-c", "\n".join(commands)],
        env={"URL": stack.url, "KEY": project.key, "PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(answer) for answer in re.split(r"(?<=\})(?=\{)", done.stdout) if answer.strip()]
    *_, last = answers
    assert last["status"] == "complete"
    assert last["output"]["text"] == "Hello, Ada"


@pytest.mark.parametrize("document", ["README.md", "examples/README.md", "CHANGELOG.md"])
def test_what_a_document_links_to_is_there(document: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text())
    missing = [link for link in links if "://" not in link and not ((ROOT / document).parent / link).exists()]
    assert missing == []
