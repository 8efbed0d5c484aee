"""An open map with the types of its keys and values."""

from collections.abc import Mapping

from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, kernel_btf
from netlab.programs.maps import Map
from netlab.record.layouts import NONE, UNSIGNED, Field, Layouts

_WHOLE_NUMBERS = (1, 2, 4, 8)  # bytes


class TypedMap(NamedTuple):
    """A map, its name, and the known types of its program. The type of a key or value is "" if it is not known."""

    name: str
    map: Map
    known: Layouts
    key: Field
    value: Field

    @property
    def kind(self) -> str:
        """Its kind, by bcc's name."""
        number = self.map.type
        return bpf.MAP_TYPES[number] if number < len(bpf.MAP_TYPES) else f"kind {number}"

    @property
    def key_names(self) -> Mapping[str, int]:
        """The names of an array's keys: of their enum, or of the enum whose plural is the map's name."""
        enum = self.key.type.removeprefix("enum ") if self.key.type.startswith("enum ") else self.name.removesuffix("s")
        return self.known.enums.get(enum, {}) if self.map.type in bpf.ARRAYS else {}

    def words(self, field: Field) -> str:
        """Return the type of a key or a value in words."""
        if not field.size:
            return "none"
        counts = "".join(f"[{count}]" for count in field.counts)
        return f"{field.type}{counts}" if field.type else f"{field.size} bytes"


def typed(maps: Mapping[str, Map]) -> dict[str, TypedMap]:
    """Return maps with their types, which the kernel knows if the program has BTF."""
    known = kernel_btf.layouts({name: each.fd for name, each in maps.items()})
    return {name: _typed(name, each, known.get(name, NONE)) for name, each in maps.items()}


def _typed(name: str, found: Map, known: Layouts) -> TypedMap:
    layout = known.maps.get(name)
    key, value = _unknown("key", found.key_size), _unknown("value", found.value_size)
    if layout and layout.key.size == found.key_size and layout.key.type:
        key = layout.key
    if layout and layout.value.size == found.value_size and layout.value.type:
        value = layout.value
    return TypedMap(name, found, known, key, value)


def _unknown(name: str, size: int) -> Field:
    return Field(name, 0, size, UNSIGNED, "", () if size in _WHOLE_NUMBERS else (size,))
