"""The balancer in a page of Python, written from docs/balancer.md: what becomes of a frame, and of the state."""

import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from netlab.balancer.layout import STATE_COUNTERS
from tests.bpf import frames
from tests.bpf.rig import COMPLETION, DROP, LB_MAC, LOCAL, PASS, REDIRECT, SERVICE, backend

LONGEST = 1514  # bytes of a frame that the backends' links carry
MARTIAN = {0, 127, *range(224, 256)}  # the first byte of an IPv4 source
MARTIAN_V6 = {bytes(16), bytes(15) + b"\1"}  # unspecified, loopback
MAPPED = bytes(10) + b"\xff\xff"
EXTENSIONS = {0, 43, 44, 51, 60, 135}  # hop-by-hop, routing, fragment, authentication, destination options, mobility
OURS = {frames.packed(address) for address in LOCAL}


class Expected(NamedTuple):
    """What a frame must meet: the verdict, the name it is counted by, the packet as it leaves; None for any."""

    verdict: int
    reason: str
    packet: bytes | None


def is_ip(packet: bytes) -> bool:
    """Whether what stands behind the Ethernet header is an IPv4 packet whose lengths agree with each other."""
    if len(packet) < frames.IP or packet[0] >> 4 != 4:
        return False
    return frames.IP <= (packet[0] & 15) * 4 <= int.from_bytes(packet[2:4]) <= len(packet)


def is_ipv6(packet: bytes) -> bool:
    """Whether it is an IPv6 packet that is not longer than the frame."""
    return len(packet) >= frames.IPV6 + int.from_bytes(packet[4:6]) and packet[0] >> 4 == 6


def source_of(frame: bytes) -> bytes:
    return frame[22:38] if frames.is_ipv6(frame) else frame[26:30]


def no_datagram(frame: bytes) -> Iterator[tuple[object, str]]:
    """Yield what may keep a frame from being a UDP datagram to us, in order; is it so, no later one can be asked."""
    packet, is_v6 = frame[frames.ETHERNET :], frames.is_ipv6(frame)
    yield not is_v6 and frame[12:14] != b"\x08\x00", "PASS_NOT_IP"
    yield not (is_ipv6 if is_v6 else is_ip)(packet), "PASS_MALFORMED_IP"
    if is_v6:
        yield MAPPED in (packet[8:20], packet[24:36]), "PASS_MARTIAN"
        yield packet[24:40] not in OURS, "PASS_NOT_LOCAL"
        yield packet[6] in EXTENSIONS, "PASS_IPV6_EXTENSION"
        yield packet[6] != socket.IPPROTO_UDP, "PASS_NOT_UDP"
    else:
        yield packet[16:20] not in OURS, "PASS_NOT_LOCAL"
        yield packet[9] != socket.IPPROTO_UDP, "PASS_NOT_UDP"
        yield int.from_bytes(packet[6:8]) & 0x3FFF, "PASS_FRAGMENT"
        yield packet[0] & 15 > 5, "PASS_IP_OPTIONS"
    yield frames.length_of(frame) < frames.udp_at(frame) + frames.UDP, "PASS_TRUNCATED_UDP"


def none_of_ours(frame: bytes) -> Iterator[tuple[object, str]]:
    """Yield what may keep a datagram from being a request or a completion, in order."""
    source, udp = source_of(frame), frame[frames.udp_at(frame) :]
    length, room = int.from_bytes(udp[4:6]), frames.length_of(frame) - frames.udp_at(frame)
    yield int.from_bytes(udp[2:4]) not in {SERVICE, COMPLETION}, "PASS_OTHER_PORT"
    yield not frame[0] & 1 and frame[:6] != frames.mac(LB_MAC), "PASS_OTHER_HOST"
    if frames.is_ipv6(frame):
        yield source in MARTIAN_V6 or source[0] == 0xFF, "PASS_MARTIAN"
    else:
        yield frames.checksum(frame[14:34]), "PASS_MALFORMED_IP"
        yield source[0] in MARTIAN, "PASS_MARTIAN"
    yield not frames.UDP <= length <= room, "DROP_BAD_LENGTH"
    yield frames.is_ipv6(frame) and udp[6:8] == frames.NO_CHECKSUM, "DROP_NO_CHECKSUM"


def stranger(frame: bytes) -> str:
    """Return why a frame is neither a request nor a completion, or nothing. Of several reasons the first counts."""
    reasons = (each for tell in (no_datagram, none_of_ours) for each in tell(frame))
    return next((reason for holds, reason in reasons if holds), "")


