"""`after:`: which nodes are started before which; nobody may wait for himself."""

from typing import NamedTuple

from netlab.topology.document.tree import show
from netlab.topology.validate.findings import Findings, Name
from netlab.topology.validate.names import Names

MAX_SHOWN = 12  # names of a circle


class Starts(NamedTuple):
    """How a node, or replicated node, is started: has it a process, does `up` start that, and after which others."""

    has_process: bool
    autostart: bool
    after: tuple[Name, ...]


def resolve(findings: Findings, names: Names, starts: dict[str, Starts]) -> dict[str, tuple[str, ...]]:
    """Return, for each name in `nodes:`, the nodes (replicas expanded) that it is started after."""
    waits: dict[str, list[Name]] = {}
    resolved = {}
    for name, start in starts.items():
        waits[name] = [other for other in start.after if _awaited(findings, names, starts, name, other)]
        members = (member for other in waits[name] for member in names.members[other.text])
        resolved[name] = tuple(dict.fromkeys(members))
    _find_cycles(findings, names, waits)
    return resolved


def _awaited(findings: Findings, names: Names, starts: dict[str, Starts], name: str, other: Name) -> bool:
    """Return whether the node `name` can wait for `other`; add the mistake if not."""
    if not names.find(other, "another node"):
        return False
    declared = names.declared[other.text]
    start = starts[declared.name]
    found = show(other.text)
    if declared.name == name:
        findings.add(other.place, f"expected another node, found {found} itself", "leave it out")
    elif not start.has_process:
        message = f"expected a node that says READY, found {found}, which has no role and no command"
        findings.add(other.place, message, "leave it out, it is there from the start")
    elif not start.autostart:
        message = f"expected a node that is started by itself, found {found}, which has autostart: false"
        findings.add(other.place, message)
    else:
        return True
    return False


def _find_cycles(findings: Findings, names: Names, waits: dict[str, list[Name]]) -> None:
    """Add a mistake for each way in which nodes wait for each other in a circle.

    Names in `nodes:` will do, without their replicas: all replicas wait for the same nodes, so that a circle through
    one of them is a circle through all.
    """
    done: set[str] = set()
    for first, others in waits.items():
        trail = [first]
        entries = [iter(others)]
        on_trail = {first} - done
        while trail and first not in done:
            other = next(entries[-1], None)
            if other is None:
                entries.pop()
                done.add(trail[-1])
                on_trail.discard(trail.pop())
                continue
            name = names.declared[other.text].name
            if name in on_trail:
                circle = [*trail[trail.index(name) :], name]
                if len(circle) > MAX_SHOWN:
                    circle[MAX_SHOWN // 2 : -MAX_SHOWN // 2] = ["…"]
                message = f"expected nodes that can start, found a circle: {' → '.join(circle)}"
                findings.add(other.place, message, "each waits for the next one")
            elif name not in done:
                trail.append(name)
                on_trail.add(name)
                entries.append(iter(waits[name]))
