"""The forms of which the schema of a topology is made: values, choices, lists, mappings, and words about each."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def about(words: str, schema: Mapping[str, Any]) -> Schema:
    """Return a form with what it means."""
    return {"description": words, **schema}


def choice(*words: str) -> Schema:
    """Return the form of one of these words."""
    return {"enum": list(words)}


def list_of(schema: Schema, least: int = 0) -> Schema:
    """Return the form of a list."""
    return {"type": "array", "items": schema, **({"minItems": least} if least else {})}


def one_or_more(schema: Schema) -> Schema:
    """Return the form of a thing or a list of them."""
    return {"anyOf": [schema, list_of(schema)]}


def mapping(of: Schema, names: str = "") -> Schema:
    """Return the form of a mapping with names of the user's own, which match the pattern `names`."""
    return {"type": "object", "additionalProperties": of, **({"propertyNames": {"pattern": names}} if names else {})}


def keys(properties: Mapping[str, Schema], *required: str) -> Schema:
    """Return the form of a mapping with these keys and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": ["string", "number", "integer"]}
TIME: Schema = {"type": ["string", "number"], "examples": ["20ms", "3s", "1m"]}
NAMES = one_or_more(TEXT)
ARGV = list_of({"type": ["string", "number", "boolean"]}, 1)
