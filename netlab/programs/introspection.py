"""Asks the kernel for the types of maps that were made, as their program's BTF has them."""

from collections.abc import Iterable, Mapping

from netlab.errors import NetlabError
from netlab.programs import bpf, btf
from netlab.programs.btf import BadBtfError, MapTypes
from netlab.record.layouts import NONE, Layouts, MapLayout, Struct


def layouts(maps: Mapping[str, int]) -> dict[str, Layouts]:
    """Return what is known of maps, given by descriptors: for each the layouts of all that are in the same BTF.

    That takes CAP_SYS_ADMIN. A map of which nothing is known, or only what cannot be understood, has none.
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
    """Return the layouts that one BTF has; none where it cannot be read: nobody needs it to load a program."""
    try:
        return btf.layouts(bpf.btf(number), types)
    except (OSError, NetlabError, BadBtfError):
        return NONE


def whole(found: Iterable[Layouts]) -> Layouts:
    """Return all that is known of a program's maps as one."""
    maps: dict[str, MapLayout] = {}
    structs: dict[str, Struct] = {}
    enums: dict[str, Mapping[str, int]] = {}
    for each in found:
        maps.update(each.maps)
        structs.update(each.structs)
        enums.update(each.enums)
    return Layouts(maps, structs, enums)
