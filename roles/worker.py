"""Serves requests: several threads take packets from one UDP port and sleep for the seconds that the data says.

A request's data is a decimal number, and maybe padding. Each thread prints a line when it gets one, sleeps, prints
another one with the time slept so far, and tells the balancer that it is free again, by a packet called a completion:

    received #3 from 10.0.0.1:40001: "0.25" (4 bytes), thread 2 sleeps 0.25 s
    finished #3: thread 2 slept 0.25 s, 1.5 s so far; all threads 4.75 s so far

Data that is no such number is refused (`thread 2 refuses: not a number`), and completed at once. At SIGTERM it ends at
once: `stopped: received 12, completed 10, slept 4.75 s`. Without a `balancer` it sends no completions.

With `report` it also sends reports, with each completion and five times a second (bpf/balancer/report.h): its totals,
and digests of the requests that it completed last and of those in hand, so that the balancer knows which requests it
need not keep. Among the requests there are then markers of the balancer. A marker says how many requests were sent
before it, and the worker reports how many of those have come, so that the balancer knows what was lost on the way.
"""

import os
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from typing import Any

from netlab import options
from netlab.role import beginning, count, decimal, digest, mapped, place, ready, say, shown

STAYS = True  # until it is told to end
OPTIONS: options.Options = {
    "port": {"type": "port", "default": 8080, "help": "the UDP port of the requests"},
    "threads": {"type": "integer", "default": 5, "minimum": 1, "maximum": 1000, "help": "requests served at a time"},
    "balancer": {
        "type": "endpoint",
        "help": "where completions go, as NODE:PORT or [ADDRESS]:PORT; none are sent without",
    },
    "report": {"type": "endpoint", "help": "where reports go, as NODE:PORT or [ADDRESS]:PORT; none are sent without"},
}
LONGEST_S = 3600
HEARTBEAT_S = 0.2
# A report, as in bpf/balancer/report.h: magic, received, completed, how many digests are of completed requests,
# incarnation, whether markers are read, and of the last marker: its number, the requests sent before it, and how many
# of those were received.
REPORT = struct.Struct("!4sIIIQ4I")
DIGESTS = 64  # of either kind, at most: a report must fit in any packet
NUMBERS = 1 << 32
NUMBER = re.compile(rb"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})")


def seconds_in(data: bytes) -> float:
    """Return the seconds that a request asks for; ValueError, with the reason, if a worker cannot do that."""
    text = data.strip(b" \t\r\n\0")
    if not NUMBER.fullmatch(text):
        raise ValueError("not a number")
    seconds = float(text) + 0.0  # -0 is 0
    if seconds < 0:
        raise ValueError("negative")
    if seconds > LONGEST_S:
        raise ValueError(f"longer than {LONGEST_S} s")
    return seconds


def resolve(family: int, endpoint: options.Endpoint) -> Any:
    """Return an endpoint's address for a socket of this family, IPv4 first; end the worker if there is none."""
    try:
        found = socket.getaddrinfo(*endpoint, family, socket.SOCK_DGRAM, 0, socket.AI_V4MAPPED | socket.AI_ALL)
    except (OSError, UnicodeError) as error:
        sys.exit(f"worker: cannot find {endpoint.host}: {getattr(error, 'strerror', None) or error}")
    return min((each[4] for each in found), key=lambda address: "." not in str(address[0]))


