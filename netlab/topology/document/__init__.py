"""YAML text → Document: a tree in which every value has its line and column. The only user of a YAML library."""

import os
from typing import TYPE_CHECKING

from netlab.errors import Mistake, TopologyError, UsageError
from netlab.topology.document.composer import ComposeError, compose
from netlab.topology.document.source import TOPOLOGY, read
from netlab.topology.document.tree import Document, Item, show

if TYPE_CHECKING:
    from collections.abc import Sequence as SequenceOf

__all__ = ["Document", "changed", "load", "parse"]


def load(path: str, sets: "SequenceOf[str]" = (), what: str = TOPOLOGY) -> Document:
    """Return the topology file `path` as a tree, with each `--set` (`path=value`, the value in YAML) applied.

    `what` is what the file should be, where that is no topology. Raises UsageError for a file that cannot be read and
    for a `--set` that does not fit, and TopologyError for a file that is not YAML.
    """
    return changed(parse(read(path, what), path, os.path.abspath(path), what), sets)


def changed(document: Document, sets: "SequenceOf[str]") -> Document:
    """Return a tree with each `--set` applied; UsageError for one that does not fit."""
    if not sets:
        return document
    from netlab.topology.document.override import override

    for setting in sets:
        target, equals, text = setting.partition("=")
        if not equals or not target:
            raise UsageError(f"--set {show(setting)}: expected PATH=VALUE, such as nodes.client.args.count=5")
        document = override(document, target, _value(target, text))
    return document


def parse(text: str, file: str, path: str = "", what: str = "a value") -> Document:
    """Return the YAML `text`, which should be `what`, as a tree; `file` is its name in messages.

    Raises TopologyError if it is not YAML.
    """
    mistakes: list[Mistake] = []
    try:
        root = compose(text, mistakes, what=what)
    except ComposeError as error:
        raise TopologyError(file, [*mistakes, error.mistake]) from None
    return Document(file, path, root, tuple(mistakes))


def _value(target: str, text: str) -> Item:
    """Return the value of one `--set`; nothing after the equals sign is null."""
    mistakes: list[Mistake] = []
    try:
        value = compose(text if text.strip() else "null", mistakes, empty=True)
    except ComposeError as error:
        mistakes.append(error.mistake)
    if mistakes:
        raise UsageError(f"--set {show(target)}: in its value: {mistakes[0].message}")
    return value
