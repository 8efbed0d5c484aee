"""Data as JSON, with the version of its shape, which docs/json.md describes."""

import json
from collections.abc import Mapping
from typing import Any

from netlab.record import shapes

VERSION = 1  # it changes when a field is removed or gets another meaning, not when one is added


def show(data: object) -> None:
    """Print an object."""
    print(json.dumps({"version": VERSION, **shapes.plain(data)}, indent=2))


def line(data: Mapping[str, Any]) -> str:
    """Return an object on one line, for outputs that go on."""
    return json.dumps({"version": VERSION, **data})
