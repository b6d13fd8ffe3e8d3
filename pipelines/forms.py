"""Parameters of an experiment as a form: what the launchpad of Dagster knows of their types, values and meanings."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from cmet.params import Params

Node = Mapping[str, Any]
"""A part of the JSON schema of the parameters."""

BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "multipleOf": "a multiple of",
}
SCALARS = {"integer": dg.Int, "number": dg.Float, "string": dg.String, "boolean": dg.Bool}


def parameter_fields(present: Node) -> dict[str, dg.Field]:
    """A field per parameter, in sections as params.yaml has them; none of them has to be given.

    Args:
        present: Values of params.yaml, which the descriptions tell; empty where it cannot be read.
    """
    schema = Params.model_json_schema()
    return _fields(schema, schema["$defs"], present, "")


def _fields(section: Node, sections: Mapping[str, Node], present: Node, above: str) -> dict[str, dg.Field]:
    fields = {}
    for key, node in section["properties"].items():
        name = f"{above}_{key}" if above else key
        inner = sections[node["$ref"].rpartition("/")[2]] if "$ref" in node else None
        if inner is None:
            fields[key] = dg.Field(_type(node, name), is_required=False, description=_said(node, key, present))
        else:
            below = _fields(inner, sections, present.get(key, {}), name)
            fields[key] = dg.Field(dg.Shape(below), is_required=False, description=inner.get("description"))
    return fields


def _type(node: Node, name: str) -> Any:
    """The type of a value; `name` is that of the type where it has names of its own."""
    if "anyOf" in node:
        [given] = [one for one in node["anyOf"] if one.get("type") != "null"]
        return dg.Noneable(_type(given, name))
    if node["type"] == "array":
        return dg.Array(_type(node["items"], name))
    choices = _choices(node)
    return dg.Enum(name, [dg.EnumValue(choice) for choice in choices]) if choices else SCALARS[node["type"]]


def _choices(node: Node) -> list[str]:
    """Allowed values, where they are names."""
    allowed = node.get("enum", [node["const"]] if "const" in node else [])
    return [value for value in allowed if isinstance(value, str)]


def _said(node: Node, key: str, present: Node) -> str:
    """What a parameter means, which values it may have, and which one it has."""
    given = next((one for one in node.get("anyOf", ()) if one.get("type") != "null"), node)
    limits = [f"{words} {given[name]:,g}" for name, words in BOUNDS.items() if name in given]
    parts = [
        " ".join(node.get("description", "").split()),
        f"{', '.join(limits).capitalize()}." if limits else "",
        f"Now {_shown(present[key])}." if key in present else "",
    ]
    return " ".join(filter(None, parts))


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
