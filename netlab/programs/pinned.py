"""The maps and programs of a node, as they are pinned."""

import os
from contextlib import suppress

from netlab import paths
from netlab.record.model import NodeRecord


def folders(node: NodeRecord) -> list[str]:
    """Return the folders of a node's pins, one for each of its programs."""
    return [node.pins] if node.programs else []


def maps(node: NodeRecord) -> dict[str, str]:
    """Return where each map of a node's programs is pinned, by its name."""
    return _pins(list(map(paths.map_pins, folders(node))))


def programs(node: NodeRecord) -> dict[str, str]:
    """Return where each program of a node is pinned, by the name of its function."""
    return _pins(list(map(paths.program_pins, folders(node))))


def programs_in(folder: str) -> dict[str, str]:
    """Return where each program of one folder of pins is pinned, by the name of its function."""
    return _pins([paths.program_pins(folder)])


def _pins(places: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for place in places:
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(place)):
                found.setdefault(name, f"{place}/{name}")
    return found
