"""What looks like counters in the maps of any program: the whole numbers in its arrays."""

from collections.abc import Mapping

from netlab.observe.map_view import Viewer
from netlab.programs import bpf
from netlab.programs.map_types import TypedMap
from netlab.record.layouts import SIGNED, UNSIGNED
from netlab.record.model import LabRecord

MOST = 100  # numbers of a map that are not zero; a map with more is a table rather than counters
Counters = Mapping[str, Mapping[str, int]]


def read(lab: LabRecord, program: str, known: frozenset[str]) -> tuple[Counters, tuple[str, ...]]:
    """Return the numbers that are not zero, by map and key, and the names of all other maps; `known` are left out."""
    counters: dict[str, dict[str, int]] = {}
    others = []
    with Viewer(lab, program) as viewer:
        for name, each in viewer.maps.items():
            if name in known:
                continue
            view = viewer.view(each, MOST) if _counts(each) else None
            if view and not view.more:
                counters[name] = {str(entry.key): entry.value for entry in view.entries}
            else:
                others.append(name)
    return counters, tuple(others)


def _counts(of: TypedMap) -> bool:
    """Say whether a map is an array of whole numbers, which are no names of an enum."""
    field = of.value
    is_number = field.kind in (UNSIGNED, SIGNED) and not field.counts and bool(field.type)
    return of.map.type in bpf.FULL_ARRAYS and is_number and not field.type.startswith("enum ")
