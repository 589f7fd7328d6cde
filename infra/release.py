"""What one deployment uploads: the zip, and the template that names it and all that a new stack may adopt."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from infra import stacks
from infra.template import Node

#: What holds data and outlives its stack, and the property that names it.
KEPT: Final[Mapping[str, str]] = MappingProxyType({"Table": "TableName", "Bucket": "BucketName"})

_REFERENCE: Final = re.compile(r"\$\{(AWS::[A-Za-z]+)\}")


@dataclass(frozen=True, kw_only=True)
class Release:
    """Both files, each under a key with its own content's SHA-256 in it: who uploads one twice changes nothing."""

    code: bytes
    code_key: str
    code_hash: str
    template: bytes
    template_key: str
    #: The template's `Parameters`.
    parameters: Mapping[str, Node]


def prepare(sam: Path, *, stack_name: str, account: str, region: str, bucket: str) -> Release:
    """Return the release of a package, for one stack, out of the deployment bucket of that name."""
    document = json.loads(sam.read_text())
    code = (sam.parent / "deployment.zip").read_bytes()
    code_hash = hashlib.sha256(code).hexdigest()
    code_key = f"{stack_name}/{code_hash}.zip"
    known = {"AWS::StackName": stack_name, "AWS::AccountId": account, "AWS::Region": region}
    _spell_out_names(document, known)
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{code_key}"
    described = {"Description": "The SHA-256 of the functions' zip", "Value": code_hash}
    document.setdefault("Outputs", {})[stacks.CODE_OUTPUT] = described
    template = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    template_key = f"{stack_name}/{hashlib.sha256(template).hexdigest()}.json"
    return Release(
        code=code,
        code_key=code_key,
        code_hash=code_hash,
        template=template,
        template_key=template_key,
        parameters=document["Parameters"],
    )


def _spell_out_names(document: Node, known: Mapping[str, str]) -> None:
    """Put the names of table and bucket into the template in letters.

    CloudFormation adopts what is there already only by a name that the template has in letters, not by one that
    `!Ref` or `!Sub` makes: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
    """
    for logical_id, name in KEPT.items():
        properties = document["Resources"][logical_id]["Properties"]
        properties[name] = _spelled_out(properties[name], known)


def _spelled_out(node: Node, known: Mapping[str, str]) -> str:
    [(function, argument)] = node.items()
    if function == "Ref":
        return known[argument]
    if function == "Fn::Sub":
        return _REFERENCE.sub(lambda match: known[match[1]], argument)
    raise ValueError(f"a name made by {function} cannot be spelled out")
