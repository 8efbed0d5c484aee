"""What is pinned of a program: its maps, and its functions, each of which the kernel takes for a program."""

import os

from netlab import paths


def maps(folder: str) -> dict[str, str]:
    """Return where each map is pinned, by its name; `folder` is the one of the program's pins."""
    return _pins(paths.map_pins(folder))


def functions(folder: str) -> dict[str, str]:
    """Return where each function is pinned, by its name."""
    return _pins(paths.program_pins(folder))


def _pins(place: str) -> dict[str, str]:
    try:
        return {name: f"{place}/{name}" for name in sorted(os.listdir(place))}
    except FileNotFoundError:
        return {}
