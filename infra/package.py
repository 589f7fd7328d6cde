"""Packages Stepwell as Chalice's template with our own parts over it, checked, and the zip of the code."""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import boto3
from cfnlint.api import lint_file
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from infra import archive, dependencies, stacks, template
from infra.trouble import Trouble, one_line, run

PROJECT = Path(__file__).resolve().parent.parent
BUILD = PROJECT / "build" / "package"
#: The libraries of earlier packages; `make clean` removes them.
CACHE = PROJECT / "build" / "dependencies"
#: What Lambda loads at most: the zip's files and all layers, unzipped.
MOST_UNZIPPED = 250 * 1024 * 1024

#: What Chalice and the SAM transform ask for but never call: nothing here needs an account. Both read AWS's own names
#: (service principals, partitions) by region; the template itself says AWS::Region throughout.
_NO_ACCOUNT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class BadTemplate(Exception):
    """The template would not deploy; the message has a line for each reason."""


def package(out: Path = BUILD, *, stage: str = "dev", project: Path = PROJECT) -> Path:
    """Write `sam.json` and `deployment.zip` into the folder and return the template's path.

    The same sources and installed versions give the same zip, byte for byte. Trouble where it cannot be made.
    """
    out.mkdir(parents=True, exist_ok=True)
    # Chalice cannot read `!Include`, so it is handed the file as JSON, with everything in it.
    merge = out / "resources.json"
    merge.write_text(json.dumps(template.load(), indent=2))
    with tempfile.TemporaryDirectory() as folder:
        sources, ours = Path(folder) / "sources", Path(folder) / "ours"
        _copy_sources(project, sources)
        _run_chalice(sources, stage=stage, merge=merge, out=out)
        zipped = out / "deployment.zip"
        with zipfile.ZipFile(zipped) as chalice:
            chalice.extractall(ours)
        dependencies.compile_sources(ours)
        libraries = dependencies.fetch(project / "requirements.txt", target_of(out / "sam.json"), cache=CACHE)
        archive.write(zipped, libraries, ours)
    return out / "sam.json"


def target_of(path: Path) -> dependencies.Target:
    """Return what the template's functions run on; BadTemplate where they differ: they have one zip between them."""
    resources = json.loads(path.read_text())["Resources"].values()
    functions = [each["Properties"] for each in resources if each["Type"] == "AWS::Serverless::Function"]
    targets = {(each["Runtime"], *each.get("Architectures", ["x86_64"])) for each in functions}
    if len(targets) != 1:
        raise BadTemplate(f"the functions share one zip and ask for more than one runtime: {sorted(targets)}")
    [(runtime, architecture)] = targets
    return dependencies.Target(runtime=runtime, architecture=architecture)


def _copy_sources(project: Path, folder: Path) -> None:
    """Copy what Chalice packages and nothing else: it takes every file that it finds, and installs what is required."""
    for name in ("app.py", ".chalice/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(project / name, folder / name)
    caches = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(project / "chalicelib", folder / "chalicelib", ignore=caches)


def _run_chalice(project: Path, *, stage: str, merge: Path, out: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "STEPWELL_"))}
    chalice = Path(sys.executable).with_name("chalice")
    done = subprocess.run(
        [chalice, "package", "--stage", stage, "--merge-template", merge.resolve(), out.resolve()],
        cwd=project,
        # What it compiles while it imports the app would go into the zip.
        env=environment | _NO_ACCOUNT | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Trouble(f"chalice package ended with {done.returncode}: {one_line(said[-1] if said else 'no word')}")


def check(path: Path) -> template.Node:
    """Return what the SAM transform makes of the template; raise BadTemplate if that or cfn-lint finds fault."""
    complaints = [f"{match.rule.id} at line {match.linenumber}: {match.message}" for match in lint_file(path)]
    if complaints:
        raise BadTemplate("\n".join(complaints))
    return transform(json.loads(path.read_text()))


def transform(sam: template.Node) -> template.Node:
    """Return the CloudFormation that AWS would make of a SAM template, as if its code were uploaded."""
    uploaded = copy.deepcopy(sam)
    for resource in uploaded["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://deployments/deployment.zip"
    # It warns at the end that nobody published its usage metrics.
    logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)
    session = boto3.Session(region_name=_NO_ACCOUNT["AWS_DEFAULT_REGION"])
    translator = Translator({}, Parser(), boto_session=session)
    try:
        return translator.translate(uploaded, parameter_values={})
    except InvalidDocumentException as invalid:
        raise BadTemplate("\n".join(cause.message for cause in invalid.causes)) from invalid


def main(arguments: Sequence[str] | None = None) -> int:
    """Package and check; say what was made, or what is wrong with it."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument(
        "--stage", default="dev", help="the Chalice stage, so the stack's flavour (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=BUILD, help="the folder to write (default: build/package)")
    options = parser.parse_args(arguments)
    try:
        return run("make package", lambda: _package_and_tell(options.out, options.stage))
    except BadTemplate as bad:
        print(f"The template would not deploy:\n{bad}", file=sys.stderr)
        return 1


def _package_and_tell(out: Path, stage: str) -> None:
    stacks.name_of(stage)
    path = package(out, stage=stage)
    resources = check(path)["Resources"]
    zipped = path.with_name("deployment.zip")
    weight = archive.contents(zipped)
    if weight.unzipped > MOST_UNZIPPED:
        raise Trouble(f"{zipped} is {_mb(weight.unzipped)} unzipped, and Lambda loads {_mb(MOST_UNZIPPED)} at most")
    largest = ", ".join(f"{name} {_mb(size)}" for name, size in weight.largest)
    print(f"{path}: {len(resources)} resources once transformed")
    print(f"{zipped}: {_mb(weight.zipped)}, {_mb(weight.unzipped)} unzipped; largest: {largest}")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
