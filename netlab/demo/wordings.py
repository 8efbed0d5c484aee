"""Makes events of lines of logs and trace: of a line's record, if it has one, and else by its wording.

netlab's own roles and its supervisor give records. Programs print text only, and so do roles of others. A line in no
known form is no event. It stays in the timeline as it was printed.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from netlab.demo.events import (
    Accepted,
    Arrived,
    Asked,
    AskedAll,
    Byte,
    Closed,
    Completion,
    Connected,
    Dequeue,
    Drop,
    EndOfFile,
    Event,
    Exited,
    Fin,
    Finished,
    Forward,
    Ignored,
    Lost,
    NotAsked,
    Queue,
    Received,
    Refused,
    Request,
    Segment,
    SentBytes,
    Unanswered,
)
from netlab.named_tuple import NamedTuple
from netlab.supervise.logs import LogLine

_STRING = r'"(?:[^"\\]|\\.)*"'
_PLACES = {
    "N": r"(\d{1,20})",  # 64 bits; Python does not read numbers of thousands of digits
    "F": r"(\d+(?:\.\d+)?)",
    "S": rf"({_STRING})(?:\.\.\.)?",
    "A": r"(\S+:\d{1,5})",
    "W": r"(\S+)",
    "T": r"(.*)",
}

_MOST = 10**20


def _string(quoted: str) -> str:
    """Return a quoted string; ValueError if JSON has no such string, or UTF-8 cannot write it."""
    text: str = json.loads(quoted)
    text.encode()
    return text


_READERS: dict[str, Callable[[str], Any]] = {"N": int, "F": float, "S": _string, "A": str, "W": str, "T": str}

# Stream, wording, event. In a wording `{N}` is a whole number, `{F}` any number, `{S}` a quoted string, `{A}` an
# address with a port, `{W}` a word, `{T}` all the rest. They are the event's fields, in order. `s?` is a plural.
WORDINGS: tuple[tuple[str, str, type[Event]], ...] = (
    ("out", "request #{N} to {W}: {S} ({N} bytes?)", Asked),
    ("out", "sent {N} requests? in {F} s", AskedAll),
    ("out", "request #{N} not sent: {T}", NotAsked),
    ("out", "received #{N} from {W}: {S} ({N} bytes?), thread {N} sleeps {F} s", Received),
    ("out", "received #{N} from {W}: {S} ({N} bytes?), thread {N} refuses: {T}", Refused),
    ("out", "finished #{N}: thread {N} slept {F} s, {F} s so far; all threads {F} s so far", Finished),
    ("trace", "request #{N} from {W}", Request),
    ("trace", "forward #{N} to {W}, free {N}", Forward),
    ("trace", "queue #{N}, depth {N}", Queue),
    ("trace", "dequeue #{N} to {W}, depth {N}", Dequeue),
    ("trace", "drop #{N}, {T}", Drop),
    ("trace", "completion from {W}, free {N}, depth {N}", Completion),
    ("trace", "completion from {W} ignored, {T}", Ignored),
    ("trace", "segment from port {N}, seq {N}, {N} bytes: {T}, {W}", Segment),
    ("out", "connected to {W} from {A}: initial sequence number {N}", Connected),
    ("out", "attempt {N}: the SYN with sequence number {N} is not answered; trying another number", Unanswered),
    ("out", "byte #{N} {S}: seq {N}, at {F} s", Byte),
    ("out", "sent {N} bytes? in {F} s", SentBytes),
    ("out", "FIN: seq {N}, the first that the server has not got", Fin),
    ("out", "closed: the server has acknowledged the FIN, and sent its own", Closed),
    ("out", "connection {W} from {W}", Accepted),
    ("out", "segment on {W}: seq {N}, {S} ({N} bytes?)", Arrived),
    ("out", "end of file on {W}: TCP delivered {N} bytes? in order: {S}", EndOfFile),
    ("out", "{N} segments? not seen: too many at once", Lost),
    ("note", "exited with code {N}", Exited),
    ("note", "{N} lines? lost here: no room for the log", Lost),
    ("lost", "{N} lines? lost, {N} in all: they came too fast", Lost),
)


class _Form(NamedTuple):
    stream: str
    pattern: re.Pattern[str]
    kinds: tuple[str, ...]
    event: type[Event]


def _form(stream: str, wording: str, event: type[Event]) -> _Form:
    kinds = re.findall(r"\{([NFSAWT])\}", wording)
    pattern = re.sub(r"\\\{([NFSAWT])\\\}", lambda found: _PLACES[found[1]], re.escape(wording)).replace(r"s\?", "s?")
    return _Form(stream, re.compile(pattern), tuple(kinds), event)


_FORMS = [_form(*wording) for wording in WORDINGS]
_BY_NAME = {(form.stream, form.event.__name__): form for form in _FORMS}


def parse(line: LogLine) -> Event | None:
    """Return the event of a line, None if it is none; its text is read only if no record says what it says."""
    if line.data:
        with suppress(ValueError, RecursionError):  # a role may have written what is no JSON
            event = of_record(line.stream, json.loads(line.data))
            if event is not None:
                return event
    return _of_text(line)


def of_record(stream: str, record: Any) -> Event | None:
    """Return the event of a record as roles give it and a saved play has it, or as the supervisor does; else None.

    A role's values are taken only if they could stand in the line.
    """
    match record:
        case {"event": str(name), "values": dict(values)} if form := _BY_NAME.get((stream, name)):
            fields = form.event._fields
            if values.keys() == set(fields) and all(map(_fits, form.kinds, map(values.get, fields))):
                event: Event = form.event(**values)
                return event
        case {"kind": "exited", "exit": int(code)} if stream == "note":
            return Exited(code)
        case {"count": int(amount)} if stream in ("note", "lost"):
            return Lost(amount)
    return None


def _fits(kind: str, value: Any) -> bool:
    """Say whether a value can be at a place of a wording."""
    if kind in "NF":
        types = (int,) if kind == "N" else (int, float)
        return type(value) in types and 0 <= value < _MOST
    is_text = isinstance(value, str) and not re.search("[\ud800-\udfff]", value)
    return is_text and (kind == "S" or (value.isprintable() and bool(re.fullmatch(_PLACES[kind], value))))


def _of_text(line: LogLine) -> Event | None:
    for form in _FORMS:
        if form.stream == line.stream and (found := form.pattern.fullmatch(line.text)):
            try:
                values = [_READERS[kind](text) for kind, text in zip(form.kinds, found.groups(), strict=True)]
            except ValueError:  # no string of JSON
                continue
            event: Event = form.event(*values[: len(form.event._fields)])
            return event
    return None
