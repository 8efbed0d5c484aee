"""The demos as they were played on a runtime, each at most once."""

import json
from functools import cache
from typing import Any

from tests.lab.lab import netlab

DEMOS = ("parta", "partb-low", "partb-high")


@cache
def played(demo: str, runtime: str) -> dict[str, Any]:
    """Return what `netlab demo` says in JSON."""
    done = netlab("demo", demo, "--lab", "played", "--runtime", runtime, "--format", "json", code=None)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
