"""Releases the requests that the balancer holds when they are done, and puts those back that another backend must do.

The program keeps a request in its slot while a backend has it (bpf/balancer/holding.h). The program itself sees an
answer by which the request is done; the backends' reports are read here. Only the program's own code changes the state,
under its lock. What is kept here can be read again from the maps, so this process may die at any moment.
"""

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.layout import FIRST, Config, entries, key, map_of
from netlab.named_tuple import NamedTuple
from netlab.programs.map_values import Types, Value
from netlab.programs.maps import LoadedProgram
from netlab.role import DIGEST_BYTES, digest, mapped

LOST_NS = 1_000_000_000  # a request that a backend has not reported for so long is lost; a slow one gets it twice

_NUMBERS = 1 << 32
_IPV4 = b"\x08\x00"


class Held(NamedTuple):
    """A request that a backend has: its slot, its number, the backend's index, when it left, and what it is.

    `client` is an IPv6 address, or an IPv4 address mapped into IPv6. Requests of one client and port with the same data
    have the same `digest`.
    """

    slot: int
    number: int
    backend: int
    since_ns: int
    client: bytes
    port: int
    digest: bytes


class Report(NamedTuple):
    """A worker's report: its totals, modulo 2^32, and digests of its last requests.

    The last of `done` is request number `completed`. `in_hand` are the requests that it has received and not completed:
    all of them, if they are as many as the totals say.
    """

    received: int
    completed: int
    incarnation: int
    done: tuple[bytes, ...]
    in_hand: tuple[bytes, ...]

    def done_since(self, completed: int) -> tuple[bytes, ...] | None:
        """Return what was done after the first `completed` requests, as far as listed; None if the report is older."""
        news = (self.completed - completed) % _NUMBERS
        if news >= _NUMBERS // 2:
            return None
        return self.done[-news:] if news else ()


def read_report(known: Types, data: bytes) -> Report | None:
    """Read a report, `struct report` and then digests; None if the data is no report."""
    fields = known.struct("report")
    if len(data) < fields.size or fields.get(data, "magic") != known.enum("magic")["REPORT_MAGIC"]:
        return None
    report = fields.of(data)
    rest = range(fields.size, len(data) - DIGEST_BYTES + 1, DIGEST_BYTES)
    digests, listed = tuple(data[at : at + DIGEST_BYTES] for at in rest), report["listed"]
    # in the program's byte order: it only compares it
    incarnation = int.from_bytes(data[fields.slice("incarnation")], sys.byteorder)
    return Report(report["received"], report["completed"], incarnation, digests[:listed], digests[listed:])


def done_of(held: Iterable[Held], digests: Iterable[bytes]) -> list[Held]:
    """Return the requests that are done: one for each digest; of several equal ones, that which left first."""
    waiting: dict[bytes, list[Held]] = {}
    for each in sorted(held, key=lambda each: each.since_ns, reverse=True):
        waiting.setdefault(each.digest, []).append(each)
    return [waiting[each].pop() for each in digests if waiting.get(each)]


def lost_of(held: Iterable[Held], report: Report, before_ns: int) -> list[Held]:
    """Return the requests that left before a time, and that the backend neither has in hand nor has done.

    The result is empty if the report does not list all that is in hand.
    """
    if len(report.in_hand) != (report.received - report.completed) % _NUMBERS:
        return []
    in_hand = Counter(report.in_hand)
    lost = []
    for each in sorted(held, key=lambda each: each.since_ns):
        in_hand[each.digest] -= 1
        if in_hand[each.digest] < 0 and each.since_ns < before_ns:
            lost.append(each)
    return lost


class Heard(NamedTuple):
    """Reports that came after `since_ns`, in order: each an IPv6 (or mapped) source address, and data."""

    packets: Sequence[tuple[bytes, bytes]]
    since_ns: int