class Model:
    """A balancer's state; backends are counted from 0."""

    def __init__(
        self, capacity: Sequence[int], policy: str, queue: int, without: Mapping[int, int] | None = None
    ) -> None:
        """`without` says which workers, from 1, have no address of which IP version."""
        self.capacity, self.policy, self.queue = capacity, policy, queue
        self.free = list(capacity)
        self.weights = [1] * len(capacity)
        known = [backend(index, without=(without or {}).get(index)) for index in range(1, len(capacity) + 1)]
        self.index_of = {
            frames.packed(address): index
            for index, each in enumerate(known)
            for address in (each.ipv4, each.ipv6)
            if address
        }
        self.missing = set((without or {}).values())  # IP versions
        self.waiting: list[bytes] = []
        self.last = [0] * len(capacity)  # when each was chosen last, counted in choices
        self.choices = self.row = 0
        self.holder = -1  # who was chosen last in turn, and may have `row` more
        self.counters = dict.fromkeys(STATE_COUNTERS, 0)
        self.reasons: Counter[str] = Counter()
        self.carrier_reasons: Counter[str] = Counter()

    def arrive(self, frame: bytes, left: bytes, from_home: bool = True) -> Expected:
        """Take in a frame; `left` is what left the program, whose random choice is followed if it may be made.

        `from_home` says whether the interface is that which leads to the backends.
        """
        reason, packet = stranger(frame), frame
        if not reason and int.from_bytes(frame[frames.udp_at(frame) + 2 :][:2]) == COMPLETION:
            reason = self._complete(source_of(frame), from_home)
        elif not reason and (6 if frames.is_ipv6(frame) else 4) in self.missing:
            reason = "PASS_OTHER_FAMILY"
        elif not reason:
            reason, packet = self._request(frame, left)
        self.reasons[reason] += 1
        redirected = reason in {"FORWARDED", "COMPLETION_CARRIED"}
        return Expected(PASS if reason.startswith("PASS") else REDIRECT if redirected else DROP, reason, packet)

    def _request(self, frame: bytes, left: bytes) -> tuple[str, bytes]:
        self.counters["received"] += 1
        packet = frame[: frames.length_of(frame)]
        must_wait = bool(self.waiting) or not self._idle()
        if len(packet) > LONGEST or (must_wait and len(self.waiting) == self.queue):
            self.counters["dropped"] += 1
            return "DROP_TOO_LONG" if len(packet) > LONGEST else "DROP_QUEUE_FULL", frame
        if must_wait:
            self.counters["queued"] += 1
            self.waiting.append(packet)
            return "QUEUED", frame
        chosen = self._choose(left)
        self.free[chosen] -= 1
        self.counters["forwarded"] += 1
        return "FORWARDED", frames.addressed(frame, chosen + 1)

    def _idle(self) -> list[int]:
        """Return the backends that may get a request."""
        return [index for index, free in enumerate(self.free) if free and self.weights[index]]

    def _wanted(self, index: int) -> int:
        return self.free[index] * self.weights[index]

    def _choose(self, left: bytes) -> int:
        chosen = self._best(left)
        self.choices += 1
        self.last[chosen] = self.choices
        return chosen

    def _best(self, left: bytes) -> int:
        idle = self._idle()
        if self.policy == "random" and left[4] - 1 in idle:  # of the MAC: worker N's is 02:00:00:00:N:02
            return left[4] - 1
        if self.policy == "first-free":
            return idle[0]
        if self.policy == "most-free":
            idle = [index for index in idle if self._wanted(index) == max(map(self._wanted, idle))]
        elif 0 < self.row < self.weights[self.holder] and self.holder in idle:
            self.row -= 1
            return self.holder
        self.holder = min(idle, key=lambda index: self.last[index])
        self.row = self.weights[self.holder] - 1
        return self.holder

    def weigh(self, *weights: int) -> None:
        """Give the backends weights."""
        self.weights = list(weights)

    def _complete(self, source: bytes, from_home: bool) -> str:
        index = self.index_of.get(source, -1)
        if index < 0:
            return "COMPLETION_STRANGER"
        if not from_home:
            return "COMPLETION_WRONG_INTERFACE"
        if self.free[index] == self.capacity[index]:
            return "COMPLETION_EXCESS"
        self.free[index] += 1
        self.counters["completions"] += 1
        return "COMPLETION_CARRIED" if self.waiting and self.weights[index] else "COMPLETION_FREED"

    def leave(self, frame: bytes) -> Expected:
        """Let a frame out: a forwarded request as it is, a carrier with the oldest that waits, or not at all."""
        is_udp = not any(holds for holds, reason in no_datagram(frame) if reason != "PASS_NOT_LOCAL")
        if is_udp and int.from_bytes(frame[frames.udp_at(frame) + 2 :][:2]) == SERVICE:
            return Expected(PASS, "", frame)
        index = self.index_of.get(source_of(frame), -1) if is_udp else -1
        if index < 0:
            self.carrier_reasons["CARRIER_MALFORMED"] += 1
            return Expected(DROP, "CARRIER_MALFORMED", frame)
        if not self.waiting or not self.free[index] or not self.weights[index]:
            self.carrier_reasons["CARRIER_EMPTY"] += 1
            return Expected(DROP, "CARRIER_EMPTY", None)
        self.free[index] -= 1
        self.counters["dequeued"] += 1
        self.carrier_reasons["CARRIER_SENT"] += 1
        return Expected(PASS, "CARRIER_SENT", frames.addressed(self.waiting.pop(0), index + 1))
