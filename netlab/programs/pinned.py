"""Finds the pins of a program: its maps, and its functions, each of which is a program for the kernel."""

import os
from collections.abc import Iterable

from netlab import paths
from netlab.programs.maps import Map


def maps(folder: str) -> dict[str, str]:
    """Return where each map is pinned, by its name; `folder` is that of the program's pins."""
    return _pins(paths.map_pins(folder))


def functions(folder: str) -> dict[str, str]:
    """Return where each function is pinned, by its name."""
    return _pins(paths.program_pins(folder))


def _pins(place: str) -> dict[str, str]:
    try:
        return {name: f"{place}/{name}" for name in sorted(os.listdir(place))}
    except FileNotFoundError:
        return {}


def remove_strays(shared: str, folders: Iterable[str]) -> None:
    """Remove maps that programs of a node share by name, if none of its programs has them in its folder of pins.

    A reload that was killed may have left such maps. They would be shared with a later build.
    """
    if not os.path.exists(shared):
        return
    used = {_number(path) for folder in folders for path in maps(folder).values()}
    for name in os.listdir(shared):
        if _number(f"{shared}/{name}") not in used:
            os.unlink(f"{shared}/{name}")


def _number(path: str) -> int:
    with Map.open(path) as found:
        return found.id
