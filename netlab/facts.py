"""What a lab's supervisor has written down: the file `processes` in the lab's folder, a line of JSON for each event."""

import json
from typing import Any


def is_damaged(folder: str) -> bool:
    """Say whether what the supervisor has written down cannot be read, or not all of it."""
    return not _written(folder) or None in _written(folder)


def _written(folder: str) -> list[dict[str, Any] | None]:
    """Return everything that the supervisor has written down, None for each line that nobody could have meant."""
    try:
        with open(f"{folder}/processes", "rb") as file:
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return []
    found: list[dict[str, Any] | None] = []
    for line in lines:
        try:
            fact = json.loads(line)
        except ValueError:  # as when there was no room for a whole one
            fact = None
        found.append(fact if isinstance(fact, dict) else None)
    return found


def read(folder: str) -> dict[str, dict[str, Any]]:
    """Return what is known of each node's process; what cannot be read is left out."""
    found: dict[str, dict[str, Any]] = {}
    for fact in filter(None, _written(folder)):
        for node in fact.get("nodes", ()):
            found[node] = {}
        if "node" in fact:
            found.setdefault(fact["node"], {}).update(fact)
    return found
