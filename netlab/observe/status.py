"""The state of a lab: its nodes, their processes, and whether it is as planned."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from netlab.lab import fault_state, node_drift
from netlab.named_tuple import NamedTuple
from netlab.paths import process_key
from netlab.record import store
from netlab.supervise.client import Process, processes, unstarted

if TYPE_CHECKING:
    from netlab.lab.drift import Drift


class ProgramStatus(NamedTuple):
    """A program of a node: its key (paths.program_key), its name, and the interfaces and the hook that it is on."""

    program: str
    name: str
    interfaces: tuple[str, ...]
    hook: str


class NodeStatus(NamedTuple):
    """A node: the name of its only program, "" for none or several, which are all in `programs`.

    `addresses` are by interface, as planned; `addresses_now` those that are there, only of interfaces with others than
    planned. `process` is the only one, None where there is none or several; `role` is that one's.
    `processes` are all. `memory_kills` are processes that the kernel has killed as the node's memory was used up;
    `udp_rcvbuf_errors` datagrams that it dropped as their socket's buffer was full, None where the node was not looked
    into. `ports` are the states of a switch's, with a spanning tree if it has one (`stp`).
    """

    kind: str
    role: str
    program: str
    addresses: Mapping[str, tuple[str, ...]]
    process: Process | None
    memory_kills: int
    udp_rcvbuf_errors: int | None
    processes: tuple[Process, ...] = ()
    programs: tuple[ProgramStatus, ...] = ()
    addresses_now: Mapping[str, tuple[str, ...]] = {}
    ports: Mapping[str, str] = {}
    stp: bool = False


class LabStatus(NamedTuple):
    """A lab: `state` is `up`, `half-built` or `not as planned`, and `problems` are what is not as planned.

    `looked_inside` says that nodes were looked into, which takes root. `faults` are those in force, in words, while a
    time line is played.
    """

    lab: str
    state: str
    topology: str
    nodes: Mapping[str, NodeStatus]
    problems: tuple[node_drift.Problem, ...]
    looked_inside: bool
    faults: tuple[str, ...] = ()


def read(lab: str) -> LabStatus:
    """Return the state of a lab; needs no root."""
    from netlab.lab import drift

    found = drift.examine(lab)
    state = ("not as planned" if found.problems else "up") if store.is_complete(lab) else "half-built"
    topology, nodes = (found.lab.record.topology if found.lab else ""), _nodes(found)
    faults = fault_state.played(found.lab.record.folder) if found.lab else []
    return LabStatus(lab, state, topology, nodes, found.problems, found.is_whole, tuple(faults))


def _nodes(found: "Drift") -> dict[str, NodeStatus]:
    lab = found.lab
    if lab is None:
        return {}
    running = {entry.process: entry for entry in processes(lab.record.folder)}
    nodes: dict[str, NodeStatus] = {}
    for name, node in lab.record.nodes.items():
        keyed = ((process_key(name, process.name), process) for process in node.processes)
        its = tuple((running.get(key) or unstarted(key))._replace(role=process.role) for key, process in keyed)
        only = its[0] if len(its) == 1 else None
        nodes[name] = NodeStatus(
            node.kind,
            only.role if only else "",
            node.programs[0].name if len(node.programs) == 1 else "",
            node.all_addresses(),
            only,
            lab.runtime.memory_kills(name),
            found.udp_rcvbuf_errors.get(name),
            its,
            tuple(
                ProgramStatus(key, each.name, each.interfaces, each.hook) for key, each in lab.record.programs_of(name)
            ),
            found.addresses.get(name, {}),
            found.ports.get(name, {}),
            bool(node.bridge and node.bridge.stp),
        )
    return nodes
