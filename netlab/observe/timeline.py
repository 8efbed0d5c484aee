"""What has happened in a lab, by one clock: what processes print, what is noted of them, and what programs print.

What was before is in the logs; what comes is told by the supervisor. Both have the same lines.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.observe import event_lines
from netlab.observe.log_view import clock
from netlab.observe.painter import Painter
from netlab.paths import node_of, process_key
from netlab.record import named, store
from netlab.record.model import LabRecord
from netlab.supervise import logs, schema, talk
from netlab.supervise.log_reader import OF_KERNEL
from netlab.supervise.logs import LogLine

_SETTLE_NS = 30_000_000  # a line is told this long after its stamp, unless the machine is overloaded
_FOREVER_S = 1e6
_OF_PROGRAMS = ("trace", "event")


class Chosen(NamedTuple):
    """Which lines are wanted: of these processes and these programs, by their keys, and when and what.

    Among the programs are also whole nodes: something can go wrong with XDP on an interface without a program.
    `since_ns` is CLOCK_MONOTONIC; `pattern` is looked for in the text.
    """

    processes: Sequence[str]
    programs: Collection[str]
    since_ns: int = 0
    pattern: re.Pattern[str] | None = None

    def has(self, line: LogLine) -> bool:
        """Say whether a line is wanted; that lines were lost always is, of any who may have printed them."""
        if line.stream == "lost":
            return line.ns >= self.since_ns
        if line.stream == "fault":
            nodes = {node_of(key) for key in self.processes} | {node_of(key) for key in self.programs}
            known: Collection[str] = {"", line.source} if line.node in nodes else {""}
        elif line.stream in OF_KERNEL:
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


def form(lab: LabRecord, style: str, paint: Painter) -> Callable[[LogLine], str]:
    """Return what makes a text of a line: for people, with time, process and stream, or as JSON on one line."""
    width = max((len(key) for key in (*lab.nodes, *dict(lab.processes()), *dict(lab.programs()))), default=0)
    numbers = {node: at for at, node in enumerate(lab.nodes)}
    programs = dict(lab.programs())

    def text(line: LogLine) -> str:
        who, stream = f"{line.source:<{width}}", f"{line.stream:<5}"
        named = paint.node(who, numbers[line.node]) if line.node in numbers else who
        kind = paint.kernel(stream) if line.stream in OF_KERNEL else stream
        return f"{clock(line.ns + lab.clock_offset_ns)}  {named}  {kind}  {line.text}"

    def data(line: LogLine) -> str:
        known = {"time_ns": line.ns + lab.clock_offset_ns, "monotonic_ns": line.ns, "node": line.node or None}
        whose = {"process": None if line.stream in OF_KERNEL else line.source}
        is_program = line.stream in OF_KERNEL and line.stream != "fault" and line.source in programs
        of_program = {"program": line.source} if is_program else {}
        more = {"cut": True} if line.cut else {}
        of_fault = {"about": line.source or None} if line.stream == "fault" else {}
        shown = {"stream": line.stream, "text": line.text, **more}
        event = {"event": json.loads(line.data)} if line.data else {}
        return json.dumps({**known, **whose, **of_program, **of_fault, **shown, **event})

    return data if style == "json" else text


def read(lab: LabRecord, chosen: Chosen, follow: bool = False) -> Iterator[LogLine]:
    """Yield the lines of a lab, in the order of time; lines of one moment in the order of the lab's processes.

    With `follow`, go on with what comes until the lab is removed; only root may. If the supervisor has to leave out
    lines, as this reader is too slow, a line of the stream `lost` says how many.
    """
    lines = _followed(lab, chosen.processes) if follow else _before(lab, chosen.processes)
    return filter(chosen.has, map(event_lines.worded, lines))


def _before(lab: LabRecord, processes: Sequence[str]) -> Iterator[LogLine]:
    return logs.read(lab.folder, processes, trace=True, events=True)


def _followed(lab: LabRecord, processes: Sequence[str]) -> Iterator[LogLine]:
    order = {key: at for at, key in enumerate(processes)}

    def place(line: LogLine) -> tuple[int, int]:
        return line.ns, order.get(line.source, len(order)) if line.stream not in OF_KERNEL else len(order)

    with logs.opened(lab.folder, processes, trace=True, events=True) as files, talk.to(lab.folder) as supervisor:
        yield from logs.merged(files)
        try:
            supervisor.ask("watch", kinds=schema.LOGGED)
        except NetlabError:
            if not supervisor.is_over:  # else the lab has just been removed, and that is the end
                raise
        waiting = list(logs.merged(files))  # it was printed meanwhile; the supervisor may tell some of it again
        told = Counter(waiting)
        while True:
            settled_ns = time.monotonic_ns() - _SETTLE_NS if not supervisor.is_over else 1 << 63
            waiting.sort(key=place)
            ready = sum(line.ns <= settled_ns for line in waiting)
            yield from waiting[:ready]
            del waiting[:ready]
            if supervisor.is_over:
                return
            wait_s = max(0.0, (waiting[0].ns - settled_ns) / 1e9) if waiting else _FOREVER_S
            for line in _told(supervisor, wait_s):
                if told[line]:
                    told[line] -= 1
                else:
                    waiting.append(line)


def _told(supervisor: talk.Talk, wait_s: float) -> Iterator[LogLine]:
    """Yield what the supervisor tells within this time: the first line, and all that has come with it."""
    for event in supervisor.heard(schema.LOGGED, wait_s):
        yield _line(event)
        break
    for event in supervisor.heard(schema.LOGGED, 0):
        yield _line(event)


def _line(event: talk.Message) -> LogLine:
    """Return an event as a line, as it is in the log."""
    ns = event["ns"]
    match event["kind"]:
        case "line" | "note":
            stream = event.get("stream", "note")
            return LogLine(ns, event["process"], stream, event["text"], event.get("cut", False))
        case "trace" | "xdp" as stream:
            return LogLine(ns, event["program"] or event["node"], stream, event["text"])
        case "fault":
            return LogLine(ns, event["about"] or "", "fault", event["text"])
        case "event":
            return event_lines.raw(event)
        case "overrun":
            return LogLine(ns, "", "lost", event["text"])
    missing = f"{event['count']} lines are missing here, as this reader was too slow: netlab timeline shows them"
    return LogLine(ns, "", "lost", missing)
