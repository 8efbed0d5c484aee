"""The state of a lab: its nodes, their processes, and whether it is as planned."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from netlab.lab import fault_state, node_drift
from netlab.named_tuple import NamedTuple
from netlab.observe import interface_status, labs
from netlab.observe.interface_status import InterfaceStatus
from netlab.paths import process_key
from netlab.record import store
from netlab.record.model import LabRecord, LimitsRecord, ProcessRecord
from netlab.supervise.client import Process, processes, unstarted

if TYPE_CHECKING:
    from netlab.lab.drift import Drift


class ProgramStatus(NamedTuple):
    """A program of a node: its key (paths.program_key), its name, and the interfaces and the hook that it is on.

    `mode` is XDP's, as planned: `native` or `generic`; "" at other hooks, and where only root could know it.
    """

    program: str
    name: str
    interfaces: tuple[str, ...]
    hook: str
    mode: str = ""


class NodeStatus(NamedTuple):
    """A node: the name of its only program, "" for none or several, which are all in `programs`.

    `addresses` are by interface, as planned; `addresses_now` those that are there, only of interfaces with others than
    planned; `interfaces` are as they are now. `process` is the only one, None where there is none or several; `role` is
    that one's. `processes` are all. `memory_kills` are processes that the kernel has killed as the node's memory was
    used up; `udp_rcvbuf_errors` datagrams that it dropped as their socket's buffer was full, None where the node was
    not looked into. `ports` are the states of a switch's, with a spanning tree if it has one (`stp`). `limits` are what
    it may use, 0 for no limit.
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
    interfaces: Mapping[str, InterfaceStatus] = {}
    limits: LimitsRecord = LimitsRecord()


class LabStatus(NamedTuple):
    """A lab: `state` is `up`, `half-built` or `not as planned`, and `problems` are what is not as planned.

    `looked_inside` says that nodes were looked into, which takes root. `faults` are those in force, in words, while a
    time line is played. `since` is when it was complete, in seconds of the epoch, 0 if it is not. `untrusted` says that
    what runs in it is confined.
    """

    lab: str
    state: str
    topology: str
    nodes: Mapping[str, NodeStatus]
    problems: tuple[node_drift.Problem, ...]
    looked_inside: bool
    faults: tuple[str, ...] = ()
    since: float = 0
    untrusted: bool = False


def read(lab: str) -> LabStatus:
    """Return the state of a lab; needs no root."""
    from netlab.lab import drift

    found = drift.examine(lab)
    state = ("not as planned" if found.problems else "up") if store.is_complete(lab) else "half-built"
    topology, nodes = (found.lab.record.topology if found.lab else ""), _nodes(found)
    faults = fault_state.played(found.lab.record.folder) if found.lab else []
    return LabStatus(
        lab,
        state,
        topology,
        nodes,
        found.problems,
        found.is_whole,
        tuple(faults),
        labs.complete_since(lab),
        untrusted=bool(found.lab and found.lab.record.untrusted),
    )


def _nodes(found: "Drift") -> dict[str, NodeStatus]:
    lab = found.lab
    if lab is None:
        return {}
    running = {entry.process: entry for entry in processes(lab.record.folder)}
    return {name: _node(name, found, lab.record, running, lab.runtime.memory_kills(name)) for name in lab.record.nodes}


def _node(
    name: str, found: "Drift", record: LabRecord, running: Mapping[str, Process], memory_kills: int
) -> NodeStatus:
    about, seen = record.nodes[name], found.seen.get(name)
    keyed = ((process_key(name, process.name), process) for process in about.processes)
    its = tuple(_about(running.get(key) or unstarted(key), process) for key, process in keyed)
    only = its[0] if len(its) == 1 else None
    interfaces = interface_status.of(about, seen, found.down.get(name, ()))
    return NodeStatus(
        about.kind,
        only.role if only else "",
        about.programs[0].name if len(about.programs) == 1 else "",
        about.all_addresses(),
        only,
        memory_kills,
        seen.udp_rcvbuf_errors if seen and about.kind != "host" else None,
        its,
        tuple(
            ProgramStatus(key, each.name, each.interfaces, each.hook, each.mode if seen else "")
            for key, each in record.programs_of(name)
        ),
        {each: now.addresses for each, now in interfaces.items() if now.lost or now.added},
        {each: now.port for each, now in interfaces.items() if now.port},
        bool(about.bridge and about.bridge.stp),
        interfaces,
        about.limits,
    )


def _about(process: Process, planned: ProcessRecord) -> Process:
    """Add what the record knows of a process, and when it began to be what it is, on the clock of the wall."""
    ns = process.ended_ns or process.started_ns
    since = round(time.time() - (time.monotonic_ns() - ns) / 1e9, 3) if ns else 0.0
    return process._replace(role=planned.role, command=planned.argv, since=since)
