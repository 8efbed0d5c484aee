"""Which type the events in a ring buffer or a perf event array have: what the topology, the file, or a name says."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from netlab.programs import btf
from netlab.programs.btf import BadBtfError, MapTypes
from netlab.record.layouts import NONE, OTHER, STRUCT, Field, Layouts, MapLayout

_NO_EVENTS = ("struct xdp_md", "struct __sk_buff")  # what programs are given


class UnknownTypeError(ValueError):
    """The topology names a type that the program has not got."""


def layouts(types: bytes, maps: Mapping[str, MapTypes], of_events: Collection[str], said: Mapping[str, str]) -> Layouts:
    """Return what the BTF of a program says of its maps and events; `said` is what the topology says of these.

    Nothing, if it is not understood. UnknownTypeError if it has not got what is said.
    """
    try:
        known = btf.layouts(types, maps, of_events) if types else NONE
    except BadBtfError:
        known = NONE
    found = dict(known.maps)
    for name, text in said.items():
        if name in of_events:
            found[name] = MapLayout(Field("key", 0, 0, OTHER, ""), _said(known, name, text))
    return known._replace(maps=found)


def called(text: str) -> str:
    """Return a struct's name as BTF has it here, of what a person has written."""
    return text if text.startswith("struct ") else f"struct {text}"


def _said(known: Layouts, name: str, text: str) -> Field:
    struct = called(text)
    if struct in known.structs:
        return Field("value", 0, known.structs[struct].size, STRUCT, struct)
    near = get_close_matches(struct, known.structs, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; it has {_list(known)}"
    raise UnknownTypeError(f"has no {struct}, which the topology says the events of {name} are{hint}")


def _list(known: Layouts) -> str:
    names = [name for name in known.structs if name.startswith("struct ") and name not in _NO_EVENTS]
    return ", ".join(names) or "no struct that its types tell of"


class Chooser:
    """Says of which type an event of a map is, by its size."""

    def __init__(self, name: str, known: Layouts, *, is_padded: bool) -> None:
        """Take the map's name, and what is known of its program; perf events are padded."""
        self._name = name
        self._known = known
        self._is_padded = is_padded
        self.declared = known.maps[name].value if name in known.maps else None
        self._by_size: dict[int, Field | None] = {}

    def of_size(self, size: int) -> Field | None:
        """Return the type of an event of so many bytes; None if none is known, or several could be meant.

        It may be smaller than the event: packets' bytes may follow what a program has declared.
        """
        if size not in self._by_size:
            self._by_size[size] = self._chosen(size)
        return self._by_size[size]

    def _chosen(self, size: int) -> Field | None:
        declared = self.declared
        if declared and self.fits(declared.size, size):
            return declared
        taken = {each.key.type for each in self._known.maps.values()} | {
            each.value.type for name, each in self._known.maps.items() if name != self._name
        }
        fitting = {
            name: each.size
            for name, each in self._known.structs.items()
            if name.startswith("struct ") and self.fits(each.size, size) and name not in _NO_EVENTS
        }
        names = [name for name in fitting if self._is_named_so(name)]
        names = names or [name for name in fitting if name not in taken and not name.split()[1].isdigit()]
        if len(names) == 1:
            return Field("value", 0, fitting[names[0]], STRUCT, names[0])
        return declared if declared and declared.size < size else None

    def fits(self, own: int, size: int) -> bool:
        """Say whether a type of `own` bytes makes an event of this size, which perf fills up."""
        return size == (padded(own) if self._is_padded else own)

    def _is_named_so(self, struct: str) -> bool:
        word = struct.partition(" ")[2].removesuffix("_t")
        return word in (self._name, self._name.removesuffix("s"), f"{self._name}_event")


def padded(size: int) -> int:
    """Return how many bytes perf makes of an event, so that it and the 4 bytes of its size are a multiple of 8."""
    return (size + 4 + 7) // 8 * 8 - 4
