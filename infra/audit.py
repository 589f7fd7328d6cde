"""`make audit`: checkov over the CloudFormation that is deployed, held against the list of what we leave and why.

checkov pins other versions of what Stepwell runs with, and so lives in an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml

from infra import conditions, package
from infra.template import Node
from infra.trouble import Trouble, run

BUILD: Final = package.PROJECT / "build" / "audit"
CHECKOV: Final = package.PROJECT / ".venv-audit" / "bin" / "checkov"
SKIPS: Final = Path(__file__).with_name("audit.yaml")

#: The parameters that harden a stack, at values that do so.
HARDENED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AccessLog": "true",
        "AlarmEmail": "ops@example.com",
        "ApiConcurrency": "100",
        "CustomerKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1",
        "DriveConcurrency": "100",
        "Tracing": "true",
        "WorkConcurrency": "100",
    }
)
#: The sections of the list, and in which of the two looks what they name fails.
SECTIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"by_default": frozenset({"default"}), "always": frozenset({"default", "hardened"})}
)
_LOOKS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({"default": {}, "hardened": HARDENED})

#: A check, the resource that fails it, and the look: "default" or "hardened".
Finding = tuple[str, str, str]


def skipped(listed: Mapping[str, Mapping[str, Node]]) -> set[Finding]:
    """Return what the list lets fail; Trouble where an entry has no reason, or names nothing."""
    found: set[Finding] = set()
    for section, checks in listed.items():
        for check, entry in checks.items():
            if not str(entry.get("reason") or "").strip() or not entry.get("resources"):
                raise Trouble(f"{SKIPS.name}: {section} {check} needs resources and a reason")
            found |= {(check, resource, look) for resource in entry["resources"] for look in SECTIONS[section]}
    return found


def complaints(failed: Iterable[Finding], listed: Mapping[str, Mapping[str, Node]]) -> list[str]:
    """Return a line for each finding that is not on the list, and for each on the list that was not found."""
    found, left = set(failed), skipped(listed)
    return [
        *(f"{resource} fails {check} ({look})" for check, resource, look in sorted(found - left)),
        *(f"{resource} does not fail {check} ({look}): off the list" for check, resource, look in sorted(left - found)),
    ]


def findings(report: Node) -> Iterator[Finding]:
    """Yield what failed in a report of checkov's; Trouble where it could not read a template."""
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        raise Trouble("checkov could not read the template")
    for each in report["results"]["failed_checks"]:
        yield each["check_id"], each["resource"].rpartition(".")[2], Path(each["file_path"]).stem


def _write_looks(transformed: Node) -> list[Path]:
    """Write the template as each look sees it; checkov takes a parameter's default for its value."""
    paths = []
    for look, given in _LOOKS.items():
        document = conditions.settled(transformed, given)
        declared = document["Parameters"]
        document["Parameters"] = {
            name: {**each, "Default": given[name]} if name in given else each for name, each in declared.items()
        }
        paths.append(BUILD / f"{look}.json")
        paths[-1].write_text(json.dumps(document, indent=1))
    return paths


def _transformed() -> Node:
    sam = json.loads(package.package(BUILD).read_text())
    try:
        return package.transform(sam)
    except package.BadTemplate as bad:
        raise Trouble(f"the template would not deploy, as make check tells: {bad}") from bad


def _audit() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    paths = _write_looks(_transformed())
    # Nothing is fetched: the checks are those of the pinned release.
    options = ["--framework", "cloudformation", "--compact", "--quiet", "--skip-download", "--output", "json"]
    asked = subprocess.run([CHECKOV, *options, "--file", *paths], capture_output=True, text=True, check=False)
    try:
        report = json.loads(asked.stdout)
    except ValueError as error:
        raise Trouble(f"checkov ended with {asked.returncode}: {asked.stderr.strip()[-200:]}") from error
    wrong = complaints(findings(report), yaml.safe_load(SKIPS.read_text()))
    if wrong:
        raise Trouble("; ".join(wrong))
    summary = report["summary"]
    print(f"checkov: {summary['passed']} checks passed, {summary['failed']} left for the reasons in infra/{SKIPS.name}")


def main() -> int:
    """Audit the template; say what was found."""
    return run("make audit", _audit)


if __name__ == "__main__":
    sys.exit(main())
