"""Finds the pins of a program: its maps, and its functions, each of which is a program for the kernel."""

import os

from netlab import paths


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
