"""The tree of a topology file: lists, mappings and single values, each with its place in the file.

`document` builds it, `override` edits it, `validate` reads it. A place in it is a dotted path such as
`nodes.lb.xdp.mode` or `links.0.mtu`, in messages and in `--set`.
"""

from typing import TYPE_CHECKING

from netlab.errors import Mistake
from netlab.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence as SequenceOf

SHOWN = 60  # characters of a value in a message
SHOWN_NAMES = 20  # known names in a hint
_LONGEST = 200  # characters of a name for which a similar one is sought


class Scalar(NamedTuple):
    """A single value: `value` is its meaning, `text` how it was written. Lines and columns count from 1."""

    line: int
    column: int
    value: str | int | float | bool | None
    text: str


class Sequence(NamedTuple):
    """A list."""

    line: int
    column: int
    items: "tuple[Item, ...]"


class Mapping(NamedTuple):
    """Keys with their values in the order of the file; each key is there once."""

    line: int
    column: int
    pairs: "tuple[tuple[Scalar, Item], ...]"


Item = Scalar | Sequence | Mapping


class Document(NamedTuple):
    """A topology file as a tree.

    `file` is its name as the user gave it, for messages. `path` is absolute, "" if there is no file. `mistakes` are
    those in spite of which the tree could be built, such as a key written twice. `overridden` are the paths that
    `--set` has changed.
    """

    file: str
    path: str
    root: Item
    mistakes: tuple[Mistake, ...] = ()
    overridden: tuple[str, ...] = ()


def show(text: str) -> str:
    """Return `text` quoted, on one line, shortened, and without characters that could disturb a terminal."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def printable(text: str) -> str:
    """Return `text` on one line, without characters that could disturb a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def join(path: str, key: str) -> str:
    """Return the path of `key` in the mapping at `path`."""
    if not key.isprintable() or not 0 < len(key) <= SHOWN:
        key = show(key)
    return f"{path}.{key}" if path else key


def found(item: Item) -> str:
    """Return what `item` is, for the end of "expected …, found …"."""
    if isinstance(item, Scalar):
        if item.value is None:
            return "nothing"
        return show(item.value) if isinstance(item.value, str) else item.text[:SHOWN]
    content = item.items if isinstance(item, Sequence) else item.pairs
    return ("a " if content else "an empty ") + ("list" if isinstance(item, Sequence) else "mapping")


def closest(name: str, known: "SequenceOf[str]") -> str:
    """Return the known name that `name` may be a misspelling of, or ""; nobody misspells what is longer than a line."""
    import difflib

    if len(name) > _LONGEST:  # comparing two takes the square of their length
        return ""
    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def nearest(name: str, known: "SequenceOf[str]") -> str:
    """Return a hint to the known name that is most like `name`, or to a few known names."""
    if near := closest(name, known):
        return f"did you mean {show(near)}?"
    if not known:
        return "none is known here"
    return "known: " + printable(", ".join(sorted(known)[:SHOWN_NAMES])) + (", …" if len(known) > SHOWN_NAMES else "")


def moved(item: Item, line: int, column: int) -> Item:
    """Return `item` with one place of the file for everything in it."""
    if isinstance(item, Sequence):
        return Sequence(line, column, tuple(moved(child, line, column) for child in item.items))
    if isinstance(item, Mapping):
        pairs = ((key._replace(line=line, column=column), moved(child, line, column)) for key, child in item.pairs)
        return Mapping(line, column, tuple(pairs))
    return item._replace(line=line, column=column)


def plain(item: Item) -> object:
    """Return `item` as plain Python values: dict, list, str, int, float, bool, None."""
    if isinstance(item, Sequence):
        return [plain(child) for child in item.items]
    if isinstance(item, Mapping):
        return {key.text: plain(child) for key, child in item.pairs}
    return item.value
