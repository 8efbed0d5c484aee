"""Plan → the lab's JSON: what the record keeps, and what every process of the lab can read. Pure."""

from typing import Any

from netlab.model import NODE_IMAGE, Program
from netlab.plan import AttachProgram, Plan, StartRole


def describe(plan: Plan, folder: str) -> dict[str, Any]:
    """Return the lab as plain data; the same for the same plan.

    `nodes.NAME.interfaces.NAME` has index, mac, mtu, addresses (with prefix lengths), peer and peer_interface;
    `nodes.NAME.pins` is where the node's maps and programs are pinned; `nodes.NAME.process` what runs there;
    `nodes.NAME.limits` has cpu in cores and memory in bytes, 0 for none.
    """
    topology = plan.topology
    nodes: dict[str, dict[str, Any]] = {
        node.name: {
            "kind": node.kind,
            "replica_of": node.replica_of,
            "role": node.role,
            "pins": f"{folder}/bpf/{node.name}",
            "env": dict(node.env),
            "image": node.image or NODE_IMAGE,
            "limits": node.limits._asdict(),
            "capabilities": list(node.capabilities),
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
        }
    for step in plan.steps:
        if isinstance(step, AttachProgram) and not step.for_peer:
            nodes[step.node]["program"] = _program(step.program, step.interfaces)
        elif isinstance(step, StartRole):
            nodes[step.node]["process"] = {
                "argv": list(step.argv),
                "after": list(step.after),
                "awaits_ready": step.awaits_ready,
                "autostart": step.autostart,
            }
    return {
        "lab": topology.name,
        "topology": topology.path,
        "description": topology.description,
        "runtime": topology.runtime,
        "folder": folder,
        "nodes": nodes,
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
