"""What happens in the demos: an event for each kind of line that roles and programs print (`wordings` reads them)."""

import re

from netlab.named_tuple import NamedTuple


def seconds_in(data: str) -> float | None:
    """Return the seconds that a request's data asks for; None if it is not a decimal number."""
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
        """The seconds that its data asks for; None if that is no number."""
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
    """A worker's thread takes the worker's request `number`, but cannot do what its data asks for."""

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
    """A backend's thread is free: now `free` of its threads are, and `depth` requests wait."""

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
    """So many lines or segments were lost before they could be recorded."""

    amount: int


# fmt: off
Event = (
    Asked | AskedAll | NotAsked | Received | Refused | Finished | Request | Forward | Queue | Dequeue
    | Drop | Completion | Ignored | Segment | Connected | Unanswered | Byte | SentBytes | Fin | Closed
    | Accepted | Arrived | EndOfFile | Exited | Lost
)
# fmt: on