class Worker:
    """What the threads share: the socket, and the counts."""

    def __init__(self, port: int, balancer: options.Endpoint | None, report: options.Endpoint | None) -> None:
        family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # IPv4 as well
        self.balancer = resolve(family, balancer) if balancer else None
        self.report = resolve(family, report) if report else None
        self.incarnation = int.from_bytes(os.urandom(8)) or 1  # only the balancer knows it, and so may send markers
        try:
            self.socket.bind(("", port))
        except OSError as error:
            sys.exit(f"worker: cannot listen on port {port}: {error.strerror}")
        self.turn = threading.Lock()  # to read the socket: requests are numbered in the order in which they come
        self.lock = threading.Lock()  # held while printing too, so that lines and counts have the same order
        self.received = self.completed = 0
        self.marker = (0, 0, 0)  # its number, the requests sent before it, and those of them received
        self.in_hand: list[bytes] = []  # digests
        self.done: deque[bytes] = deque(maxlen=DIGESTS)
        self.slept_s = 0.0

    def serve(self, thread: int) -> None:
        """Serve one request after the other, for ever."""
        slept_s = 0.0
        while True:
            try:
                with self.turn:
                    number, seconds, known_as = self.take(thread)
            except OSError as error:  # about a packet that was sent earlier
                say(f"thread {thread}: {error.strerror}")
                continue
            time.sleep(seconds)
            slept_s += seconds
            self.finish(number, thread, seconds, slept_s, known_as)

    def take(self, thread: int) -> tuple[int, float, bytes]:
        """Wait for a request, and answer markers before it; return its number, how long to sleep, and its digest."""
        data, sender = self.socket.recvfrom(65535)
        while self.heard(data):
            data, sender = self.socket.recvfrom(65535)
        known_as = digest(mapped(sender[0]), sender[1], data)
        return *self.begin(place(sender), data, thread, known_as), known_as

    def heard(self, data: bytes) -> bool:
        """Return whether this is a marker, and answer it with a report; only the balancer knows our incarnation."""
        if not self.report or len(data) < REPORT.size or not data.startswith(b"NLM1"):
            return False
        *_, incarnation, _, number, sent, _ = REPORT.unpack_from(data)
        if incarnation != self.incarnation:
            return False
        with self.lock:
            self.marker = (number, sent, self.received % NUMBERS)
            self.tell()
        return True

    def begin(self, client: str, data: bytes, thread: int, known_as: bytes) -> tuple[int, float]:
        """Print a request; return its number, and for how long to sleep."""
        text = data.rstrip(b" ")
        about = f"from {client}: {shown(text)} ({count(len(data), 'byte')})"
        values: dict[str, float | str] = {"client": client, "data": beginning(text), "bytes": len(data)}
        verdict: dict[str, float | str]
        try:
            seconds = seconds_in(data)
            does, event, verdict = f"sleeps {decimal(seconds)} s", "Received", {"seconds": round(seconds, 6)}
        except ValueError as error:
            seconds = 0.0
            does, event, verdict = f"refuses: {error}", "Refused", {"why": str(error)}
        with self.lock:
            self.received += 1
            self.in_hand.append(known_as)
            line = f"received #{self.received} {about}, thread {thread} {does}"
            say(line, event, number=self.received, thread=thread, **values, **verdict)
            return self.received, seconds

    def finish(self, number: int, thread: int, seconds: float, slept_s: float, known_as: bytes) -> None:
        """Print the time slept so far, by this thread and by all, and tell the balancer that a thread is free."""
        about = f"#{number}: thread {thread} slept {decimal(seconds)} s, {decimal(slept_s)} s so far"
        values = {"number": number, "thread": thread, "seconds": round(seconds, 6), "thread_total": round(slept_s, 6)}
        with self.lock:
            self.completed += 1
            self.in_hand.remove(known_as)
            self.done.append(known_as)
            self.slept_s += seconds
            total = decimal(self.slept_s)
            say(f"finished {about}; all threads {total} s so far", "Finished", **values, total=round(self.slept_s, 6))
            self.send(total.encode(), self.balancer, "completion")  # the balancer does not read it
            self.tell()

    def tell(self) -> None:
        """Report the totals; the caller holds the lock, so that reports leave in the order of the counts."""
        totals = self.received % NUMBERS, self.completed % NUMBERS
        report = REPORT.pack(b"NLR1", *totals, len(self.done), self.incarnation, 1, *self.marker)
        self.send(report + b"".join((*self.done, *self.in_hand[:DIGESTS])), self.report, "report")

    def beat(self) -> None:
        """Report five times a second for ever, so that a loss is seen although nothing else happens."""
        while True:
            with self.lock:
                self.tell()
            time.sleep(HEARTBEAT_S)

    def send(self, data: bytes, to: Any, what: str) -> None:
        """Send a packet, if there is an address for it; print why it could not be sent."""
        if to:
            try:
                self.socket.sendto(data, to)
            except OSError as error:
                say(f"{what} to {place(to)} not sent: {error.strerror}")


def main() -> None:
    """Start the threads, and wait for the signal to end."""
    chosen = options.parse(OPTIONS, __doc__.partition("\n")[0])
    worker = Worker(chosen.port, chosen.balancer, chosen.report)
    endings = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    for thread in range(1, chosen.threads + 1):
        threading.Thread(target=worker.serve, args=(thread,), daemon=True).start()
    if worker.report:
        threading.Thread(target=worker.beat, daemon=True).start()
    ready()
    signal.sigwait(endings)
    say(f"stopped: received {worker.received}, completed {worker.completed}, slept {decimal(worker.slept_s)} s")
    os._exit(0)  # the threads may be asleep for an hour


if __name__ == "__main__":
    main()
