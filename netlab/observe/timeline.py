"""A view of the events of a lab, as lines: what processes and programs print, and what happens to them."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence

from netlab.named_tuple import NamedTuple
from netlab.observe import events
from netlab.observe.events import Event
from netlab.observe.log_view import clock
from netlab.observe.painter import Painter
from netlab.paths import node_of, process_key
from netlab.record import named, store
from netlab.record.model import LabRecord
from netlab.supervise.log_reader import HAPPENED, OF_KERNEL

_OF_NODES = (*HAPPENED, "link", "rates")  # kinds of events that are about a node, or about the lab


class Chosen(NamedTuple):
    """Which lines are wanted: of these processes and these programs, by their keys, and when and what.

    Among the programs are also whole nodes: something can go wrong with XDP on an interface without a program.
    `since_ns` is CLOCK_MONOTONIC; `pattern` is looked for in the text.
    """

    processes: Sequence[str]
    programs: Collection[str]
    since_ns: int = 0
    pattern: re.Pattern[str] | None = None

    def has(self, line: Event) -> bool:
        """Say whether a line is wanted; that lines were lost always is, of any who may have printed them."""
        if line.stream == "lost":
            return line.ns >= self.since_ns
        if line.stream in _OF_NODES:
            nodes = {node_of(key) for key in self.processes} | {node_of(key) for key in self.programs}
            known: Collection[str] = {"", line.source} if line.node in nodes else {""}
        elif line.stream in OF_KERNEL or line.stream == "counts":
            known = self.programs
        else:
            known = self.processes
        fits = self.pattern is None or bool(self.pattern.search(line.text))
        return line.source in known and line.ns >= self.since_ns and fits


def choose(lab: LabRecord, words: Sequence[str], since_ns: int = 0, pattern: re.Pattern[str] | None = None) -> Chosen:
    """Return what is meant by NODE, with all its processes and programs, and by NODE/NAME; no words mean everything."""
    if not words:
        programs = {*(key for key, _ in lab.programs()), *lab.nodes}
        return Chosen(list(lab.logs()), programs, since_ns, pattern)
    processes: dict[str, None] = {}
    known: set[str] = set()
    for word in words:
        node, slash, name = word.partition("/")
        store.node_of(lab, node)
        meant = [key for key, each in lab.programs_of(node) if not slash or each.name == name]
        known.update(meant if slash else (*meant, node))
        if not slash or not meant or process_key(node, name) in dict(lab.processes()):
            processes.update(dict.fromkeys(named.logs(lab, word)))
    return Chosen(list(processes), known, since_ns, pattern)


def form(lab: LabRecord, style: str, paint: Painter) -> Callable[[Event], str]:
    """Return what makes a text of a line: for people, with time, process and stream, or as JSON on one line."""
    width = max((len(key) for key in (*lab.nodes, *dict(lab.processes()), *dict(lab.programs()))), default=0)
    numbers = {node: at for at, node in enumerate(lab.nodes)}
    programs = dict(lab.programs())

    def text(line: Event) -> str:
        who, stream = f"{line.source:<{width}}", f"{line.stream:<5}"
        named = paint.node(who, numbers[line.node]) if line.node in numbers else who
        kind = paint.kernel(stream) if line.stream in OF_KERNEL else stream
        return f"{clock(line.time_ns)}  {named}  {kind}  {line.text}"

    def data(line: Event) -> str:
        known = {"time_ns": line.time_ns, "monotonic_ns": line.ns, "node": line.node or None}
        whose = {"process": None if line.stream in OF_KERNEL else line.source}
        is_program = line.stream in OF_KERNEL and line.stream not in HAPPENED and line.source in programs
        of_program = {"program": line.source} if is_program else {}
        more = {"cut": True} if line.fields.get("cut") else {}
        of_fault = {"about": line.source or None} if line.stream in HAPPENED else {}
        shown = {"stream": line.stream, "text": line.text, **more}
        event = {"event": line.data} if line.kind == "event" else {"data": line.data} if line.data is not None else {}
        return json.dumps({"version": events.VERSION, **known, **whose, **of_program, **of_fault, **shown, **event})

    return data if style == "json" else text


def read(lab: LabRecord, chosen: Chosen, follow: bool = False, interval_s: float = 0.0) -> Iterator[Event]:
    """Yield the events of a lab that are wanted, in the order of time: what was printed, and what has happened.

    With `follow`, go on with what comes until the lab is removed; only root may. If the supervisor has to leave out
    lines, as this reader is too slow, an event of kind `lost` says how many. `interval_s` is as in `events.read`.
    """
    found = events.read(lab, follow=follow, interval_s=interval_s, processes=chosen.processes)
    return (event for event in found if chosen.has(event))  # a generator, which can be closed
