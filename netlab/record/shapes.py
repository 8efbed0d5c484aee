"""What is in the files of a lab's folder, and whether something has this shape: a person may have changed any of them.

A shape is a type; a function that says whether a value is meant; None; a text, which is meant literally; a tuple of
shapes, any of which will do; a list of one shape, for as many values as there are, or of several, for just these; a
dict with the shapes of the values that have to be there, or of all its values under the key `str`.
"""

from collections.abc import Iterable
from itertools import repeat, starmap, zip_longest
from typing import Any

Shape = Any
_MISSING: Any = object()  # fits no shape, and is one that nothing fits


def fits(value: Any, shape: Shape) -> bool:
    """Say whether a value, as JSON gives it, has a shape."""
    if isinstance(shape, type):
        return isinstance(value, shape)
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list | dict):
        return isinstance(value, type(shape)) and all(starmap(fits, _pairs(value, shape)))
    return bool(shape(value)) if callable(shape) else bool(value == shape)


def _pairs(values: Any, shape: Any) -> Iterable[tuple[Any, Shape]]:
    """Return what is in a list or dict, each with the shape that it has to have."""
    if isinstance(shape, dict):
        if str in shape:
            return zip(values.values(), repeat(shape[str]))
        return [(values.get(key, _MISSING), one) for key, one in shape.items()]
    if len(shape) == 1:
        return zip(values, repeat(shape[0]))
    return zip_longest(values, shape, fillvalue=_MISSING)


def count(value: Any) -> bool:
    """Say whether a value is a whole number that the kernel may have given."""
    return isinstance(value, int) and 0 <= value < 1 << 64


def process_id(value: Any) -> bool:
    """Say whether a value can be the id of a process."""
    return isinstance(value, int) and 0 < value <= 1 << 22


_NODE: dict[str, Shape] = {
    "kind": str,
    "role": str,
    "limits": {"cpu": (int, float), "memory": count},
    "interfaces": {str: {"addresses": [str]}},
    "program": (None, {"name": str}),
    "process": (None, {"argv": [str], "autostart": bool, "stays": bool}),
}
_LAB: dict[str, Shape] = {"lab": str, "topology": str, "runtime": ("netns", "docker"), "folder": str}
STATUS: Shape = {**_LAB, "nodes": {str: _NODE}}  # what everybody may see
LAB: Shape = {
    **_LAB,
    "description": str,
    "clock_offset_ns": int,
    "nodes": {
        str: {
            **_NODE,
            "pins": str,
            "env": {str: str},
            "image": str,
            "capabilities": [str],
            "bridge": (None, {"name": str, "index": count}),
            "routes": [[str, str]],
            "sysctls": {str: str},
            "interfaces": {
                str: {
                    **dict.fromkeys(("mac", "peer", "peer_interface", "bridge"), str),
                    **dict.fromkeys(("index", "mtu"), count),
                    **dict.fromkeys(("faces", "passes"), bool),
                    "addresses": [str],
                }
            },
            "program": (
                None,
                {
                    **dict.fromkeys(("name", "path", "function", "mode"), str),
                    "define": {str: (str, int)},
                    "interfaces": [str],
                },
            ),
            "process": (
                None,
                {
                    "argv": [str],
                    "after": [str],
                    **dict.fromkeys(("awaits_ready", "autostart", "stays"), bool),
                },
            ),
        }
    },
}
ENV: Shape = {str: {str: str}}
PINNED: Shape = {str: {"entry": str, "pins": [str]}}
PROCESS: Shape = {"pid": process_id, "start_ticks": count}
CONTAINERS: Shape = {"engine": str, "mark": str, "nodes": {str: PROCESS}}
_OF_NODE: dict[str, Shape] = {"node": str, "pid": process_id}
_ENDED: dict[str, Shape] = {**_OF_NODE, "ended_ns": count}
_FACTS: tuple[dict[str, Shape], ...] = (
    {"nodes": [str], "ns": count},
    {**_OF_NODE, "start_ticks": count, "started_ns": count, "argv": [str], "awaits_ready": bool},
    {**_OF_NODE, "ready_ns": count},
    {**_ENDED, "exit": count},
    {**_ENDED, "signal": count},
)


def is_fact(value: Any) -> bool:
    """Say whether a value is something that a supervisor writes down: with all that belongs to it, and nothing else."""
    return isinstance(value, dict) and any(value.keys() == one.keys() and fits(value, one) for one in _FACTS)
