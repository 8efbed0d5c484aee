"""What `netlab top` shows, as plain rows: made of events and of looks at processes. Pure, but for the looks."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from netlab.named_tuple import NamedTuple
from netlab.observe.events import Event
from netlab.paths import node_of
from netlab.record.model import LabRecord
from netlab.supervise.client import Process

MOST_EVENTS = 2000  # that are kept
_MOST_DEPTHS = 600
MEASURED = ("rates", "counts")
_BAD_STATES = ("exited", "killed", "lost", "gone")
_TENDS_UP = ("starting", "restarting", "stopped", "paused", "not started")
GOOD, DOUBTFUL, BAD = "good", "doubtful", "bad"
_UNITS = ("", "k", "M", "G", "T")
_THOUSAND, _HUNDRED = 1000, 100
_BARS = " ▁▂▃▄▅▆▇█"


class NodeRow(NamedTuple):
    """A node: its state in words and how good that is; CPU in percent of one now, memory in bytes, of its processes."""

    node: str
    state: str
    tone: str
    cpu: float | None
    memory: int | None


class LinkRow(NamedTuple):
    """A link: both ends (node, interface), its state, and a second's packets and bits from the first end, and back."""

    ends: tuple[tuple[str, str], tuple[str, str]]
    state: str
    there: tuple[float, float]
    back: tuple[float, float]
    lost: float

    @property
    def name(self) -> str:
        """The link as its nodes, with interfaces that are not the first ones."""
        return "-".join(node if name == "eth0" else f"{node}:{name}" for node, name in self.ends)


class ProgramRow(NamedTuple):
    """A program: its verdicts a second; of a balancer also threads by backend, busy and all, and the queue's depths."""

    program: str
    per_s: Mapping[str, float]
    threads: Mapping[str, tuple[int, int]] = {}
    depths: tuple[int, ...] = ()


