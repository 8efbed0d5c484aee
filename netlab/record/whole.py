"""Whether the parts of a complete record that refer to each other are there."""

from collections.abc import Iterator

from netlab import paths
from netlab.record.model import LabRecord, NodeRecord
from netlab.record.shapes import MisfitError


def check_whole(lab: LabRecord) -> None:
    """Raise MisfitError if one part of a complete record refers to another part that is not there."""
    for name, node in lab.nodes.items():
        for keys, expected, found in (*_loose_ends(lab, node), *_loose_programs(lab, name)):
            misfit = MisfitError(expected, found)
            misfit.keys = [*reversed(keys), name, "nodes"]
            raise misfit


def _loose_ends(lab: LabRecord, node: NodeRecord) -> Iterator[tuple[tuple[str | int, ...], str, object]]:
    for interface, port in node.interfaces.items():
        if port.peer not in lab.nodes or port.peer_interface not in lab.nodes[port.peer].interfaces:
            yield ("interfaces", interface, "peer"), "the other end of its link", f"{port.peer} {port.peer_interface}"
    yield from ((("setup", at), "a command", "") for at, argv in enumerate(node.setup) if not argv)
    names = [process.name for process in node.processes]
    for at, process in enumerate(node.processes):
        if len(process.argv) <= bool(process.role):
            yield ("processes", at, "argv"), "a command", " ".join(process.argv)
        if process.name in names[:at]:
            yield ("processes", at, "name"), "a name of its own", process.name


def _loose_programs(lab: LabRecord, node: str) -> Iterator[tuple[tuple[str | int, ...], str, object]]:
    there = lab.nodes[node].programs
    free: dict[str, set[str]] = {}
    names: set[str] = set()
    for at, (key, program) in enumerate(lab.programs_of(node)):
        left = free.setdefault(program.hook, set(lab.nodes[node].interfaces))
        if not program.interfaces or not left.issuperset(program.interfaces):
            yield ("programs", at, "interfaces"), "interfaces of the node", ", ".join(program.interfaces)
        left.difference_update(program.interfaces)
        if bool(program.mode) != (program.hook == "xdp"):
            yield ("programs", at, "mode"), "a mode of an XDP program, and of no other", program.mode
        if program.name in names or (there[1:] and not paths.is_program_name(program.name)):
            yield ("programs", at, "name"), "a name of its own, of letters, digits, _ and inner -", program.name
        names.add(program.name)
        if program.pins != (pins := paths.pins(lab.folder, key)):
            yield ("programs", at, "pins"), pins, program.pins
