"""Reads the template's parts as one document, with its references as Chalice and CloudFormation take them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

#: Anything that a template may hold: CloudFormation's own shapes, checked by cfn-lint and not again by types.
Node = Any

#: The template, in parts that no reader need scroll through.
PARTS = tuple(Path(__file__).with_name(f"{part}.yaml") for part in ("resources", "functions", "roles", "api", "alarms"))


class _Loader(yaml.SafeLoader):
    """Writes the short forms (`!Ref x`) out in full (`{"Ref": x}`), which is what Chalice merges."""

    folder: Path


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> Node:
    value: Node
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise yaml.constructor.ConstructorError(None, None, f"cannot read {node!r}", node.start_mark)
    if suffix == "Include":
        return json.loads((loader.folder / value).read_text())
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def load(*parts: Path) -> dict[str, Node]:
    """Read a template, the stack's own unless another is named: its parts' sections together, no name in two of them.

    `!Include file.json` stands for that file's content, beside the part. A section whose name begins with `x-` is left
    out: it only holds what the others repeat (`&name`, `*name`).
    """
    whole: dict[str, Node] = {}
    for part in parts or PARTS:
        for section, content in _read(part).items():
            if section.startswith("x-"):
                continue
            if section not in whole:
                whole[section] = content
                continue
            twice = whole[section].keys() & content.keys()
            if twice:
                raise ValueError(f"{part.name} has {', '.join(sorted(twice))} once more")
            whole[section].update(content)
    return whole


def _read(path: Path) -> dict[str, Node]:
    loader = _Loader(path.read_text())
    loader.folder = path.parent
    try:
        return dict(loader.get_single_data())
    finally:
        loader.dispose()
