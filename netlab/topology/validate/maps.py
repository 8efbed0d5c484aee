"""`maps:`: what is written into the maps of a node's programs, as far as it can be judged before they are loaded."""

import re
from collections.abc import Sequence as SequenceOf

from netlab.named_tuple import NamedTuple
from netlab.topology.document.tree import Item, Mapping, Scalar, Sequence, join, show
from netlab.topology.model import OBJECT, MapEntries, Program
from netlab.topology.validate.findings import Findings, place
from netlab.topology.validate.rules import boolean, integer
from netlab.topology.validate.settings import is_word

ENTRIES, SIZE, TYPE, FOLLOW = "entries", "max_entries", "type", "follow"
MOST_ENTRIES = (1 << 32) - 1
COUNT = integer(1, MOST_ENTRIES)
# Not compiled here, as most labs fill no maps.
_DECLARED = r"\bBPF_[A-Z0-9_]+\s*\(([^;{}]*?)\)\s*;|\}\s*(\w+)\s+SEC\s*\(\s*\"\.maps\""
_WORD = r"\w+"
_STRUCT = r"(?:struct )?[A-Za-z_]\w*"


def read_maps(findings: Findings, item: Item, path: str) -> tuple[MapEntries, ...] | None:
    """Read `maps:`, a mapping of maps to their entries."""
    if not isinstance(item, Mapping):
        findings.wrong(item, path, "a mapping of maps to entries")
        return None
    found = []
    for key, child in item.pairs:
        below = join(path, key.text)
        if not is_word(key.text):
            findings.add(place(key, below), f"expected the name of a map, found {show(key.text)}")
            continue
        settings = _settings(findings, child, below)
        content, below = settings.content, settings.path
        if isinstance(content, Scalar):
            findings.wrong(content, below, "a mapping of keys to values, or a list")
            continue
        children = content.items if isinstance(content, Sequence) else tuple(each for _, each in content.pairs)
        names = range(len(children)) if isinstance(content, Sequence) else [each.text for each, _ in content.pairs]
        for name, each in zip(names, children, strict=True):
            _check(findings, each, join(below, str(name)))
        found.append(MapEntries(key, below, content, settings.size, settings.event, settings.follow))
    return tuple(found)


class _Settings(NamedTuple):
    """What is said of a map; `size` is 0 and `event` None if it is not said."""

    content: Item
    path: str
    size: int = 0
    event: Scalar | None = None
    follow: bool = True


def _settings(findings: Findings, item: Item, path: str) -> _Settings:
    """Return what is said of a map: its entries stand alone, or under `entries` beside the rest."""
    keys = {key.text for key, _ in item.pairs} if isinstance(item, Mapping) else set()
    of_events = bool(keys) and keys <= {TYPE, FOLLOW}  # else they are keys of entries
    if not isinstance(item, Mapping) or not (of_events or keys & {ENTRIES, SIZE}):
        return _Settings(item, path)
    found = _Settings(Mapping(item.line, item.column, ()), path)
    for key, child in item.pairs:
        below = join(path, key.text)
        match key.text:
            case "entries":
                found = found._replace(content=child, path=below)
            case "max_entries":
                found = found._replace(size=COUNT(findings, child, below) or 0)
            case "type":
                found = found._replace(event=_struct(findings, child, below))
            case "follow":
                found = found._replace(follow=boolean(findings, child, below) is not False)
            case _:
                hint = f"put all entries under {ENTRIES}"
                message = f"expected nothing beside {ENTRIES}, {SIZE}, {TYPE} and {FOLLOW}, found {show(key.text)}"
                findings.add(place(key, below), message, hint)
    return found


def _struct(findings: Findings, item: Item, path: str) -> Scalar | None:
    """Return the name of a struct of the program."""
    if isinstance(item, Scalar) and re.fullmatch(_STRUCT, item.text, re.ASCII):
        return item
    findings.wrong(item, path, "the type of the events, such as struct event")
    return None


def _check(findings: Findings, item: Item, path: str) -> None:
    """Add the mistakes of values that fit no map: nothing, and numbers that are not whole."""
    if isinstance(item, Scalar):
        if item.value is None or isinstance(item.value, float):
            findings.wrong(item, path, "a whole number, a text, a list or a mapping")
        return
    pairs = item.items if isinstance(item, Sequence) else tuple(each for _, each in item.pairs)
    names = range(len(pairs)) if isinstance(item, Sequence) else [key.text for key, _ in item.pairs]
    for name, each in zip(names, pairs, strict=True):
        _check(findings, each, join(path, str(name)))


def check_maps(findings: Findings, maps: tuple[MapEntries, ...], programs: SequenceOf[Program], node: str) -> None:
    """Add the mistakes of maps that no source of a node's programs can have: their names are nowhere in the texts."""
    if not maps:
        return
    if not programs:
        findings.add(
            place(maps[0].name, maps[0].path),
            f"expected an xdp or tc program on {node}, whose maps these are, found none",
        )
        return
    texts = [*(_text(each) for each in programs), *(str(value) for each in programs for _, value in each.define)]
    if any("##" in text or "\0" in text for text in texts):  # names may be put together, or it is no source
        return
    words = {word for text in texts for word in re.findall(_WORD, text)}
    declared = [
        word for text in texts for found in re.finditer(_DECLARED, text) for word in re.findall(_WORD, found[0])
    ]
    likely = [word for word in dict.fromkeys(declared) if word.islower()]
    for each in maps:
        if each.name.text not in words:
            hint = findings.closest(each.name.text, likely)
            message = f"expected a map of the program on {node}, found {show(each.name.text)}"
            findings.add(place(each.name, each.path), message, f"did you mean {show(hint)}?" if hint else "")


def _text(program: Program) -> str:
    """Return the text of a program with its headers, or the names in an object.

    One that cannot be read is a mistake elsewhere.
    """
    from netlab.topology import program_text  # here, as most labs fill no maps

    try:
        if program.path.endswith(OBJECT):
            return _names(program.path)
        return program_text.with_headers(program.path, program_text.read(program.path), program.include)
    except OSError:
        return "\0"


def _names(path: str) -> str:
    from netlab.topology import object_file, program_text  # here, as most labs have no objects

    try:
        return "\n".join(object_file.words(program_text.read_bytes(path)))
    except object_file.BadObjectError:
        return "\0"
