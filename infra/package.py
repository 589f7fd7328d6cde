"""Packages Stepwell as Chalice's template with `resources.yaml` over it, checked, and the zip of the code."""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import boto3
from cfnlint.api import lint_file
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from infra import template

PROJECT = Path(__file__).resolve().parent.parent
BUILD = PROJECT / "build" / "package"

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
    """Write `sam.json` and `deployment.zip` into the folder and return the template's path."""
    out.mkdir(parents=True, exist_ok=True)
    # Chalice cannot read `!Include`, so it is handed the file as JSON, with everything in it.
    merge = out / "resources.json"
    merge.write_text(json.dumps(template.load(), indent=2))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "STEPWELL_"))}
    subprocess.run(
        [Path(sys.executable).with_name("chalice"), "package", "--stage", stage, "--merge-template", merge, out],
        cwd=project,
        env=environment | _NO_ACCOUNT,
        check=True,
    )
    return out / "sam.json"


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
        path = package(options.out, stage=options.stage)
        resources = check(path)["Resources"]
    except subprocess.CalledProcessError:
        return 1
    except BadTemplate as bad:
        print(f"The template would not deploy:\n{bad}", file=sys.stderr)
        return 1
    size = (options.out / "deployment.zip").stat().st_size
    print(f"{path}: {len(resources)} resources once transformed; deployment.zip: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
