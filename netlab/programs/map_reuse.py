"""Gives a new build of a program the maps of the old one, and its places in maps that contain programs."""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack

from netlab import paths
from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, field_comparison, kernel_btf
from netlab.programs.maps import LoadedProgram, Map
from netlab.record.layouts import NONE, Layouts

# Maps whose values end in a program, with the size of such values.
_HOLDERS = {(bpf.PROG_ARRAY, 4), (bpf.DEVMAP, 8), (bpf.DEVMAP_HASH, 8), (bpf.CPUMAP, 8)}
_NUMBER_BYTES = 4


class Shape(NamedTuple):
    """The properties of a map that must be equal in the map that replaces it."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


def adopt(made: dict[str, int], pins: str, known: Mapping[str, Layouts]) -> None:
    """Replace new maps by the pinned maps of the same names, before a program is loaded with them.

    `made` has the new maps' descriptors by name; afterwards the descriptors are of the pinned maps. Instructions name a
    map by its descriptor, so nothing else needs to change. `known` has the layouts. Raises NetlabError, with every
    difference and nothing changed, if a map has another shape or other fields than the pinned one.
    """
    shapes = {}
    for name, fd in made.items():
        about = bpf.map_info(fd)
        shapes[name] = Shape(about.type, about.key_size, about.value_size, about.max_entries, about.flags)
    with ExitStack() as opened:
        for name, old in kept(shapes, pins, known, opened).items():
            os.dup2(old.fd, made[name], inheritable=False)


def kept(shapes: Mapping[str, Shape], pins: str, known: Mapping[str, Layouts], opened: ExitStack) -> dict[str, Map]:
    """Return the pinned maps that replace maps of these shapes and layouts; raises as `adopt` does."""
    pinned = {name: Map.open_if_there(paths.map_pin(pins, name)) for name in shapes}
    there = {name: opened.enter_context(each) for name, each in pinned.items() if each}
    before = kernel_btf.layouts({name: old.fd for name, old in there.items()})
    wrong = []
    for name, old in there.items():
        found = differences(old, shapes[name])
        found += field_comparison.differences(name, before.get(name, NONE), known.get(name, NONE))
        wrong += [f"{name}: {', '.join(found)}"] if found else []
    if wrong:
        lines = "\n".join(f"    {text}" for text in wrong)
        raise NetlabError(
            "the maps of the lab cannot be kept, for the source has other shapes for them now; "
            f"netlab down and netlab up make new ones:\n{lines}"
        )
    return there


def differences(old: Map, new: Shape) -> list[str]:
    """Say how the shape of a new map differs from the old one."""
    pairs = (
        ("of type {}", _type(new.type), _type(old.type)),
        ("keys of {} bytes", new.key_size, old.key_size),
        ("values of {} bytes", new.value_size, old.value_size),
        ("{} entries", new.max_entries, old.max_entries),
        ("flags {}", new.flags, old.flags),
    )
    return [f"{what.format(now)} instead of {before}" for what, now, before in pairs if now != before]


def _type(number: int) -> str:
    return bpf.MAP_TYPES[number] if number < len(bpf.MAP_TYPES) else str(number)


def renew(maps: str, before: str, after: str) -> None:
    """Replace programs of the old build by those of the new one in maps that contain programs, such as devmaps.

    `maps` is the folder of the maps' pins; `before` and `after` are those of the programs' pins. A program is replaced
    by the one with its name; NetlabError if there is none. Runs inside the node's network namespace, to which the
    interfaces in devmaps belong.
    """
    with ExitStack() as opened:
        names = {opened.enter_context(LoadedProgram.open(f"{before}/{name}")).id: name for name in os.listdir(before)}
        successors = {name: opened.enter_context(LoadedProgram.open(f"{after}/{name}")) for name in os.listdir(after)}
        for name in os.listdir(maps):
            with Map.open(f"{maps}/{name}") as holder:
                _renew(name, holder, names, successors)


def _renew(name: str, holder: Map, names: dict[int, str], successors: dict[str, LoadedProgram]) -> None:
    """Replace programs in one map, and in the maps that it contains."""
    is_of_maps = holder.type in bpf.MAPS_OF_MAPS
    if not is_of_maps and (holder.type, holder.value_size) not in _HOLDERS:
        return
    for key in list(holder.keys()):
        try:
            value = holder.get(key)
        except KeyError:
            continue
        number = int.from_bytes(value[-_NUMBER_BYTES:], sys.byteorder)
        if is_of_maps:
            with Map.by_id(number) as inner:
                _renew(name, inner, names, successors)
        elif number in names:
            successor = successors.get(names[number])
            if not successor:
                raise NetlabError(f"the map {name} holds the program {names[number]}, which the new build lacks")
            holder.set(key, value[:-_NUMBER_BYTES] + successor.fd.to_bytes(_NUMBER_BYTES, sys.byteorder))
