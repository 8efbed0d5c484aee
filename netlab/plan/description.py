"""Plan → the lab's record, which every process of the lab can read. Pure."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from netlab import paths
from netlab.paths import process_key
from netlab.plan.attach_program import AttachProgram
from netlab.plan.host_steps import FORWARDING, GuardHost, OpenInternet
from netlab.plan.middle_steps import Impair
from netlab.plan.planner import Plan
from netlab.plan.steps import AddBridge, AddRoute, CreateNode, FaceProgram, Interface, StartRole, Step
from netlab.plan.switch_steps import SetVlans
from netlab.record.checks import CheckRecord
from netlab.record.faults import FaultRecord
from netlab.record.model import (
    BridgeRecord,
    InterfaceRecord,
    LabRecord,
    LimitsRecord,
    NodeRecord,
    OwnFileRecord,
    OwnFolderRecord,
    ProcessRecord,
    ProgramRecord,
    ReadyRecord,
    RestartRecord,
    RouteRecord,
)
from netlab.topology.checks import Check
from netlab.topology.faults import Fault
from netlab.topology.model import NODE_IMAGE, Node, OwnFile, Process

if TYPE_CHECKING:
    from netlab.topology.document.tree import Item


class _Steps:
    """What the steps of a plan do, by node."""

    def __init__(self, plan: Plan, folder: str) -> None:
        self.sysctls: dict[str, dict[str, str]] = {}
        self.bridges: dict[str, BridgeRecord] = {}
        self.routes: dict[str, list[RouteRecord]] = {}
        self.vlans: dict[tuple[str, str], SetVlans] = {}
        self.faces: set[tuple[str, str]] = set()
        self.impaired: dict[tuple[str, str], Impair] = {}
        self.passes: set[tuple[str, str]] = set()
        self.programs: dict[str, list[ProgramRecord]] = {}
        self.processes: dict[str, StartRole] = {}  # by key
        for step in plan.steps:
            self._read_network(step)
            match step:
                case CreateNode():
                    self.sysctls[step.node] = dict(step.sysctls)
                case GuardHost() | OpenInternet():
                    self.sysctls.setdefault(step.node, {}).update(step.sysctls)
                case AttachProgram() if step.for_peer:
                    self.passes.update((step.node, name) for name in step.interfaces)
                case AttachProgram():
                    self.programs.setdefault(step.node, []).append(_program(step, folder))
                case StartRole():
                    self.processes[step.key] = step

    def _read_network(self, step: Step) -> None:
        match step:
            case AddBridge():
                self.bridges[step.node] = BridgeRecord(step.name, step.index, step.stp, step.filters)
            case SetVlans():
                self.vlans[step.node, step.interface] = step
            case AddRoute():
                self.routes.setdefault(step.node, []).append(_route(step))
            case Impair():
                self.impaired[step.node, step.interface] = step
            case FaceProgram():
                self.faces.add((step.node, step.interface))


def describe(plan: Plan, folder: str) -> LabRecord:
    """Return the lab's record; it is the same for the same plan."""
    topology, steps = plan.topology, _Steps(plan, folder)
    interfaces: dict[str, dict[str, InterfaceRecord]] = {node.name: {} for node in topology.nodes}
    for number, interface in enumerate(plan.interfaces):
        interfaces[interface.node][interface.name] = _interface(interface, steps, paths.middle_end(number))
    return LabRecord(
        topology.name,
        topology.path,
        topology.runtime,
        folder,
        {node.name: _node(node, steps, interfaces[node.name]) for node in topology.nodes},
        topology.description,
        avoided=tuple(str(one.network) for one in plan.surroundings.taken),
        outside=plan.surroundings.outside,
        faults=tuple(map(_fault, topology.faults)),
        checks=tuple(map(_check, topology.checks)),
        untrusted=plan.untrusted,
    )


def _fault(fault: Fault) -> FaultRecord:
    from netlab.record import impaired  # here, as most labs have no faults

    return FaultRecord(*fault[:-1], impaired.text(fault.does))


def _node(node: Node, steps: _Steps, interfaces: dict[str, InterfaceRecord]) -> NodeRecord:
    return NodeRecord(
        node.kind,
        LimitsRecord(*node.limits),
        interfaces,
        tuple(steps.programs.get(node.name, ())),
        tuple(_process(steps.processes[process_key(node.name, each.name)], each) for each in node.processes),
        node.replica_of,
        dict(node.env),
        node.image or NODE_IMAGE,
        node.capabilities,
        steps.bridges.get(node.name),
        tuple(steps.routes.get(node.name, ())),
        _kept_sysctls(node, steps.sysctls.get(node.name, {})),
        {each.name.text: json.dumps(_plain(each.content)) for each in node.maps},
        node.loopback,
        tuple(map(_own_file, node.own.files)),
        tuple(OwnFolderRecord(*each) for each in node.own.folders),
        node.internet,
        tuple(each.argv for each in node.setup),
    )


def _kept_sysctls(node: Node, sysctls: Mapping[str, str]) -> dict[str, str]:
    """Return the sysctls that are to stay as they are.

    Whether a node forwards that has no automatic routes is for its routing daemon to say, unless the file says it.
    """
    written = dict(node.sysctls)
    free = () if node.automatic_routes or node.kind == "host" else FORWARDING.values()
    return {name: value for name, value in sysctls.items() if name not in free or name in written}


def _plain(item: "Item") -> object:
    """Return what is written in a file as JSON has it, with the order of its keys."""
    from netlab.topology.document.tree import plain

    return plain(item)


def _interface(interface: Interface, steps: _Steps, middle: str) -> InterfaceRecord:
    place = (interface.node, interface.name)
    vlans, impaired = steps.vlans.get(place), steps.impaired.get(place)
    return InterfaceRecord(
        interface.addresses,
        interface.index,
        interface.mac,
        interface.mtu,
        interface.peer,
        interface.peer_interface,
        interface.bridge,
        place in steps.faces,
        place in steps.passes,
        dict(interface.peers),
        *((vlans.vlan, vlans.vlans) if vlans else (0, ())),
        middle,
        _sent(impaired) if impaired else "",
    )


def _sent(step: Impair) -> str:
    from netlab.record import impaired

    return impaired.text(step.impairment)


def _own_file(file: OwnFile) -> OwnFileRecord:
    from hashlib import sha256  # here, as most labs need none of it

    return OwnFileRecord(file.path, file.mode, file.owner, file.source, sha256(file.content).hexdigest())


def _check(check: Check) -> CheckRecord:
    return CheckRecord(**{**check._asdict(), "after": tuple(map(_fault, check.after))})


def _route(step: AddRoute) -> RouteRecord:
    return RouteRecord(step.to, step.via, step.metric, step.interface, step.kind, step.index)


def _program(step: AttachProgram, folder: str) -> ProgramRecord:
    program = step.program
    return ProgramRecord(
        program.name,
        step.interfaces,
        program.hook,
        program.path,
        program.function,
        program.mode,
        dict(program.define),
        paths.pins(folder, step.key),
        program.dialect,
        program.include,
        program.cflags,
        dict(program.map_sizes),
        dict(program.event_types),
        program.unfollowed,
    )


def _process(step: StartRole, process: Process) -> ProcessRecord:
    return ProcessRecord(
        process.name,
        process.role,
        step.argv,
        step.autostart,
        process.stays,
        process.may_exit,
        step.after,
        step.awaits_ready or bool(process.ready),
        dict(process.env),
        ReadyRecord(*process.ready) if process.ready else None,
        RestartRecord(*process.restart),
    )
