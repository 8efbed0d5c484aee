"""`after:`: which processes are started before which; none may wait for itself."""

from collections.abc import Iterator, Sequence
from itertools import repeat

from netlab.named_tuple import NamedTuple
from netlab.paths import process_key
from netlab.topology.document.tree import show
from netlab.topology.validate.findings import Findings, Name, Place
from netlab.topology.validate.names import Declared, Names

MAX_SHOWN = 12  # names of a circle


class Start(NamedTuple):
    """How a process is started: its name, "" where that is its node's; whether by `up`; and after which others."""

    name: str
    autostart: bool
    after: tuple[Name, ...]


class Starts(NamedTuple):
    """What a node, or replicated node, starts; it may have processes of which nothing more can be said."""

    has_process: bool
    processes: tuple[Start, ...]


class Awaited(NamedTuple):
    """A process that is waited for: of these nodes, or of the same node where there are none; a name as in Start."""

    nodes: tuple[str, ...]
    name: str


After = tuple[Awaited, ...]
_Waits = dict[
    str, list[tuple[str, Place]]
]  # by the key of a process in the file, of whom it waits, and where it says so


def resolve(findings: Findings, names: Names, starts: dict[str, Starts]) -> dict[str, tuple[After, ...]]:
    """Return, for each name in `nodes:` and each of its processes, what that is started after."""
    order = _Order(findings, names, starts)
    found = {
        node: tuple(tuple(dict.fromkeys(order.awaited(names.declared[node], start))) for start in its.processes)
        for node, its in starts.items()
    }
    _find_cycles(findings, order.waits)
    return found


def expand(after: After, members: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield, for each of these nodes, the keys of what a process there is started after; the same where it can be."""

    def keys(node: str) -> tuple[str, ...]:
        found = (process_key(other, one.name or other) for one in after for other in one.nodes or (node,))
        return tuple(dict.fromkeys(found))

    if all(one.nodes for one in after):
        return repeat(keys(""), len(members))
    return map(keys, members)


class _Order:
    """Looks up who is waited for."""

    def __init__(self, findings: Findings, names: Names, starts: dict[str, Starts]) -> None:
        self._findings = findings
        self._names = names
        self._starts = starts
        self._named = {node: {start.name: start for start in its.processes} for node, its in starts.items()}
        self._called = {node: [name for name in named if name] for node, named in self._named.items()}
        self.waits: _Waits = {
            process_key(node, start.name or node): [] for node, its in starts.items() for start in its.processes
        }

    def awaited(self, own: Declared, start: Start) -> Iterator[Awaited]:
        """Yield what a process waits for, and add the mistakes of what it cannot wait for."""
        known: set[str] = set()
        for other in start.after:
            if other.text in known:
                continue
            for nodes, declared, found in self._meant(own, start, other):
                known.add(other.text)
                self.waits[_key(own, start)].append((_key(declared, found), other.place))
                yield Awaited(nodes, found.name)

    def _meant(self, own: Declared, start: Start, other: Name) -> Iterator[tuple[tuple[str, ...], Declared, Start]]:
        """Yield the nodes, () for the same one, and the process there, for each that a name means."""
        node, slash, process = other.text.partition("/")
        others = self._called[own.name]
        if not slash and (found := self._named[own.name].get(other.text)):
            yield from (((), own, one) for one in self._startable(start, other, found))
            return
        wanted = "a process of this node, or another node" if others else "another node"
        nodes = self._names.find(Name(node, other.place), wanted, others)
        if not nodes:
            return
        declared = self._names.declared[node]
        if not slash:
            yield from ((nodes, declared, one) for one in self._of_node(own, declared, other))
        elif found := self._process_of(declared, other, node, process):
            here = () if declared is own and not own.replicas else nodes
            yield from ((here, declared, one) for one in self._startable(start, other, found))

    def _of_node(self, own: Declared, declared: Declared, other: Name) -> Sequence[Start]:
        """Return all processes of a node that start by themselves; add the mistake where it has none."""
        found = show(other.text)
        its = self._starts[declared.name]
        if declared.name == own.name:
            self._findings.add(other.place, f"expected another node, found {found} itself", "leave it out")
            return ()
        if not its.has_process:
            message = f"expected a node that says READY, found {found}, which has no role and no command"
            self._findings.add(other.place, message, "leave it out, it is there from the start")
        started = [one for one in its.processes if one.autostart]
        if its.processes and not started:
            message = f"expected a node that is started by itself, found {found}, which has autostart: false"
            self._findings.add(other.place, message)
        return started

    def _process_of(self, declared: Declared, other: Name, node: str, process: str) -> Start | None:
        """Return the process that NODE/NAME means; add the mistake where there is none."""
        its = self._starts[declared.name]
        named = self._named[declared.name]
        found = named.get(process) if process else None
        found = found or (named.get("") if process == node else None)
        if not found and (its.processes or not its.has_process):
            known = [process_key(node, one.name or node) for one in its.processes]
            message = f"expected a process of {node}, found no {show(other.text)}"
            self._findings.add(other.place, message, self._findings.nearest(other.text, known) if known else "")
        return found

    def _startable(self, start: Start, other: Name, found: Start) -> Iterator[Start]:
        """Yield the process that is waited for, if it can be; add the mistake if not."""
        if found is start:
            message = f"expected another process, found {show(other.text)} itself"
            self._findings.add(other.place, message, "leave it out")
        elif not found.autostart:
            message = (
                f"expected a process that is started by itself, found {show(other.text)}, which has autostart: false"
            )
            self._findings.add(other.place, message)
        else:
            yield found


def _key(declared: Declared, start: Start) -> str:
    return process_key(declared.name, start.name or declared.name)


def _find_cycles(findings: Findings, waits: _Waits) -> None:
    """Add a mistake for each way in which processes wait for each other in a circle.

    Names in `nodes:` will do, without their replicas: all replicas wait for the same processes, or for those of their
    own, so that a circle through one of them is a circle through all.
    """
    done: set[str] = set()
    for first, others in waits.items():
        trail = [first]
        entries = [iter(others)]
        on_trail = {first} - done
        while trail and first not in done:
            name, place = next(entries[-1], ("", None))
            if place is None:
                entries.pop()
                done.add(trail[-1])
                on_trail.discard(trail.pop())
            elif name in on_trail:
                circle = [*trail[trail.index(name) :], name]
                _add_circle(findings, circle, place)
            elif name not in done:
                trail.append(name)
                on_trail.add(name)
                entries.append(iter(waits[name]))


def _add_circle(findings: Findings, circle: list[str], place: Place) -> None:
    what = "processes" if any("/" in name for name in circle) else "nodes"
    if len(circle) > MAX_SHOWN:
        circle[MAX_SHOWN // 2 : -MAX_SHOWN // 2] = ["…"]
    message = f"expected {what} that can start, found a circle: {' → '.join(circle)}"
    findings.add(place, message, "each waits for the next one")
