"""Finds the lines in a file of the mistakes that only planning finds."""

from collections.abc import Sequence

from netlab.errors import TopologyError
from netlab.plan.mistakes import Misfit
from netlab.topology.document.tree import Document, Item, Mapping, Scalar, join
from netlab.topology.document.tree import Sequence as List
from netlab.topology.model import Topology
from netlab.topology.validate.findings import Findings, place


def located(misfits: Sequence[Misfit], document: Document, topology: Topology) -> TopologyError:
    """Return the mistakes with line and column, in the document that the topology was read from."""
    findings = Findings(document)
    for (first, second, *more), message in misfits:
        item, path = document.root, ""
        place_of = _of_link(item, topology, int(second)) if first == "links" else second
        for key in (first, place_of, *more):
            at = _after_word(item, key)
            item, path = _below(item, at), join(path, at)
        findings.add(place(item, path), message)
    return TopologyError(document.file, findings.mistakes())


def _of_link(root: Item, topology: Topology, number: int) -> str:
    """Return the number in the file of a link of the topology: a link of the file becomes one for each replica."""
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


def _after_word(item: Item, key: str) -> str:
    """Return the place of an entry in its list: a list of routes may begin with a word, `auto` or `none`."""
    begins = isinstance(item, List) and item.items and isinstance(item.items[0], Scalar)
    return str(int(key) + 1) if begins and key.isdigit() else key


def _below(item: Item, key: str) -> Item:
    """Return the value of a key; the whole item, if the file has another form there."""
    if isinstance(item, Mapping):
        return next((child for name, child in item.pairs if name.text == key), item)
    if isinstance(item, List) and key.isdigit():
        return item.items[int(key)]
    return item