class Model:
    """A lab as it was told until now."""

    def __init__(self, lab: LabRecord) -> None:
        self.know(lab)
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.told = 0  # events that have happened since, but for rates
        self._begun_ns = time.monotonic_ns()
        self._rates: dict[tuple[str, str], Mapping[str, float]] = {}
        self._states: dict[tuple[str, str], str] = {}
        self._counts: dict[str, Mapping[str, Any]] = {}
        self._depths: dict[str, deque[int]] = {}
        self._processes: dict[str, Process] = {}
        self._cpu_s: dict[str, tuple[float, float, int]] = {}
        self._cpu: dict[str, float] = {}

    def know(self, lab: LabRecord) -> None:
        """Know the nodes and links that the lab has now."""
        self.lab = lab
        self._links: list[tuple[tuple[str, str], tuple[str, str]]] = []
        seen = set()
        for node, about in lab.nodes.items():
            for name, port in about.interfaces.items():
                end, other = (node, name), (port.peer, port.peer_interface)
                if other not in seen:
                    seen.add(end)
                    self._links.append((end, other))

    def hear(self, events: Iterable[Event]) -> list[Event]:
        """Take in what has happened; return what is to be shown of it, which are not the rates."""
        shown = []
        for event in events:
            fields = event.fields
            if event.kind == "rates":
                self._rates[event.node, fields["interface"]] = fields
                self._states[event.node, fields["interface"]] = fields["state"]
            elif event.kind == "counts":
                self._counts[event.source] = fields
            else:
                shown.append(event)
                if event.kind == "link":
                    self._states[event.node, fields["interface"]] = fields["state"]
        self.events.extend(shown)
        self.told += sum(event.ns >= self._begun_ns for event in shown)
        return shown

    def look(self, processes: Iterable[Process]) -> None:
        """Take in what the processes are doing, and keep the queues' depths of this moment."""
        now = time.monotonic()
        self._processes = {each.process: each for each in processes}
        for key, each in self._processes.items():
            if each.cpu_percent is None:
                self._cpu.pop(key, None)
                continue
            used_s = each.cpu_percent / _HUNDRED * (now - each.started_ns / 1e9)
            then, before_s, pid = self._cpu_s.get(key, (now, used_s, each.pid))
            self._cpu_s[key] = (now, used_s, each.pid)
            if now > then:
                self._cpu[key] = max(0.0, _HUNDRED * (used_s - before_s) / (now - then)) if pid == each.pid else 0.0
        for key, fields in self._counts.items():
            if isinstance(depth := fields.get("queue_depth"), int):
                self._depths.setdefault(key, deque(maxlen=_MOST_DEPTHS)).append(depth)

    def nodes(self) -> list[NodeRow]:
        """Return a row for each node."""
        return [self._node(node) for node in self.lab.nodes]

    def _node(self, node: str) -> NodeRow:
        its = [each for each in self._processes.values() if node_of(each.process) == node]
        if not its:
            return NodeRow(node, self.lab.nodes[node].kind, GOOD, None, None)
        state, tone = _worst(its)
        cpu = [self._cpu[each.process] for each in its if each.process in self._cpu]
        memory = [each.rss_bytes for each in its if each.rss_bytes is not None]
        return NodeRow(node, state, tone, sum(cpu) if cpu else None, sum(memory) if memory else None)

    def links(self) -> list[LinkRow]:
        """Return a row for each link."""
        return [self._link(*ends) for ends in self._links]

    def _link(self, end: tuple[str, str], other: tuple[str, str]) -> LinkRow:
        rates = [self._rates.get(each, {}) for each in (end, other)]
        states = {self._states.get(each, "up") for each in (end, other)}
        state = next((each for each in ("gone", "down", "no carrier") if each in states), "up")
        (there, back) = ((of.get("tx_packets_s", 0.0), of.get("tx_bits_s", 0.0)) for of in rates)
        return LinkRow((end, other), state, there, back, sum(of.get("lost_s", 0.0) for of in rates))

    def programs(self) -> list[ProgramRow]:
        """Return a row for each program."""
        return [self._program(key) for key, _ in self.lab.programs()]

    def _program(self, key: str) -> ProgramRow:
        fields = self._counts.get(key, {})
        per_s, backends = fields.get("per_s", {}), fields.get("backends", {})
        threads = {name: (each["capacity"] - each["free"], each["capacity"]) for name, each in backends.items()}
        return ProgramRow(key, per_s, threads, tuple(self._depths.get(key, ())))


def _worst(its: list[Process]) -> tuple[str, str]:
    """Return the state that matters most of a node's processes, and how good it is."""

    def tone(each: Process) -> str:
        if each.state in _BAD_STATES:
            return GOOD if each.state == "exited" and not each.code else BAD
        return DOUBTFUL if each.state in _TENDS_UP else GOOD

    worst = max(its, key=lambda each: (GOOD, DOUBTFUL, BAD).index(tone(each)))
    code = f" {worst.code}" if worst.state in ("exited", "killed") else ""
    return f"{worst.state}{code}", tone(worst)


def short(number: float) -> str:
    """Return a number in four or five characters: 0, 950, 1.2k, 34k, 5.6M."""
    unit = 0
    while number >= _THOUSAND - 0.5 and unit < len(_UNITS) - 1:
        number /= _THOUSAND
        unit += 1
    digits = f"{number:.1f}" if 0 < number < 10 and (unit or number < 1) else f"{number:.0f}"
    return f"{digits}{_UNITS[unit]}"


def size(bytes_: int | None) -> str:
    """Return a number of bytes for people, "" for none."""
    return "" if bytes_ is None else f"{short(bytes_)}B"


def curve(depths: tuple[int, ...], width: int) -> str:
    """Return the last depths as bars, the newest on the right; a depth that is not 0 is never seen as none."""
    last = depths[-width:]
    most = max(last, default=0) or 1
    return "".join(_BARS[-(-depth * (len(_BARS) - 1) // most)] for depth in last)
