"""`--set path=value`: changes one place of a topology that has been read."""

from typing import NoReturn

from netlab.errors import UsageError
from netlab.topology.document.tree import Document, Item, Mapping, Scalar, Sequence, join, moved, nearest, show

ENTRY = "#"  # an entry of a list, by its number
# Where a short form may be, and the key of its long form; None is any step.
SHORT_FORMS: tuple[tuple[tuple[str | None, ...], str], ...] = (
    (("links", None), "endpoints"),
    (("links", None, "endpoints", None), "node"),
    (("nodes", None, "xdp"), "program"),
    (("nodes", None, "xdp", ENTRY), "program"),
    (("nodes", None, "tc", None), "program"),
    (("nodes", None, "tc", None, ENTRY), "program"),
)
MADE_WHEN_MISSING = ("args", "env", "sysctls", "limits", "define")
DOTTED_KEYS = "sysctls"  # the one mapping whose keys contain dots


def override(document: Document, target: str, value: Item) -> Document:
    """Return `document` with `value` at the path `target`.

    A key may be new if the mapping around it exists. An entry of a list is named by its number, from 0. Raises
    UsageError for a path that leads nowhere.
    """
    if target.endswith("."):
        _refuse(target, "a path does not end with a dot")
    root = _put(document.root, (), target, value, target)
    return document._replace(root=root, overridden=(*document.overridden, target))


def _put(item: Item, done: tuple[str, ...], rest: str, value: Item, target: str) -> Item:
    """Return `item`, which is at the path `done`, with `value` at the path `rest` below it."""
    if not rest:
        return moved(value, item.line, item.column)
    item = _long_form(item, done, rest.partition(".")[0])
    if isinstance(item, Mapping):
        return _put_key(item, done, rest, value, target)
    if isinstance(item, Sequence):
        return _put_entry(item, done, rest, value, target)
    return _refuse(target, f"{_path(done)} is a single value, with nothing in it to set")


def _put_key(mapping: Mapping, done: tuple[str, ...], rest: str, value: Item, target: str) -> Item:
    known = [key.text for key, _ in mapping.pairs]
    step = max((key for key in known if rest == key or rest.startswith(f"{key}.")), key=len, default=None)
    if step is not None:
        below = rest[len(step) + 1 :]
        pairs = tuple(
            (key, _put(child, (*done, step), below, value, target) if key.text == step else child)
            for key, child in mapping.pairs
        )
        return mapping._replace(pairs=pairs)
    first, dot, below = rest.partition(".")
    child: Item = Mapping(mapping.line, mapping.column, ())
    if dot and first in MADE_WHEN_MISSING:
        child = _put(child, (*done, first), below, value, target)
    elif not dot or (done and done[-1] == DOTTED_KEYS):
        first, child = rest, moved(value, mapping.line, mapping.column)
    else:
        _refuse(target, f"{_path(done)} has no {show(first)}", nearest(first, known))
    return mapping._replace(pairs=(*mapping.pairs, (Scalar(mapping.line, mapping.column, first, first), child)))


def _put_entry(sequence: Sequence, done: tuple[str, ...], rest: str, value: Item, target: str) -> Item:
    step, _, below = rest.partition(".")
    count = len(sequence.items)
    if not (step.isascii() and step.isdigit() and len(step) <= len(str(count)) and int(step) < count):
        numbers = f"the numbers 0 to {count - 1}" if count else "no entries"
        _refuse(target, f"{_path(done)} is a list with {numbers}, found {show(step)}")
    index = int(step)
    child = _put(sequence.items[index], (*done, step), below, value, target)
    return sequence._replace(items=(*sequence.items[:index], child, *sequence.items[index + 1 :]))


def _long_form(item: Item, done: tuple[str, ...], step: str) -> Item:
    """Return the mapping with the key `step` that `item` is a short form of; null is an empty mapping."""
    if isinstance(item, Mapping) or (isinstance(item, Sequence) and step.isdigit()):
        return item
    if isinstance(item, Scalar) and item.value is None:
        return Mapping(item.line, item.column, ())
    for place, key in SHORT_FORMS:
        if len(place) == len(done) and all(map(_fits, place, done)):
            return Mapping(item.line, item.column, ((Scalar(item.line, item.column, key, key), item),))
    return item


def _fits(want: str | None, there: str) -> bool:
    return want in (None, there) or (want == ENTRY and there.isdigit())


def _path(done: tuple[str, ...]) -> str:
    path = ""
    for step in done:
        path = join(path, step)
    return path or "the topology"


def _refuse(target: str, message: str, hint: str = "") -> NoReturn:
    raise UsageError(f"--set {show(target)[1:-1]}: {message}" + (f" ({hint})" if hint else ""))
