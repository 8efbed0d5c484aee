"""What of a lab stands, and whether it is as planned."""

from typing import TYPE_CHECKING, Any

from netlab.record import store

if TYPE_CHECKING:
    from netlab.lab.standing import Standing


def read(lab: str) -> dict[str, Any]:
    """Return a lab's nodes with their interfaces and processes as plain data; needs no root.

    `state` is `up`, `half-built` or `not as planned`; `problems` are what is not, each with `where`, `what` and `mend`.
    `looked_inside` says that nodes were looked into, which takes root.
    """
    from netlab.lab import health

    found = health.examine(lab)
    state = ("not as planned" if found.problems else "up") if store.is_complete(lab) else "half-built"
    return {
        "lab": lab,
        "state": state,
        "topology": found.lab.record.topology if found.lab else "",
        "nodes": _nodes(found.lab) if found.lab else {},
        "problems": [problem._asdict() for problem in found.problems],
        "looked_inside": found.is_whole,
    }


def _nodes(lab: "Standing") -> dict[str, Any]:
    from netlab.supervise import client

    running = {entry.node: entry for entry in client.processes(lab.record.folder)}
    return {
        name: {
            "kind": node.kind,
            "role": node.role,
            "program": node.program.name if node.program else "",
            "addresses": {port: list(about.addresses) for port, about in node.interfaces.items()},
            "process": (running.get(name) or client.Process(name, "not started"))._asdict() if node.process else None,
            "memory_kills": lab.runtime.memory_kills(name),
        }
        for name, node in lab.record.nodes.items()
    }
