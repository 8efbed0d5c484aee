"""Where the values of a program's maps have their fields, by name: what the loader has read in the program's BTF.

There is one file for each node's program, `layouts/NODE.json`. A role in a container may not ask the kernel for BTF, so
this file is how it knows. Whoever reads a map later reads it as it was loaded, whatever the source has become.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.record import shapes
from netlab.record.shapes import Count

MODE = 0o640  # as the program's source
# The kinds of a field. Those of whole numbers:
UNSIGNED, SIGNED, NETWORK = "unsigned", "signed", "network"  # the last is unsigned, in network byte order
STRUCT = "struct"  # or a union; its `type` is one of Layouts.structs
OTHER = "other"  # a pointer, a float, a spin lock's inside and the like: its bytes are all that is said


class Field(NamedTuple):
    """A field of a struct, or a key or value of a map: `size` bytes from `offset` on.

    `kind` is that of an element, and `type` its name in C, such as "__u32" or "struct address". `counts` are the
    lengths of an array, the outermost first; () where it is none. A bit field has `bits` of them, from `first_bit` of
    its offset on; otherwise both are 0.
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
    """A struct or union: its size in bytes, and its fields. Those of a nameless one in it stand among its own."""

    size: Count
    fields: tuple[Field, ...]


class MapLayout(NamedTuple):
    """What a map's keys and values are; each is a field that begins at 0."""

    key: Field
    value: Field


class Layouts(NamedTuple):
    """All that is known of a program's types: `structs` by "struct NAME", `enums` by NAME, and maps by name."""

    maps: Mapping[str, MapLayout]
    structs: Mapping[str, Struct]
    enums: Mapping[str, Mapping[str, int]]


NONE = Layouts({}, {}, {})


def write(path: str, layouts: Layouts) -> None:
    """Write down what is known of a program, in the place of what was there."""
    files.write(path, json.dumps(shapes.plain(layouts), separators=(",", ":")), MODE)


def read(path: str) -> Layouts:
    """Return what was written down; NetlabError where that is missing or damaged."""
    try:
        return shapes.read(Layouts, files.load(path))
    except FileNotFoundError:
        why = "is not there"
    except (OSError, ValueError) as error:
        why = f"is damaged ({error.strerror if isinstance(error, OSError) else error})"
    raise NetlabError(f"{path}, which says how the program's maps are laid out, {why}: netlab down, and netlab up")
