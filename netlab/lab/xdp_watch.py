"""Lets the kernel count what goes wrong with XDP in the nodes of a lab."""

from collections.abc import Callable, Sequence

from netlab.errors import HostError
from netlab.lab.standing import Standing
from netlab.programs import xdp_errors, xdp_places
from netlab.programs.xdp_places import Node
from netlab.record.model import LabRecord


def begin(folder: str) -> None:
    """Count from now on; HostError if this kernel cannot."""
    xdp_errors.open_all(folder)


def add_nodes(lab: Standing, begun: Callable[[], None], say: Callable[[str], None]) -> None:
    """Count in all nodes of a lab, but not on this host, whose programs are others'.

    `begun` waits for `begin`. A kernel that cannot count is no error, and said.
    """
    try:
        begun()
    except HostError as error:
        say(f"netlab: note: what goes wrong with XDP is not shown: {error}")
        return
    own = {
        place: lab.runtime.netns_path(name)
        for place, (name, node) in enumerate(lab.record.nodes.items())
        if node.kind != "host"
    }
    xdp_errors.add_nodes(lab.record.folder, own)


def add_cpumaps(lab: LabRecord, node: str, numbers: Sequence[int]) -> None:
    """Count what is lost on the way to CPUs, too, through CPU maps of a node's programs, by the kernel's numbers."""
    if numbers and xdp_errors.is_there(lab.folder):
        xdp_errors.add_cpumaps(lab.folder, list(lab.nodes).index(node), numbers)


def nodes(record: LabRecord) -> Sequence[Node]:
    """Return the nodes of a lab in which is counted; none if nothing is."""
    return xdp_places.nodes(record) if xdp_errors.is_there(record.folder) else ()


def change(before: LabRecord, lab: Standing, say: Callable[[str], None]) -> None:
    """Count in the nodes that a lab has now; what was counted before stays with its node."""
    folder = lab.record.folder
    if not any(node.programs for node in lab.record.nodes.values()):
        return
    if not xdp_errors.is_there(folder):
        add_nodes(lab, lambda: begin(folder), say)
        return
    places = {name: place for place, name in enumerate(lab.record.nodes)}
    moved = {place: places[name] for place, name in enumerate(before.nodes) if name in places}
    xdp_errors.renumber(folder, moved)
    add_nodes(lab, lambda: None, say)
