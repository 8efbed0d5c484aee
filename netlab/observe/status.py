"""What of a lab stands, and whether it is as planned: as data, and as a table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from netlab.console import say
from netlab.lab import condition
from netlab.observe import tables
from netlab.record import store
from netlab.supervise.client import Process, processes

if TYPE_CHECKING:
    from netlab.lab.standing import Standing

_MOST = 50  # problems in a table


class NodeStatus(NamedTuple):
    """A node: the name of its program, "" for none; `addresses` by interface; None for a node without a process."""

    kind: str
    role: str
    program: str
    addresses: Mapping[str, tuple[str, ...]]
    process: Process | None
    memory_kills: int


class LabStatus(NamedTuple):
    """A lab: `state` is `up`, `half-built` or `not as planned`, and `problems` are what is not as planned.

    `looked_inside` says that nodes were looked into, which takes root.
    """

    lab: str
    state: str
    topology: str
    nodes: Mapping[str, NodeStatus]
    problems: tuple[condition.Problem, ...]
    looked_inside: bool


def read(lab: str) -> LabStatus:
    """Return how a lab fares; needs no root."""
    from netlab.lab import health

    found = health.examine(lab)
    state = ("not as planned" if found.problems else "up") if store.is_complete(lab) else "half-built"
    topology, nodes = (found.lab.record.topology, _nodes(found.lab)) if found.lab else ("", {})
    return LabStatus(lab, state, topology, nodes, found.problems, found.is_whole)


def _nodes(lab: "Standing") -> dict[str, NodeStatus]:
    running = {entry.node: entry for entry in processes(lab.record.folder)}
    return {
        name: NodeStatus(
            node.kind,
            node.role,
            node.program.name if node.program else "",
            {port: about.addresses for port, about in node.interfaces.items()},
            (running.get(name) or Process(name, "not started")) if node.process else None,
            lab.runtime.memory_kills(name),
        )
        for name, node in lab.record.nodes.items()
    }


def show(found: LabStatus) -> None:
    """Print a lab's nodes as a table, and below it what is not as planned."""
    table = tables.table("NODE", "WHAT", "PROGRAM", "STATE", "PID", "CPU", "MEMORY", "ADDRESSES")
    for name, node in found.nodes.items():
        addresses = ", ".join(each for port in node.addresses.values() for each in port if ":" not in each)
        table.add_row(name, node.role or node.kind, node.program, *_process_cells(node.process), addresses)
    limited = not found.looked_inside and found.state != "half-built"
    state = "up, as far as can be seen without root" if limited and found.state == "up" else found.state
    tables.console().print(f"lab {found.lab} is {state}, from {found.topology or 'no file'}", highlight=False)
    tables.console().print(table)
    for name, node in found.nodes.items():
        if node.memory_kills:
            count = f"{node.memory_kills} process{'' if node.memory_kills == 1 else 'es'}"
            print(f"{name}: its memory was used up, and the kernel has killed {count} there")
    for problem in found.problems[:_MOST]:
        print(problem)
    if found.problems[_MOST:]:
        print(f"… and {len(found.problems) - _MOST} more: --format json has all")
    if limited:
        say(f"netlab: note: to look into the nodes takes root: sudo netlab status {found.lab}")


def _process_cells(process: Process | None) -> tuple[str, str, str, str]:
    if process is None:
        return "", "", "", ""
    cpu = "" if process.cpu_percent is None else f"{process.cpu_percent:.1f} %"
    memory = "" if process.rss_bytes is None else f"{process.rss_bytes / 1e6:.1f} MB"
    code = f" {process.code}" if process.state in ("exited", "killed") else ""
    return process.state + code, str(process.pid or ""), cpu, memory
