"""The places of fields in the values of a program's maps, by name, as the loader has read them from the program's BTF.

Each program has a file, `layouts/NODE.json`, or `layouts/NODE_NAME.json` if its node has several. A role in a container
may not ask the kernel for BTF; it reads this file. Every reader sees a map as it was loaded, even if the source has
changed since.
"""

import json
from collections.abc import Mapping

from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.record import shapes
from netlab.record.shapes import Count

MODE = 0o640  # as the program's source
# The kinds of a field. Those of whole numbers:
UNSIGNED, SIGNED, NETWORK = "unsigned", "signed", "network"  # the last is unsigned, in network byte order
STRUCT = "struct"  # or a union; its `type` is one of Layouts.structs
OTHER = "other"  # a pointer, a float, the inside of a spin lock and the like: only its bytes are known


class Field(NamedTuple):
    """A field of a struct, or a key or value of a map: `size` bytes from `offset` on.

    `kind` is that of an element, `type` its name in C, such as "__u32" or "struct address". `counts` are the lengths of
    an array, the outermost first; () if it is not an array. A bit field has `bits` bits, from `first_bit` after its
    offset; otherwise both are 0.
    """

    name: str
    offset: Count
    size: Count
    kind: str
    type: str
    counts: tuple[Count, ...] = ()
    first_bit: Count = 0
    bits: Count = 0


class Struct(NamedTuple):
    """A struct or union: its size in bytes, and its fields, with those of nameless structs in it."""

    size: Count
    fields: tuple[Field, ...]


class MapLayout(NamedTuple):
    """The types of a map's keys and values; each is a field at offset 0."""

    key: Field
    value: Field


class Layouts(NamedTuple):
    """Everything that is known of a program's types: `structs` by "struct NAME", `enums` by NAME, and maps by name."""

    maps: Mapping[str, MapLayout]
    structs: Mapping[str, Struct]
    enums: Mapping[str, Mapping[str, int]]


NONE = Layouts({}, {}, {})


def write(path: str, layouts: Layouts) -> None:
    """Write what is known of a program, in the place of the old file."""
    files.write(path, json.dumps(shapes.plain(layouts), separators=(",", ":")), MODE)


def read(path: str) -> Layouts:
    """Return what was written; NetlabError if it is missing or damaged."""
    try:
        return shapes.read(Layouts, files.load(path))
    except FileNotFoundError:
        why = "is not there"
    except (OSError, ValueError) as error:
        why = f"is damaged ({error.strerror if isinstance(error, OSError) else error})"
    raise NetlabError(f"{path}, which says how the program's maps are laid out, {why}: netlab down, and netlab up")
