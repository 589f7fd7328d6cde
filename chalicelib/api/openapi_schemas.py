"""JSON schemas of the API's models, as the OpenAPI document holds them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from chalicelib.api.endpoints import Nothing, Reply

#: What pydantic describes: a model, or a type made of models.
Described: TypeAlias = Any
Schema: TypeAlias = dict[str, Any]
#: An endpoint's name, and what of it is described.
Key: TypeAlias = tuple[str, str]

_NULL: Final[Schema] = {"type": "null"}
_ABSENT: Final = (None, "")


class _Untitled(GenerateJsonSchema):
    """Fields without titles, which would only repeat their names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False


def answered_by(view: Callable[..., object]) -> Described:
    """Return the type of what a view answers with, or None where it answers with no body."""
    names = {**vars(sys.modules[view.__module__]), "Json": Any}
    answered = get_type_hints(view, globalns=names)["return"]
    if get_origin(answered) is Reply:
        (answered,) = get_args(answered)
    return None if answered is Nothing else answered


def described(
    wanted: Mapping[Key, Described],
    *,
    prefix: str,
    mode: Literal["validation", "serialization"],
    omits_none: bool,
) -> tuple[dict[Key, Schema], dict[str, Schema]]:
    """Return the schema of each, and those that they refer to, by names that begin with the prefix.

    ``omits_none``: what is None is left out of an answer, so that nothing that may be None is required there.
    """
    inputs: list[tuple[Key, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        (key, mode, TypeAdapter(type_)) for key, type_ in wanted.items()
    ]
    schemas, definitions = TypeAdapter.json_schemas(
        inputs,
        ref_template=f"#/components/schemas/{prefix}{{model}}",
        schema_generator=_Untitled,
    )
    named: dict[str, Schema] = {
        f"{prefix}{name}": _of_model(schema) for name, schema in definitions.get("$defs", {}).items()
    }
    found: dict[Key, Schema] = {key: schema for (key, _), schema in schemas.items()}
    for schema in (*found.values(), *named.values()):
        _say_no_empty_default(schema)
        if omits_none:
            _leave_none_out(schema)
    return found, named


def name_in(schema: Schema) -> str:
    """Return the name under which what a schema refers to lies; empty where it stands for itself."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def fields_of(schema: Schema, named: Mapping[str, Schema]) -> list[tuple[str, Schema, bool]]:
    """Return each field of a model's schema: its name, its own schema, and whether it is required."""
    whole = named.get(name_in(schema), schema)
    required = whole.get("required", ())
    return [(name, _without_null(field), name in required) for name, field in whole.get("properties", {}).items()]


def _of_model(schema: Schema) -> Schema:
    """Return a model's schema without its name, its docstring as Markdown."""
    about = {"description": schema["description"].replace("``", "`")} if "description" in schema else {}
    return {**{word: value for word, value in schema.items() if word != "title"}, **about}


def _say_no_empty_default(schema: Schema) -> None:
    """Leave out defaults that only stand for absence; they may not even be values that could be sent."""
    for field in schema.get("properties", {}).values():
        if "default" in field and field["default"] in _ABSENT:
            del field["default"]


def _leave_none_out(schema: Schema) -> None:
    """Have no property required that may be None, nor be null where it is there."""
    properties: dict[str, Schema] = schema.get("properties", {})
    required = [name for name in schema.get("required", ()) if not _may_be_none(properties[name])]
    schema.pop("required", None)
    if required:
        schema["required"] = required
    for name, field in properties.items():
        properties[name] = _without_null(field)


def _may_be_none(schema: Schema) -> bool:
    """Whether None is a value of it; a schema that says nothing of its type is any JSON."""
    return _NULL in schema.get("anyOf", ()) or schema.keys() <= {"description", "default"}


def _without_null(schema: Schema) -> Schema:
    """Return the schema of the value where it is there at all."""
    others = [one for one in schema.get("anyOf", ()) if one != _NULL]
    if len(others) == len(schema.get("anyOf", ())):
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**others[0], **rest} if len(others) == 1 else {"anyOf": others, **rest}
