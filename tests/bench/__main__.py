"""`python -m tests.bench`: measures speed and cost, prints them as tables beside the targets, and fails for neither."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from infra.local import LocalStack
from infra.local.dynamodb import CannotStart, dynamodb_local
from tests.bench import cold, imports, report, starts, targets, verbs
from tests.bench.analytics import ANALYTICS
from tests.bench.echo import echo_server
from tests.bench.library import LIBRARIES
from tests.bench.lists import LISTS
from tests.bench.measure import Measured, measure
from tests.bench.scenarios import SCENARIOS

_IMPORTS = "imports"
_COLD = "cold"
_LISTS = {**LISTS, **LIBRARIES, **ANALYTICS}
#: Requests whose calls to AWS are counted: what they are, what makes them, what judges them.
_REQUESTS = {
    "verbs": ("a verb on a held run", verbs.measure, targets.of_verbs),
    "starts": ("a start of a run", starts.measure, targets.of_starts),
}
#: All but the lists, which are measured on a stack of their own: their runs would lie in the others' way.
_ALL = (*SCENARIOS, *_LISTS, *_REQUESTS, _IMPORTS, _COLD)
_NAMES = {"local": "DynamoDB Local", "moto": "moto (its units are made up, so none are judged; nor is its speed)"}


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for."""
    options = _parser().parse_args(arguments)
    chosen = options.only or _ALL
    result: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine(), "dynamodb": {}}
    if _IMPORTS in chosen:
        imported = imports.measure(options.rounds)
        judged = list(targets.of_imports(imported))
        _print(report.import_lines(imported, judged))
        result["imports"] = {**vars(imported), "targets": [vars(each) for each in judged]}
    if _COLD in chosen:
        starts_cold = cold.measure(options.rounds)
        _print(report.cold_lines(starts_cold))
        result["cold"] = [vars(each) for each in starts_cold]
    for kind in ("local", "moto") if options.dynamodb == "both" else (options.dynamodb,):
        try:
            told = _told(kind, chosen, options.rounds)
        except CannotStart as missing:
            _say(str(missing))
        except AssertionError as failure:
            _say(f"{kind}: nothing to report, because {failure}")
        else:
            result["dynamodb"][kind] = told
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _told(kind: str, chosen: Sequence[str], rounds: int) -> dict[str, Any]:
    """Measure on stacks of a kind, print what was measured, and return it as the JSON report has it."""
    told: dict[str, Any] = {}
    exact = kind == "local"
    measured: dict[str, Measured] = {}
    for makers in (SCENARIOS, _LISTS if exact else {}):
        names = [name for name in makers if name in chosen]
        if names:
            with _running(kind) as (stack, url):
                scenarios = {name: makers[name](url) for name in names}
                measured |= measure(stack, scenarios, rounds=rounds, say=lambda text: _say(f"{kind}: {text}"))
    if measured:
        judged = list(targets.of_stack(measured, exact=exact))
        _print(report.stack_lines(_NAMES[kind], measured, judged))
        told["scenarios"] = {name: one.as_json() for name, one in measured.items()}
        told["targets"] = [vars(each) for each in judged]
    for name, (title, ask, judge) in _REQUESTS.items():
        if name in chosen:
            with _running(kind) as (stack, _):
                asked = ask(stack)
            judged = list(judge(asked))
            _print(report.call_lines(title, asked, judged))
            told[name] = {each: counts.as_json() for each, counts in asked.items()}
            told[f"{name}_targets"] = [vars(each) for each in judged]
    return told


@contextmanager
def _running(kind: str) -> Iterator[tuple[LocalStack, str]]:
    """Have a stack of a kind, and give it with the address of the echo server."""
    with ExitStack() as exit_stack:
        endpoint = exit_stack.enter_context(dynamodb_local()) if kind == "local" else None
        url = exit_stack.enter_context(echo_server())
        stack = exit_stack.enter_context(LocalStack(dynamodb_endpoint=endpoint, sweep_seconds=None))
        logging.getLogger("stepwell").setLevel(logging.ERROR)
        yield stack, url


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=_ALL, help="measure this; may be repeated")
    parser.add_argument("--dynamodb", choices=["moto", "local", "both"], default="both", help="what to measure on")
    parser.add_argument("--rounds", type=int, default=5, help="how often; medians are reported")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all figures")
    return parser


def _print(lines: list[str]) -> None:
    print("\n".join(lines), end="\n\n", flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
