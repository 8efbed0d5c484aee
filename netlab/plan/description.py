"""Plan → the lab's JSON: what the record keeps, and what every process of the lab can read. Pure."""

from typing import Any

from netlab import paths
from netlab.plan.planner import Plan
from netlab.plan.steps import AddBridge, AddRoute, AttachProgram, CreateNode, FaceProgram, StartRole, Step
from netlab.topology.model import NODE_IMAGE, Program


def describe(plan: Plan, folder: str) -> dict[str, Any]:
    """Return the lab as plain data; the same for the same plan.

    `nodes.NAME.interfaces.NAME` has index, mac, mtu, addresses (with prefix lengths), peer and peer_interface, and
    what `status` looks for: the bridge that it is a port of, whether it `faces` a program and has the one that `passes`
    all; `nodes.NAME.pins` is where the node's maps and programs are pinned; `nodes.NAME.process` what runs there;
    `nodes.NAME.limits` has cpu in cores and memory in bytes, 0 for none; `routes` are pairs of network and next hop.
    """
    topology = plan.topology
    nodes: dict[str, dict[str, Any]] = {
        node.name: {
            "kind": node.kind,
            "replica_of": node.replica_of,
            "role": node.role,
            "pins": paths.pins(folder, node.name),
            "env": dict(node.env),
            "image": node.image or NODE_IMAGE,
            "limits": node.limits._asdict(),
            "capabilities": list(node.capabilities),
            "bridge": None,
            "routes": [],
            "sysctls": {},
            "interfaces": {},
            "program": None,
            "process": None,
        }
        for node in topology.nodes
    }
    for interface in plan.interfaces:
        nodes[interface.node]["interfaces"][interface.name] = {
            "index": interface.index,
            "mac": interface.mac,
            "mtu": interface.mtu,
            "addresses": list(interface.addresses),
            "peer": interface.peer,
            "peer_interface": interface.peer_interface,
            "bridge": interface.bridge,
            "faces": False,
            "passes": False,
        }
    for step in plan.steps:
        _add(nodes, step)
    for node in topology.nodes:
        if nodes[node.name]["process"]:
            nodes[node.name]["process"]["stays"] = node.stays
    return {
        "lab": topology.name,
        "topology": topology.path,
        "description": topology.description,
        "runtime": topology.runtime,
        "folder": folder,
        "nodes": nodes,
    }


def _add(nodes: dict[str, dict[str, Any]], step: Step) -> None:
    """Add what a step does to its node."""
    match step:
        case CreateNode():
            nodes[step.node]["sysctls"] = dict(step.sysctls)
        case AddBridge():
            nodes[step.node]["bridge"] = {"name": step.name, "index": step.index}
        case AddRoute():
            nodes[step.node]["routes"].append([step.to, step.via])
        case FaceProgram():
            nodes[step.node]["interfaces"][step.interface]["faces"] = True
        case AttachProgram() if step.for_peer:
            for name in step.interfaces:
                nodes[step.node]["interfaces"][name]["passes"] = True
        case AttachProgram():
            nodes[step.node]["program"] = _program(step.program, step.interfaces)
        case StartRole():
            nodes[step.node]["process"] = {
                "argv": list(step.argv),
                "after": list(step.after),
                "awaits_ready": step.awaits_ready,
                "autostart": step.autostart,
            }


def _program(program: Program, interfaces: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": program.name,
        "path": program.path,
        "function": program.function,
        "mode": program.mode,
        "define": dict(program.define),
        "interfaces": list(interfaces),
    }
