"""Lets go of the requests that the balancer holds: those that are done, and those that another backend must do.

The program keeps a request in its slot when it sends it to a backend (bpf/balancer/holding.h). An
answer that tells that it is done the program sees by itself; the backends' reports are read here. All changes are made
by the program's own code, under its lock; what is kept here can be read again from the maps, so the process may die at
any moment.
"""

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.layout import FIRST, Config, entries, key, map_of
from netlab.programs.map_values import Types, Value
from netlab.programs.maps import LoadedProgram
from netlab.role import DIGEST_BYTES, digest, mapped

LOST_NS = 1_000_000_000  # a backend that has not got a request for so long will not get it; a slow one gets it twice

_NUMBERS = 1 << 32
_IPV4 = b"\x08\x00"


class Held(NamedTuple):
    """A request at a backend, given by its index: where it is kept, when it left, and what it is.

    `client` is an IPv6 address, or an IPv4 one mapped into that; requests with the same `digest` are of the same client
    and port, and carry the same data.
    """

    slot: int
    number: int
    backend: int
    since_ns: int
    client: bytes
    port: int
    digest: bytes


class Report(NamedTuple):
    """What a worker tells: its totals, modulo 2^32, and digests of its last requests.

    The last of `done` is number `completed`; `in_hand` are all that it has received and not completed, if there are as
    many as the totals say.
    """

    received: int
    completed: int
    incarnation: int
    done: tuple[bytes, ...]
    in_hand: tuple[bytes, ...]

    def done_since(self, completed: int) -> tuple[bytes, ...] | None:
        """Return what was done after so many were completed, as far as it is told; None from an older report."""
        news = (self.completed - completed) % _NUMBERS
        if news >= _NUMBERS // 2:
            return None
        return self.done[-news:] if news else ()


def read_report(known: Types, data: bytes) -> Report | None:
    """Return what a report's data says, `struct report` and digests behind it; None if it is none."""
    fields = known.struct("report")
    if len(data) < fields.size or fields.get(data, "magic") != known.enum("magic")["REPORT_MAGIC"]:
        return None
    report = fields.of(data)
    rest = range(fields.size, len(data) - DIGEST_BYTES + 1, DIGEST_BYTES)
    digests, listed = tuple(data[at : at + DIGEST_BYTES] for at in rest), report["listed"]
    # as the program has it, for which it is no number
    incarnation = int.from_bytes(data[fields.slice("incarnation")], sys.byteorder)
    return Report(report["received"], report["completed"], incarnation, digests[:listed], digests[listed:])


def done_of(held: Iterable[Held], digests: Iterable[bytes]) -> list[Held]:
    """Return the requests that are done: for each digest one, of several that are the same the one that left first."""
    waiting: dict[bytes, list[Held]] = {}
    for each in sorted(held, key=lambda each: each.since_ns, reverse=True):
        waiting.setdefault(each.digest, []).append(each)
    return [waiting[each].pop() for each in digests if waiting.get(each)]


