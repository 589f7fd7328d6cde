"""`python -m tests.bench`: measures speed and cost, prints them as tables beside the targets, and fails for neither."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from infra.local import LocalStack
from infra.local.dynamodb import CannotStart, dynamodb_local
from tests.bench import imports, report, targets
from tests.bench.echo import echo_server
from tests.bench.measure import Measured, measure
from tests.bench.scenarios import SCENARIOS

_IMPORTS = "imports"
_NAMES = {"local": "DynamoDB Local", "moto": "moto (its units are made up, so none are judged; nor is its speed)"}


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for."""
    options = _parser().parse_args(arguments)
    chosen = options.only or [*SCENARIOS, _IMPORTS]
    result: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine(), "dynamodb": {}}
    if _IMPORTS in chosen:
        imported = imports.measure(options.rounds)
        judged = list(targets.of_imports(imported))
        _print(report.import_lines(imported, judged))
        result["imports"] = {**vars(imported), "targets": [vars(each) for each in judged]}
    names = [name for name in SCENARIOS if name in chosen]
    for kind in ("local", "moto") if options.dynamodb == "both" else (options.dynamodb,):
        if names:
            measured = _measured(kind, names, options.rounds)
            if measured is None:
                continue
            judged = list(targets.of_stack(measured, exact=kind == "local"))
            _print(report.stack_lines(_NAMES[kind], measured, judged))
            result["dynamodb"][kind] = {
                "scenarios": {name: one.as_json() for name, one in measured.items()},
                "targets": [vars(each) for each in judged],
            }
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _measured(kind: str, names: list[str], rounds: int) -> Mapping[str, Measured] | None:
    with ExitStack() as exit_stack:
        try:
            endpoint = exit_stack.enter_context(dynamodb_local()) if kind == "local" else None
        except CannotStart as missing:
            _say(str(missing))
            return None
        url = exit_stack.enter_context(echo_server())
        stack = exit_stack.enter_context(LocalStack(dynamodb_endpoint=endpoint, sweep_seconds=None))
        logging.getLogger("stepwell").setLevel(logging.ERROR)
        scenarios = {name: SCENARIOS[name](url) for name in names}
        try:
            return measure(stack, scenarios, rounds=rounds, say=lambda text: _say(f"{kind}: {text}"))
        except AssertionError as failure:
            _say(f"{kind}: nothing to report, because {failure}")
            return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*SCENARIOS, _IMPORTS], help="measure this; may be repeated")
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
