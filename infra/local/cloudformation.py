"""moto's CloudFormation: what it can build of a template, and what it needs beside it to build that as AWS does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from moto.cloudformation import parsing
from moto.stepfunctions import models as stepfunctions
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from infra.template import Node

#: The sections that moto reads. The others are SAM's.
_SECTIONS: Final = ("AWSTemplateFormatVersion", "Description", "Parameters", "Mappings", "Conditions")

#: What `!Ref` of a resource that moto does not build comes to: one of its own properties, by its type.
_REFERENCE: Final[Mapping[str, str]] = MappingProxyType({"AWS::ApiGateway::Stage": "StageName"})

_IN_TEXT: Final = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.[A-Za-z0-9.]+)?\}")


def buildable(document: Mapping[str, Node]) -> dict[str, Node]:
    """Return the template less what moto cannot build: resources of types unknown to it, and whatever names one.

    A state machine has its definition as text, with what is to be put into it: moto reads no other.
    """
    resources: dict[str, Node] = dict(document["Resources"])
    stand_ins = {
        name: section["Properties"][_REFERENCE[section["Type"]]]
        for name, section in resources.items()
        if section.get("Type") in _REFERENCE
    }
    unknown = {name for name, section in resources.items() if section.get("Type") not in parsing.get_model_map()}
    resources = {name: _standing_in(item, stand_ins) for name, item in resources.items() if name not in unknown}
    while naming := {name for name, item in resources.items() if _named_in(item) & unknown}:
        unknown |= naming
        resources = {name: item for name, item in resources.items() if name not in naming}
    outputs = _standing_in(document.get("Outputs", {}), stand_ins)
    return {
        **{section: document[section] for section in _SECTIONS if section in document},
        "Resources": {name: _as_moto_reads(item) for name, item in resources.items()},
        "Outputs": {name: item for name, item in outputs.items() if not _named_in(item) & unknown},
    }


def mend() -> None:
    """Have moto leave `AWS::NoValue` out of lists too, and put state machines where executions are started."""
    cleaned = parsing.clean_json

    def clean_json(node: Any, resources: Any) -> Any:
        found = cleaned(node, resources)
        return [each for each in found if each is not None] if isinstance(found, list) else found

    vars(parsing)["clean_json"] = clean_json
    vars(stepfunctions)["stepfunctions_backends"] = stepfunctions_parser_backends


def _named_in(node: Node) -> set[str]:
    return set(_names_in(node))


def _names_in(node: Node) -> Iterator[str]:
    """Yield whatever a node refers to by its logical name, and whatever its texts have in the form of a reference."""
    if isinstance(node, str):
        yield from _IN_TEXT.findall(node)
    elif isinstance(node, list):
        for item in node:
            yield from _names_in(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "Fn::GetAtt":
                yield value[0]
            elif key == "DependsOn":
                yield from [value] if isinstance(value, str) else value
            else:
                yield from _names_in(value)


def _standing_in(node: Node, stand_ins: Mapping[str, Node]) -> Node:
    """Return the node with those references replaced by what they come to, which is text without references."""
    if isinstance(node, str):
        for name, value in stand_ins.items():
            node = node.replace(f"${{{name}}}", value)
        return node
    if isinstance(node, list):
        return [_standing_in(item, stand_ins) for item in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Ref"} and node["Ref"] in stand_ins:
        return stand_ins[node["Ref"]]
    return {key: _standing_in(value, stand_ins) for key, value in node.items()}


def _as_moto_reads(section: Node) -> Node:
    if section["Type"] != "AWS::StepFunctions::StateMachine" or "Definition" not in section["Properties"]:
        return section
    properties = dict(section["Properties"])
    text, given = json.dumps(properties.pop("Definition")), properties.pop("DefinitionSubstitutions", {})
    pieces = re.split(r"\$\{([A-Za-z0-9]+)\}", text)
    # Each second one is a name.
    pieces[1::2] = [given[name] for name in pieces[1::2]]
    return {**section, "Properties": {**properties, "DefinitionString": {"Fn::Join": ["", pieces]}}}