def lost_of(held: Iterable[Held], report: Report, before_ns: int) -> list[Held]:
    """Return the requests that left before a time and that the backend neither has in hand nor has told to be done.

    None of them when the report does not tell of all in hand.
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
    """Reports, each an IPv6 (or mapped) source address and data, in the order in which they came: after `since_ns`."""

    packets: Sequence[tuple[bytes, bytes]]
    since_ns: int


class Keeper:
    """Watches over what the program at these pins holds.

    Each look lets go of what it can, and returns how many requests were put back into the queue, to be carried.
    """

    def __init__(self, pins: str) -> None:
        self._pins = pins
        names = ("state", "held", "slots", "reporters", "marks", "backend_at")
        self._maps = {name: map_of(pins, name) for name in names}
        self._known: dict[tuple[int, int], Held] = {}  # by slot and number, so that no frame is read twice
        self._latest: dict[int, tuple[Report, int]] = {}  # of each backend, and a time after which it came

    def held(self) -> list[Held]:
        """Return all requests that are held now."""
        known, hold = layout.types(self._pins), layout.types(self._pins).struct("hold")
        fresh = known.struct("state").get(self._maps["state"].get(FIRST), "fresh")
        holds = self._maps["held"].get(FIRST)[: fresh * hold.size]
        found = []
        for slot, (backend, number, since_ns) in enumerate(hold.rows(holds, "backend", "number", "since_ns")):
            if backend and since_ns:  # both, since one that is just being written may be read in part
                one = self._known.get((slot, number))
                if not one or (one.backend, one.since_ns) != (backend - 1, since_ns):
                    one = self._read(slot, number, backend - 1, since_ns)
                found.append(one)
        self._known = {(each.slot, each.number): each for each in found}
        return found

    def put_back(self, backend: int) -> int:
        """Put back all that is held for whoever has this index; return how many."""
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
        """Take in reports.

        A backend that is silent or no longer one will do nothing that it has; one that reports has what it says; one
        that has never reported does not tell, so that nothing is held for it.
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
        """Release what a backend has done, one for each time that it was done; `held` is its own and loses those.

        Says whether the report is its latest.
        """
        if report.incarnation != self._reporter(index)["incarnation"]:
            return False  # the program has not heard it, and knows what to believe
        progress = layout.types(self._pins).struct("progress")
        mark = progress.of(self._maps["marks"].get(key(index)))
        is_known = mark["incarnation"] == report.incarnation
        news = report.done_since(mark["completed"]) if is_known else report.done
        if news is None:
            return False
        # The mark comes first: what is not released by a process that dies here is retried, and not forgotten.
        now = progress.pack(incarnation=report.incarnation, completed=report.completed)
        self._maps["marks"].set(key(index), now)
        for each in done_of(held, news):
            held.remove(each)
            self._let_go("release_run", [each])
        return True

    # --- by replies ---------------------------------------------------------------------------------------------------

    def look_at_replies(self, timeout_s: float) -> int:
        """Retry what left so long ago, or is at a backend that is absent; what is answered the program releases."""
        before_ns, held = time.monotonic_ns() - int(timeout_s * 1e9), self.held()
        gone = {index for index in {each.backend for each in held} if self._reporter(index)["silent"]}  # enum absence
        return self._retry([each for each in held if each.since_ns < before_ns or each.backend in gone])

    # --- by the program -----------------------------------------------------------------------------------------------

    def _retry(self, held: list[Held]) -> int:
        """Put requests back behind all that wait, the oldest first; return how many wait again.

        The program drops those that were put back as often as may be.
        """
        return self._let_go("requeue_run", sorted(held, key=lambda each: each.number))

    def _let_go(self, name: str, held: Iterable[Held]) -> int:
        """Have a program let go of these, where it is pinned now: a reload may have put a new build there."""
        known = layout.types(self._pins)
        let_go = known.enum("requeued")["WAITS_AGAIN"]  # release_run says as much
        with LoadedProgram.open(paths.program_pin(self._pins, name)) as program:
            return sum(program.test_run(claim(known, each)).verdict == let_go for each in held)


def claim(known: Types, held: Held) -> bytes:
    """Return the frame by which user space says which request it means: behind an Ethernet header, `struct claim`."""
    flow = known.struct("flow_key").pack(client=held.client, port=held.port, backend=held.backend)
    return bytes(layout.ETHERNET_HEADER) + known.struct("claim").pack(slot=held.slot, number=held.number, flow=flow)


class Listener:
    """Hears the reports that the program hands on to the stack."""

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
        """Return what has come since the last time; what is left then has come after it, too."""
        now_ns, since_ns, found = time.monotonic_ns(), self._since_ns, []
        with suppress(BlockingIOError):
            for _ in range(self.MOST):
                data, sender = self._socket.recvfrom(1 << 16)
                found.append((mapped(sender[0]), data))
            return Heard(found, since_ns)
        self._since_ns = now_ns  # all that had come before was read
        return Heard(found, since_ns)