class Keeper:
    """Watches the requests that the program at these pins holds.

    Each look releases what is done, and returns how many requests were put back into the queue.
    """

    def __init__(self, pins: str) -> None:
        self._pins = pins
        names = ("state", "held", "slots", "reporters", "marks", "backend_at")
        self._maps = {name: map_of(pins, name) for name in names}
        self._known: dict[tuple[int, int], Held] = {}  # by slot and number, so that no frame is read twice
        self._latest: dict[int, tuple[Report, int]] = {}  # of each backend, and a time after which it came

    def held(self) -> list[Held]:
        """Return the requests that are held now."""
        known, hold = layout.types(self._pins), layout.types(self._pins).struct("hold")
        fresh = known.struct("state").get(self._maps["state"].get(FIRST), "fresh")
        holds = self._maps["held"].get(FIRST)[: fresh * hold.size]
        found = []
        for slot, (backend, number, since_ns) in enumerate(hold.rows(holds, "backend", "number", "since_ns")):
            if backend and since_ns:  # both: one that the program is writing may be half there
                one = self._known.get((slot, number))
                if not one or (one.backend, one.since_ns) != (backend - 1, since_ns):
                    one = self._read(slot, number, backend - 1, since_ns)
                found.append(one)
        self._known = {(each.slot, each.number): each for each in found}
        return found

    def put_back(self, backend: int) -> int:
        """Put back all requests of the backend with this index; return how many."""
        return self._retry([each for each in self.held() if each.backend == backend])

    def _read(self, slot: int, number: int, backend: int, since_ns: int) -> Held:
        frame = layout.types(self._pins).struct("slot").get(self._maps["slots"].get(key(slot)), "frame")
        ipv4 = frame[12:14] == _IPV4
        client = mapped(socket.inet_ntoa(frame[26:30])) if ipv4 else frame[22:38]
        udp = 34 if ipv4 else 54
        port, length = int.from_bytes(frame[udp : udp + 2]), int.from_bytes(frame[udp + 4 : udp + 6])
        data = frame[udp + 8 : udp + length]
        return Held(slot, number, backend, since_ns, client, port, digest(client, port, data))

    # --- by reports ---------------------------------------------------------------------------------------------------

    def look_at_reports(self, heard: Heard) -> int:
        """Read reports.

        A backend that is silent or removed will do nothing of what it has. One that reports has what it says. Of one
        that has never reported nothing is known, so nothing is held for it.
        """
        held: dict[int, list[Held]] = {}
        for each in self.held():
            held.setdefault(each.backend, []).append(each)
        for address, data in heard.packets:
            index, report = self._index_at(address), read_report(layout.types(self._pins), data)
            if index is not None and report and self._take_in(index, report, held.get(index, [])):
                self._latest[index] = report, heard.since_ns
        again: list[Held] = []
        now_ns, there = time.monotonic_ns(), entries(self._pins, Config.read(self._pins)) if held else {}
        for index, some in held.items():
            reporter = self._reporter(index)
            latest, since_ns = self._latest.get(index, (None, 0))
            if reporter["silent"] or index not in there:
                again += some
            elif not reporter["incarnation"]:
                self._let_go("release_run", (each for each in some if each.since_ns < now_ns - LOST_NS))
            elif latest and latest.incarnation == reporter["incarnation"]:
                again += lost_of(some, latest, since_ns - LOST_NS)
        return self._retry(again)

    def _index_at(self, address: bytes) -> int | None:
        try:
            return int.from_bytes(self._maps["backend_at"].get(address), sys.byteorder)
        except KeyError:
            return None

    def _reporter(self, index: int) -> Value:
        return layout.types(self._pins).struct("reporter").of(self._maps["reporters"].get(key(index)))

    def _take_in(self, index: int, report: Report, held: list[Held]) -> bool:
        """Release what a backend has done, and remove it from `held`, the requests of this backend.

        Returns whether the report is its latest.
        """
        if report.incarnation != self._reporter(index)["incarnation"]:
            return False  # the program has not accepted this report
        progress = layout.types(self._pins).struct("progress")
        mark = progress.of(self._maps["marks"].get(key(index)))
        is_known = mark["incarnation"] == report.incarnation
        news = report.done_since(mark["completed"]) if is_known else report.done
        if news is None:
            return False
        # The mark is written first: if this process dies now, requests are retried; otherwise they would be forgotten.
        now = progress.pack(incarnation=report.incarnation, completed=report.completed)
        self._maps["marks"].set(key(index), now)
        for each in done_of(held, news):
            held.remove(each)
            self._let_go("release_run", [each])
        return True

    # --- by replies ---------------------------------------------------------------------------------------------------

    def look_at_replies(self, timeout_s: float) -> int:
        """Retry what left `timeout_s` ago, or is at an absent backend; the program itself releases what is answered."""
        before_ns, held = time.monotonic_ns() - int(timeout_s * 1e9), self.held()
        gone = {index for index in {each.backend for each in held} if self._reporter(index)["silent"]}  # enum absence
        return self._retry([each for each in held if each.since_ns < before_ns or each.backend in gone])

    # --- by the program -----------------------------------------------------------------------------------------------

    def _retry(self, held: list[Held]) -> int:
        """Put requests back behind all that wait, the oldest first; return how many wait again.

        The program drops those that were put back too often.
        """
        return self._let_go("requeue_run", sorted(held, key=lambda each: each.number))

    def _let_go(self, name: str, held: Iterable[Held]) -> int:
        """Run a program for each of these; it is opened by its pin, as a reload may have put a new build there."""
        known = layout.types(self._pins)
        let_go = known.enum("requeued")["WAITS_AGAIN"]  # release_run says as much
        with LoadedProgram.open(paths.program_pin(self._pins, name)) as program:
            return sum(program.test_run(claim(known, each)).verdict == let_go for each in held)


def claim(known: Types, held: Held) -> bytes:
    """Return the frame that tells the program which request is meant: an Ethernet header and `struct claim`."""
    flow = known.struct("flow_key").pack(client=held.client, port=held.port, backend=held.backend)
    return bytes(layout.ETHERNET_HEADER) + known.struct("claim").pack(slot=held.slot, number=held.number, flow=flow)


class Listener:
    """Receives the reports that the program passes to the stack."""

    MOST = 1000  # at a time
    ROOM_BYTES = 1 << 22  # each takes a page
    _FORCE = 33  # SO_RCVBUFFORCE in socket(7)

    def __init__(self, port: int) -> None:
        """Listen on a UDP port; OSError when it is taken."""
        self._since_ns = time.monotonic_ns()
        family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, self._FORCE, self.ROOM_BYTES)
        self._socket.setblocking(False)
        self._socket.bind(("", port))

    def heard(self) -> Heard:
        """Return at most MOST reports that have come since the last call; the rest comes with the next one."""
        now_ns, since_ns, found = time.monotonic_ns(), self._since_ns, []
        with suppress(BlockingIOError):
            for _ in range(self.MOST):
                data, sender = self._socket.recvfrom(1 << 16)
                found.append((mapped(sender[0]), data))
            return Heard(found, since_ns)
        self._since_ns = now_ns  # all that had come before was read
        return Heard(found, since_ns)
