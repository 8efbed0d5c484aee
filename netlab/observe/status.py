"""What of a lab stands, and whether it is as planned: as data, and as a table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netlab.console import say
from netlab.lab import condition
from netlab.observe import tables
from netlab.record import store

if TYPE_CHECKING:
    from netlab.lab.standing import Standing

_MOST = 50  # problems in a table


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


def show(data: Mapping[str, Any]) -> None:
    """Print a lab's nodes as a table, and below it what is not as planned."""
    table = tables.table("NODE", "WHAT", "PROGRAM", "STATE", "PID", "CPU", "MEMORY", "ADDRESSES")
    for name, node in data["nodes"].items():
        addresses = ", ".join(each for port in node["addresses"].values() for each in port if ":" not in each)
        table.add_row(name, node["role"] or node["kind"], node["program"], *_process_cells(node["process"]), addresses)
    limited = not data["looked_inside"] and data["state"] != "half-built"
    state = "up, as far as can be seen without root" if limited and data["state"] == "up" else data["state"]
    tables.console().print(f"lab {data['lab']} is {state}, from {data['topology'] or 'no file'}", highlight=False)
    tables.console().print(table)
    for name, node in data["nodes"].items():
        if node["memory_kills"]:
            count = f"{node['memory_kills']} process{'' if node['memory_kills'] == 1 else 'es'}"
            print(f"{name}: its memory was used up, and the kernel has killed {count} there")
    for problem in data["problems"][:_MOST]:
        print(condition.Problem(**problem))
    if data["problems"][_MOST:]:
        print(f"… and {len(data['problems']) - _MOST} more: --format json has all")
    if limited:
        say(f"netlab: note: to look into the nodes takes root: sudo netlab status {data['lab']}")


def _process_cells(process: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    if process is None:
        return "", "", "", ""
    cpu = "" if process["cpu_percent"] is None else f"{process['cpu_percent']:.1f} %"
    memory = "" if process["rss_bytes"] is None else f"{process['rss_bytes'] / 1e6:.1f} MB"
    code = f" {process['code']}" if process["state"] in ("exited", "killed") else ""
    return process["state"] + code, str(process["pid"] or ""), cpu, memory
