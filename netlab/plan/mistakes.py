"""Mistakes that show only when everything is chosen, with their place in the file."""

from collections.abc import Sequence
from typing import NamedTuple

from netlab.errors import TopologyError, UsageError
from netlab.topology.document.tree import Document, Item, Mapping, Scalar, join
from netlab.topology.document.tree import Sequence as List
from netlab.topology.model import Topology
from netlab.topology.validate.findings import Findings, place


class Misfit(NamedTuple):
    """A mistake: the keys that lead to it (for a link, its number in the topology), and what was expected and found."""

    keys: tuple[str, ...]
    message: str


class PlanError(UsageError):
    """A topology that cannot be planned."""

    def __init__(self, misfits: Sequence[Misfit]) -> None:
        self.misfits = misfits
        super().__init__("\n".join(f"{'.'.join(misfit.keys)}: {misfit.message}" for misfit in misfits))

    def located(self, document: Document, topology: Topology) -> TopologyError:
        """Return the error with line and column of each mistake, in the document that the topology was read from."""
        findings = Findings(document)
        for (first, second, *more), message in self.misfits:
            item, path = document.root, ""
            place_of = _of_link(item, topology, int(second)) if first == "links" else second
            for key in (first, place_of, *more):
                item, path = _below(item, key), join(path, key)
            findings.add(place(item, path), message)
        return TopologyError(document.file, findings.mistakes())


def _of_link(root: Item, topology: Topology, number: int) -> str:
    """Return which of the file's links became this link of the topology: each replica has a link of its own."""
    links = _below(root, "links")
    at = 0
    for index, link in enumerate(links.items if isinstance(links, List) else ()):
        a, b = (_members(topology, end) for end in _ends(link))
        at += a * b
        if number < at:
            return str(index)
    return "0"


def _ends(link: Item) -> Sequence[Item]:
    ends = _below(link, "endpoints")
    return ends.items if isinstance(ends, List) else ()


def _members(topology: Topology, end: Item) -> int:
    """Return how many nodes one end of a link means."""
    name = _below(end, "node")
    text = name.text if isinstance(name, Scalar) else ""
    return max(1, sum(node.replica_of == text for node in topology.nodes))


def _below(item: Item, key: str) -> Item:
    """Return the value of a key; the whole item, if the file has another form there."""
    if isinstance(item, Mapping):
        return next((child for name, child in item.pairs if name.text == key), item)
    if isinstance(item, List) and key.isdigit():
        return item.items[int(key)]
    return item
