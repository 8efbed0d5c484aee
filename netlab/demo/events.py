"""What the lines of logs and trace mean: the one place that knows how roles and programs word them.

A line that is none of these is no event; it stays in the timeline as it was printed.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from netlab.supervise.logs import LogLine


def seconds_in(data: str) -> float | None:
    """Return the seconds that a request's data asks for; None if it is no decimal number."""
    return float(data) if re.fullmatch(r"\d+(\.\d+)?", data) else None


# --- part B: the client -----------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """A client sends its request `number`, whose data is the seconds to sleep."""

    number: int
    target: str
    data: str
    bytes: int

    @property
    def seconds(self) -> float | None:
        """What its data asks for; None if that is no number."""
        return seconds_in(self.data)


class AskedAll(NamedTuple):
    """A client has sent all its requests."""

    requests: int
    seconds: float


class NotAsked(NamedTuple):
    """A client could not send its request `number`."""

    number: int
    why: str


# --- part B: a worker -------------------------------------------------------------------------------------------------


class Received(NamedTuple):
    """A worker's thread takes the worker's request `number` and sleeps for `seconds`."""

    number: int
    client: str
    data: str
    bytes: int
    thread: int
    seconds: float


class Refused(NamedTuple):
    """A worker's thread takes the worker's request `number`, whose data asks for nothing that it can do."""

    number: int
    client: str
    data: str
    bytes: int
    thread: int
    why: str


class Finished(NamedTuple):
    """A worker's thread has slept: `seconds` now, `thread_total` in all, and all threads together `total`."""

    number: int
    thread: int
    seconds: float
    thread_total: float
    total: float


# --- part B: the balancer, in the kernel ------------------------------------------------------------------------------


class Request(NamedTuple):
    """The balancer has received its request `number`."""

    number: int
    client: str


class Forward(NamedTuple):
    """A request leaves at once to a backend, which has `free` threads left."""

    number: int
    backend: str
    free: int


class Queue(NamedTuple):
    """A request waits; `depth` requests wait now."""

    number: int
    depth: int


class Dequeue(NamedTuple):
    """A request that has waited leaves to a backend; `depth` requests wait now."""

    number: int
    backend: str
    depth: int


class Drop(NamedTuple):
    """A request is dropped."""

    number: int
    why: str


class Completion(NamedTuple):
    """A backend's thread is free: `free` of its threads are now, and `depth` requests wait."""

    backend: str
    free: int
    depth: int


class Ignored(NamedTuple):
    """A completion that frees nothing."""

    backend: str
    why: str


# --- part A -----------------------------------------------------------------------------------------------------------


class Segment(NamedTuple):
    """The dropper has seen a segment to its port: what it is (odd, even, SYN, ACK, FIN …) and its verdict."""

    port: int
    seq: int
    bytes: int
    what: str
    verdict: str


class Connected(NamedTuple):
    """The TCP client has a connection; its first byte has the number after `isn`."""

    server: str
    client: str
    isn: int


class Unanswered(NamedTuple):
    """The TCP client's SYN was not answered."""

    attempt: int
    seq: int


class Byte(NamedTuple):
    """The TCP client sends a byte, `seconds` after the first."""

    number: int
    data: str
    seq: int
    seconds: float


class SentBytes(NamedTuple):
    """The TCP client has sent all its bytes."""

    bytes: int
    seconds: float


class Fin(NamedTuple):
    """The TCP client ends the stream."""

    seq: int


class Closed(NamedTuple):
    """Both ends of the TCP client's connection have sent a FIN and had it acknowledged."""


class Accepted(NamedTuple):
    """The TCP server has accepted a connection."""

    connection: str
    client: str


class Arrived(NamedTuple):
    """A segment with data has arrived at the TCP server, whether or not TCP may deliver it."""

    connection: str
    seq: int
    data: str
    bytes: int


class EndOfFile(NamedTuple):
    """The TCP server has read the end of a stream, after so many bytes that TCP has delivered."""

    connection: str
    bytes: int
    data: str


# --- any lab ----------------------------------------------------------------------------------------------------------


class Exited(NamedTuple):
    """A role has ended by itself."""

    code: int


class Lost(NamedTuple):
    """So many lines or segments were lost before anybody could write them down."""

    amount: int


# fmt: off
Event = (
    Asked | AskedAll | NotAsked | Received | Refused | Finished | Request | Forward | Queue | Dequeue
    | Drop | Completion | Ignored | Segment | Connected | Unanswered | Byte | SentBytes | Fin | Closed
    | Accepted | Arrived | EndOfFile | Exited | Lost
)
# fmt: on

_STRING = r'"(?:[^"\\]|\\.)*"'
_PLACES = {"N": r"(\d+)", "F": r"(\d+(?:\.\d+)?)", "S": rf"({_STRING})(?:\.\.\.)?", "W": r"(\S+)", "T": r"(.*)"}
_READERS: dict[str, Callable[[str], Any]] = {"N": int, "F": float, "S": json.loads, "W": str, "T": str}

# Stream, wording, event. In a wording `{N}` is a whole number, `{F}` any number, `{S}` a quoted string, `{W}` a word,
# `{T}` all the rest; they are the event's fields, in order. `s?` is a plural.
_WORDINGS: tuple[tuple[str, str, type[Event]], ...] = (
    ("out", "request #{N} to {W}: {S} ({N} bytes)", Asked),
    ("out", "sent {N} requests in {F} s", AskedAll),
    ("out", "request #{N} not sent: {T}", NotAsked),
    ("out", "received #{N} from {W}: {S} ({N} bytes), thread {N} sleeps {F} s", Received),
    ("out", "received #{N} from {W}: {S} ({N} bytes), thread {N} refuses: {T}", Refused),
    ("out", "finished #{N}: thread {N} slept {F} s, {F} s so far; all threads {F} s so far", Finished),
    ("trace", "request #{N} from {W}", Request),
    ("trace", "forward #{N} to {W}, free {N}", Forward),
    ("trace", "queue #{N}, depth {N}", Queue),
    ("trace", "dequeue #{N} to {W}, depth {N}", Dequeue),
    ("trace", "drop #{N}, {T}", Drop),
    ("trace", "completion from {W}, free {N}, depth {N}", Completion),
    ("trace", "completion from {W} ignored, {T}", Ignored),
    ("trace", "segment from port {N}, seq {N}, {N} bytes: {T}, {W}", Segment),
    ("out", "connected to {W} from {W}: initial sequence number {N}", Connected),
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
    ("note", "{N} lines lost here: no room for the log", Lost),
    ("lost", "{N} lines lost, {N} in all: they came too fast", Lost),
)


class _Form(NamedTuple):
    stream: str
    pattern: re.Pattern[str]
    readers: tuple[Callable[[str], Any], ...]
    event: type[Event]


def _form(stream: str, wording: str, event: type[Event]) -> _Form:
    kinds = re.findall(r"\{([NFSWT])\}", wording)
    pattern = re.sub(r"\\\{([NFSWT])\\\}", lambda found: _PLACES[found[1]], re.escape(wording)).replace(r"s\?", "s?")
    return _Form(stream, re.compile(pattern), tuple(_READERS[kind] for kind in kinds), event)


_FORMS = [_form(*wording) for wording in _WORDINGS]


def parse(line: LogLine) -> Event | None:
    """Return what a line says, None if it is no event."""
    for form in _FORMS:
        if form.stream == line.stream and (found := form.pattern.fullmatch(line.text)):
            values = [read(text) for read, text in zip(form.readers, found.groups(), strict=True)]
            event: Event = form.event(*values[: len(form.event._fields)])
            return event
    return None
