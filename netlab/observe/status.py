"""What of a lab stands, and whether it is as planned."""

from collections.abc import Mapping
from typing import Any

from netlab.record import store


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
        "topology": found.data.get("topology", ""),
        "nodes": _nodes(found.data) if found.data else {},
        "problems": [problem._asdict() for problem in found.problems],
        "looked_inside": found.is_whole,
    }


def _nodes(data: Mapping[str, Any]) -> dict[str, Any]:
    from netlab.lab import launch
    from netlab.supervise import client

    running = {entry.node: entry for entry in client.processes(data["folder"])}
    runtime = launch.runtime_of(data)
    return {
        name: {
            "kind": node["kind"],
            "role": node["role"],
            "program": node["program"]["name"] if node["program"] else "",
            "addresses": {port: about["addresses"] for port, about in node["interfaces"].items()},
            "process": (running.get(name) or client.Process(name, "not started"))._asdict()
            if node["process"]
            else None,
            "memory_kills": runtime.memory_kills(name),
        }
        for name, node in data["nodes"].items()
    }
