"""Requests that netlab itself sends from a client's node, for clients that cannot be told what to send."""

import json
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial

from netlab.demo.events import Asked, AskedAll, NotAsked
from netlab.kernel import syscalls
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.supervise.logs import LogLine
from netlab.words import count

_DIGITS, _MOST_DIGITS = 3, 7  # behind the point; the first is as short as netlab's own client writes them


class Cue(NamedTuple):
    """A request to be sent: when, after the first, and its data."""

    at_s: float
    data: str


def cues(count: int, interval_s: float, sleep: tuple[float, float], used: Collection[bytes]) -> list[Cue]:
    """Return requests that are sent one by one; none asks for the same time as another, or as one that is used."""
    times = distinct(sleep, used)
    return [Cue(number * interval_s, next(times)) for number in range(count)]


def distinct(sleep: tuple[float, float], used: Collection[bytes]) -> Iterator[str]:
    """Yield numbers of seconds, as text, of which no two are equal; longer ones when there are no short ones left."""
    low, high = sleep
    given = set(used)
    for digits in range(_DIGITS, _MOST_DIGITS):
        step = 10**digits
        numbers = list(range(round(low * step), round(high * step) + 1))
        random.Random(digits).shuffle(numbers)  # noqa: S311 - no secret
        for number in numbers:
            text = f"{number / step:.{digits}f}"
            if text.encode() not in given:
                given.add(text.encode())
                yield text


class Sender:
    """A thread that sends requests from a node, and keeps a line on each, as netlab's own client prints it."""

    def __init__(
        self, lab: Standing, node: str, target: tuple[str, int], script: Sequence[Cue], first: int = 1
    ) -> None:
        """`first` is the number of the first request."""
        self._node, self._target, self._script, self._first = node, target, script, first
        self.sent = 0
        self._lines: deque[LogLine] = deque()
        send = partial(syscalls.inside, lab.runtime.netns_path(node), self._send)
        self._thread = threading.Thread(target=send, name="netlab-sender", daemon=True)
        self._stops = threading.Event()
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether there is something left to send."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Send nothing more, and wait for the thread."""
        self._stops.set()
        self._thread.join()

    def lines(self) -> Iterable[LogLine]:
        """Yield the lines on what has been sent since the last call."""
        while self._lines:
            yield self._lines.popleft()

    def _send(self) -> None:
        host, port = self._target
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        begun = time.monotonic()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with socket.socket(family, socket.SOCK_DGRAM) as sending:
            for number, cue in enumerate(self._script, self._first):
                if self._stops.wait(max(begun + cue.at_s - time.monotonic(), 0.0)):
                    return
                said = f"request #{number} to {where}: {json.dumps(cue.data)} ({count(len(cue.data), 'byte')})"
                self._tell(said, Asked(number, where, cue.data, len(cue.data)))
                try:
                    sending.sendto(cue.data.encode(), self._target)
                    self.sent += 1
                except OSError as error:
                    why = str(error.strerror)
                    self._tell(f"request #{number} not sent: {why}", NotAsked(number, why))
        seconds = round(time.monotonic() - begun, 3)
        self._tell(f"sent {count(self.sent, 'request')} in {seconds:.3f} s", AskedAll(self.sent, seconds))

    def _tell(self, text: str, event: Asked | NotAsked | AskedAll) -> None:
        record = json.dumps({"event": type(event).__name__, "values": event._asdict()})
        self._lines.append(LogLine(time.monotonic_ns(), self._node, "out", text, data=record))
