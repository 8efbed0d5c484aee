"""Reads the BTF of loaded maps and functions from the kernel."""

import os
from collections.abc import Iterable, Mapping

from netlab.errors import NetlabError
from netlab.programs import bpf, btf
from netlab.programs.btf import BadBtfError, MapTypes
from netlab.record.layouts import NONE, Layouts, MapLayout, Struct


def layouts(maps: Mapping[str, int]) -> dict[str, Layouts]:
    """Return, for each of these maps, all layouts of its BTF; `maps` has their descriptors.

    This needs CAP_SYS_ADMIN. A map has no layouts if its types are unknown, or not understood.
    """
    found: dict[int, dict[str, MapTypes]] = {}
    for name, fd in maps.items():
        about = bpf.map_info(fd)
        if about.btf:
            types = MapTypes(about.key_type, about.value_type, about.key_size, about.value_size)
            found.setdefault(about.btf, {})[name] = types
    known = {number: _layouts(number, types) for number, types in found.items()}
    return {name: known[number] for number, types in found.items() for name in types if name in known[number].maps}


def _layouts(number: int, types: Mapping[str, MapTypes]) -> Layouts:
    """Return the layouts of one BTF; none if it cannot be read, which is no error: programs load without layouts."""
    try:
        return btf.layouts(bpf.btf(number), types)
    except (OSError, NetlabError, BadBtfError):
        return NONE


def functions_of(context: str) -> set[str] | None:
    """Return the functions that this process has compiled whose only parameter is a pointer to this struct.

    None if the kernel has no BTF of it, or none that is understood.
    """
    found: set[str] = set()
    known = compiled()
    try:
        for types in known:
            found |= btf.functions_of(types, context)
    except BadBtfError:
        return None
    return found if known else None


def compiled() -> list[bytes]:
    """Return the types of what this process has compiled."""
    return [bpf.btf_of(fd) for fd in map(int, os.listdir("/proc/self/fd")) if _is_types(fd)]


def _is_types(fd: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:btf"
    except OSError:  # the descriptor by which the folder was listed: it is closed now
        return False


def whole(found: Iterable[Layouts]) -> Layouts:
    """Return the layouts of a program's maps as one."""
    maps: dict[str, MapLayout] = {}
    structs: dict[str, Struct] = {}
    enums: dict[str, Mapping[str, int]] = {}
    for each in found:
        maps.update(each.maps)
        structs.update(each.structs)
        enums.update(each.enums)
    return Layouts(maps, structs, enums)
