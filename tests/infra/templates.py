"""What CloudFormation makes of templates and of the parameters for them, as far as deployments meet it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlparse

from infra import package
from infra.local.aws import ACCOUNT, REGION

#: What names a resource that can be adopted, by its type.
NAMED: Final = MappingProxyType({"AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName"})
_UNBUILT: Final = ("AWS::Lambda::", "AWS::ApiGateway::")


class Refused(Exception):
    """What CloudFormation answers a request with that it does not take."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def transformed(sam: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what SAM's transform makes of the template, with its code where it was uploaded to.

    The transform is made once of what all templates of one checkout have in common; it does not touch the rest.
    """
    common = {name: each for name, each in sam["Resources"].items() if each["Type"] not in NAMED}
    places = {}
    for name, each in common.items():
        if each["Type"] == "AWS::Serverless::Function":
            places[name] = urlparse(each["Properties"]["CodeUri"])
            common[name] = {**each, "Properties": {**each["Properties"], "CodeUri": "s3://bucket/key"}}
    kept = {
        name: {**each, "Properties": dict(each["Properties"])}
        for name, each in sam["Resources"].items()
        if each["Type"] in NAMED
    }
    names = {name: each["Properties"].pop(NAMED[each["Type"]]) for name, each in kept.items()}
    document = json.loads(_transformed(json.dumps({**sam, "Resources": common | kept, "Outputs": {}})))
    for name, place in places.items():
        code = {"S3Bucket": place.netloc, "S3Key": place.path.lstrip("/")}
        document["Resources"][name]["Properties"]["Code"] = code
    for name, given_name in names.items():
        resource = document["Resources"][name]
        resource["Properties"][NAMED[resource["Type"]]] = given_name
    return {**document, "Outputs": sam["Outputs"]}


@functools.cache
def _transformed(sam: str) -> str:
    return json.dumps(package.transform(json.loads(sam)))


def given(
    declared: Mapping[str, Any], asked: Sequence[Mapping[str, Any]], before: Mapping[str, str]
) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for each in asked:
        name = each["ParameterKey"]
        if name not in declared:
            raise Refused("ValidationError", f"Parameters: [{name}] do not exist in the template")
        if each.get("UsePreviousValue") and name not in before:
            raise Refused("ValidationError", f"Invalid input for parameter key {name}. Cannot specify usePreviousValue")
        values[name] = before[name] if each.get("UsePreviousValue") else each["ParameterValue"]
    missing = [name for name, rules in declared.items() if name not in values and "Default" not in rules]
    if missing:
        raise Refused("ValidationError", f"Parameters: {missing} must have values")
    return {name: values.get(name, str(rules.get("Default"))) for name, rules in declared.items()}


def names_iam(document: Mapping[str, Any]) -> bool:
    resources = [each for each in document["Resources"].values() if each["Type"].startswith("AWS::IAM::")]
    return any({"RoleName", "ManagedPolicyName"} & each["Properties"].keys() for each in resources)


def names_in(resource: Mapping[str, Any]) -> set[str]:
    text = json.dumps(resource)
    return set(re.findall(r'"Ref": "(\w+)"', text)) | set(re.findall(r"\$\{(\w+)\}", text))


def without_unbuilt(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the template with functions and API as things that moto does not know: of either it asks for what runs.

    The bucket tells no function of its objects then, or it would not be built either.
    """
    resources = {
        name: {**each, "Type": "Not::Built"} if each["Type"].startswith(_UNBUILT) else dict(each)
        for name, each in document["Resources"].items()
    }
    if "Bucket" in resources:
        resources["Bucket"].pop("DependsOn", None)
        properties = resources["Bucket"]["Properties"]
        kept = {key: value for key, value in properties.items() if key != "NotificationConfiguration"}
        resources["Bucket"]["Properties"] = kept
    return {**document, "Resources": resources}


def without_adopted(document: Mapping[str, Any], adopted: frozenset[str]) -> Mapping[str, Any]:
    """Return the template with what is there already named where it was referred to."""
    known: dict[str, str] = {}
    for name in adopted:
        resource = document["Resources"][name]
        given = resource["Properties"][NAMED[resource["Type"]]]
        table = resource["Type"] == "AWS::DynamoDB::Table"
        known[name] = given
        known[f"{name}.Arn"] = (
            f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{given}" if table else f"arn:aws:s3:::{given}"
        )
    resources = {name: each for name, each in document["Resources"].items() if name not in adopted}
    spelled: Mapping[str, Any] = _spelled_out({**document, "Resources": resources}, known)
    return spelled


def _spelled_out(node: Any, known: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_spelled_out(each, known) for each in node]
    if isinstance(node, str):
        return re.sub(r"\$\{([\w.]+)\}", lambda match: known.get(match[1], match[0]), node)
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Ref"}:
        return known.get(node["Ref"], node)
    if node.keys() == {"Fn::GetAtt"}:
        return known.get(".".join(node["Fn::GetAtt"]), node)
    return {key: _spelled_out(value, known) for key, value in node.items()}
