"""What looks like counters in the maps of any program: the whole numbers in its arrays, and its global variables."""

from collections.abc import Mapping

from netlab.observe.map_view import Viewer
from netlab.programs import bpf
from netlab.programs.map_types import TypedMap
from netlab.record.layouts import SIGNED, UNSIGNED
from netlab.record.model import LabRecord

_GLOBALS = ("section .bss", "section .data")
MOST = 100  # numbers of a map that are not zero; a map with more is a table rather than counters
Counters = Mapping[str, Mapping[str, int]]


def read(lab: LabRecord, program: str, known: frozenset[str]) -> tuple[Counters, tuple[str, ...], Mapping[str, str]]:
    """Return the numbers that are not zero, by map and key, the names of other maps, and the kinds of those of events.

    Maps that are `known` are left out.
    """
    counters: dict[str, dict[str, int]] = {}
    others = []
    events = {}
    with Viewer(lab, program) as viewer:
        for name, each in viewer.maps.items():
            if name in known:
                continue
            view = viewer.view(each, MOST) if _counts(each) else None
            if view and not view.more:
                counters[name] = {str(entry.key): entry.value for entry in view.entries}
            elif each.value.type in _GLOBALS:
                counters[name] = _whole(viewer, each)
            elif each.map.type in bpf.EVENTS:
                events[name] = each.kind
            else:
                others.append(name)
    return counters, tuple(others), events


def _whole(viewer: Viewer, section: TypedMap) -> dict[str, int]:
    """Return the global variables in a section that are whole numbers and not zero."""
    found: dict[str, int] = {}
    numbers = {
        each.name: each
        for each in section.known.structs[section.value.type].fields
        if each.kind in (UNSIGNED, SIGNED) and not each.counts and not each.type.startswith("enum ")
    }
    for entry in viewer.view(section, MOST).entries:
        values = entry.value if isinstance(entry.value, dict) else {}
        found.update((name, value) for name, value in values.items() if name in numbers and isinstance(value, int))
    return {name: value for name, value in found.items() if value}


def _counts(of: TypedMap) -> bool:
    """Say whether a map is an array of whole numbers, which are no names of an enum."""
    field = of.value
    is_number = field.kind in (UNSIGNED, SIGNED) and not field.counts and bool(field.type)
    return of.map.type in bpf.FULL_ARRAYS and is_number and not field.type.startswith("enum ")
