"""What happens in a lab, as typed events by one clock: of the past from its logs, and as it comes.

`read` yields them; timeline, demo, top and web are views of it. Kinds and fields are those of the supervisor's schema,
and a few more that are watched only while somebody reads: docs/events.md lists all.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.observe import event_lines
from netlab.observe.log_view import clock
from netlab.observe.painter import Painter
from netlab.record.model import LabRecord
from netlab.supervise import logs
from netlab.supervise.log_reader import HAPPENED, LogLine

VERSION = 1  # of the JSON lines; it changes when a kind or a field is removed or gets another meaning
_ABOUT = ("version", "kind", "ns", "time_ns", "lab", "node")
_LIFE = ("started", "ready", "late", "followed", "exited", "failed", "restarting", "exhausted", "paused", "resumed")
_BAD = ("xdp", "fault", "failed", "late", "exhausted", "overrun", "lost")
_OF_KERNEL = ("trace", "event", "counts", "rates", "link")
_NOTES = ("note", *_LIFE)


class Event(NamedTuple):
    """Something that has happened: when (CLOCK_MONOTONIC, and the same moment of the epoch), of which kind, and where.

    `node` is "" for what concerns the whole lab. `fields` are those of the kind, with a `text` for people: it is data
    as JSON has it, and the same from the past and live.
    """

    ns: int
    kind: str
    lab: str
    node: str
    fields: Mapping[str, Any]
    time_ns: int = 0

    @property
    def text(self) -> str:
        """What has happened, in words; of a line, what was printed."""
        return str(self.fields.get("text", ""))

    @property
    def source(self) -> str:
        """The process or program that tells, NODE or NODE/NAME; else the node, "" for the lab."""
        fields = self.fields
        return str(fields.get("process") or fields.get("program") or fields.get("about") or self.node)

    @property
    def stream(self) -> str:
        """The stream of a line, `note` for what happens to a process, `lost` for what is missing; else the kind."""
        if self.kind == "line":
            return str(self.fields["stream"])
        return "note" if self.kind in _NOTES else "lost" if self.kind == "overrun" else self.kind

    @property
    def data(self) -> Any:
        """What a role says of its line as data, what an event of a map contains; None for all others."""
        return self.fields.get("data")

    @property
    def monotonic_ns(self) -> int:
        """The same as `ns`."""
        return self.ns


def of(lab: LabRecord, line: LogLine) -> Event:
    """Return the event of a line of a log."""
    kind, fields = _OF.get(line.stream, _of_happening)(line, _record(line))
    return Event(line.ns, kind, lab.lab, line.node, fields, line.ns + lab.clock_offset_ns)


def form(lab: LabRecord, paint: Painter) -> Callable[[Event], str]:
    """Return what makes a text of an event, for people: time, who, kind, and what has happened."""
    width = max((len(key) for key in (*lab.nodes, *dict(lab.processes()), *dict(lab.programs()))), default=0)
    numbers = {node: at for at, node in enumerate(lab.nodes)}

    def text(event: Event) -> str:
        who, kind = f"{event.source:<{width}}", f"{event.kind:<9}"
        named = paint.node(who, numbers[event.node]) if event.node in numbers else who
        kind = paint.bad(kind) if event.kind in _BAD else paint.kernel(kind) if event.kind in _OF_KERNEL else kind
        return f"{clock(event.time_ns)}  {named}  {kind}  {event.text}"

    return text


def as_json(event: Event) -> str:
    """Return an event as one line of JSON (docs/events.md)."""
    about = {"version": VERSION, "kind": event.kind, "ns": event.ns, "time_ns": event.time_ns, "lab": event.lab}
    return json.dumps({**about, "node": event.node or None, **event.fields})


def from_json(text: str) -> Event:
    """Return the event of a line that `as_json` has written; NetlabError if it is none."""
    try:
        found = json.loads(text)
        ns, kind, lab, time_ns = found["ns"], found["kind"], found["lab"], found["time_ns"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise NetlabError(f"expected an event of netlab as a line of JSON, found {text[:60]!r}: {error}") from None
    fields = {name: value for name, value in found.items() if name not in _ABOUT}
    return Event(ns, kind, lab, found.get("node") or "", fields, time_ns)


def read(
    lab: LabRecord,
    *,
    follow: bool = False,
    since_ns: int = 0,
    interval_s: float = 0.0,
    processes: Sequence[str] | None = None,
    until: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    """Yield the events of a lab, from CLOCK_MONOTONIC `since_ns` on, in the order of time.

    With `follow`, go on with what comes, until the lab is removed or `until()`, which is asked a few times a second,
    is true; only root may. Then links are watched, too, and with `interval_s` what interfaces and programs count: kinds
    `link`, `rates` and `counts`. If this reader is too slow, an event of kind `lost` says how many are missing.
    NetlabError if the lab's supervisor has ended, and the lab has not.

    Events of one moment come in the order of `processes`, the logs that are read (all).
    """
    keys = list(lab.logs()) if processes is None else processes
    if follow:
        from netlab.observe import following

        found = following.follow(lab, keys, interval_s, until)
    else:
        found = (of(lab, line) for line in logs.read(lab.folder, keys, trace=True, events=True))
    return (event for event in found if event.ns >= since_ns)


def _record(line: LogLine) -> Any:
    try:
        return json.loads(line.data) if line.data else None
    except (ValueError, RecursionError):  # a role may have written what is none
        return None


_Found = tuple[str, dict[str, Any]]


def _of_output(line: LogLine, record: Any) -> _Found:
    more = {**({"cut": True} if line.cut else {}), **({"data": record} if record is not None else {})}
    return "line", {"process": line.source, "stream": line.stream, "text": line.text, **more}


def _of_note(line: LogLine, record: Any) -> _Found:
    about = dict(record) if isinstance(record, dict) else {}
    kind = about.pop("kind", "note")
    return kind if kind in _NOTES else "note", {**about, "process": line.source, "text": line.text}


def _of_trace(line: LogLine, _: Any) -> _Found:
    return "trace", {"program": line.source, "text": line.text}


def _of_event(line: LogLine, _: Any) -> _Found:
    told = event_lines.worded(line)
    return "event", {"program": line.source, "text": told.text, "data": _record(told)}


def _of_xdp(line: LogLine, record: Any) -> _Found:
    about = {name: value for name, value in (record or {}).items() if name != "node"}
    return "xdp", {"program": None, **about, "text": line.text} if record else {"about": line.source, "text": line.text}


def _of_loss(line: LogLine, record: Any) -> _Found:
    kind = "lost" if line.stream == "missed" else "overrun"
    return kind, {"count": 0, **(record if isinstance(record, dict) else {}), "text": line.text}


def _of_happening(line: LogLine, record: Any) -> _Found:
    about = record if isinstance(record, dict) else {}
    kind = line.stream if line.stream in HAPPENED else "note"
    return kind, {**about, "about": line.source or None, "text": line.text}


_OF: dict[str, Callable[[LogLine, Any], _Found]] = {
    "out": _of_output,
    "err": _of_output,
    "note": _of_note,
    "trace": _of_trace,
    "event": _of_event,
    "xdp": _of_xdp,
    "lost": _of_loss,
    "missed": _of_loss,
}
