"""The balancer in a page of Python, written from docs/balancer.md: what becomes of a frame, and of the state."""

import socket
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from netlab.balancer.layout import STATE_COUNTERS
from tests.bpf import frames
from tests.bpf.rig import COMPLETION, DROP, LB_MAC, LOCAL, PASS, REDIRECT, SERVICE, backend

LONGEST = 1514  # bytes of a frame that the backends' links carry
MARTIAN = {0, 127, *range(224, 256)}
OURS = {socket.inet_aton(address) for address in LOCAL if ":" not in address}
ADDRESSES = [socket.inet_aton(backend(index).ipv4 or "") for index in range(1, 128)]


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


def stranger(frame: bytes) -> str:
    """Return why a frame is neither a request nor a completion, or nothing. Of several reasons the first counts."""
    packet = frame[frames.ETHERNET :]
    if frame[12:14] != b"\x08\x00":
        return "PASS_NOT_IP"
    if not is_ip(packet):
        return "PASS_MALFORMED_IP"
    total, udp = int.from_bytes(packet[2:4]), packet[frames.IP :]
    length = int.from_bytes(udp[4:6])
    reasons = (
        (packet[16:20] not in OURS, "PASS_NOT_LOCAL"),
        (packet[9] != socket.IPPROTO_UDP, "PASS_NOT_UDP"),
        (int.from_bytes(packet[6:8]) & 0x3FFF, "PASS_FRAGMENT"),
        (packet[0] & 15 > 5, "PASS_IP_OPTIONS"),
        (total < frames.IP + frames.UDP, "PASS_TRUNCATED_UDP"),
        (int.from_bytes(udp[2:4]) not in {SERVICE, COMPLETION}, "PASS_OTHER_PORT"),
        (not frame[0] & 1 and frame[:6] != frames.mac(LB_MAC), "PASS_OTHER_HOST"),
        (frames.checksum(packet[:20]), "PASS_MALFORMED_IP"),
        (packet[12] in MARTIAN, "PASS_MARTIAN"),
        (not frames.UDP <= length <= total - frames.IP, "DROP_BAD_LENGTH"),
    )
    return next((reason for holds, reason in reasons if holds), "")


class Model:
    """A balancer's state; backends are counted from 0."""

    def __init__(self, capacity: Sequence[int], policy: str, queue: int) -> None:
        self.capacity, self.policy, self.queue = capacity, policy, queue
        self.free = list(capacity)
        self.waiting: list[bytes] = []
        self.turn = 0
        self.counters = dict.fromkeys(STATE_COUNTERS, 0)
        self.reasons: Counter[str] = Counter()
        self.carrier_reasons: Counter[str] = Counter()

    def arrive(self, frame: bytes, left: bytes, from_home: bool = True) -> Expected:
        """Take in a frame; `left` is what left the program, whose random choice is followed if it may be made.

        `from_home` says whether the interface is that which leads to the backends.
        """
        reason, packet = stranger(frame), frame
        if not reason and int.from_bytes(frame[36:38]) == COMPLETION:
            reason = self._complete(frame[26:30], from_home)
        elif not reason:
            reason, packet = self._request(frame, left)
        self.reasons[reason] += 1
        redirected = reason in {"FORWARDED", "COMPLETION_CARRIED"}
        return Expected(PASS if reason.startswith("PASS") else REDIRECT if redirected else DROP, reason, packet)

    def _request(self, frame: bytes, left: bytes) -> tuple[str, bytes]:
        self.counters["received"] += 1
        packet = frame[: frames.ETHERNET + int.from_bytes(frame[16:18])]
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
        self.turn = chosen + 1
        self.counters["forwarded"] += 1
        return "FORWARDED", frames.addressed(frame, chosen + 1)

    def _idle(self) -> list[int]:
        return [index for index, free in enumerate(self.free) if free]

    def _choose(self, left: bytes) -> int:
        idle = self._idle()
        if self.policy == "random" and left[30:34] in [ADDRESSES[index] for index in idle]:
            return ADDRESSES.index(left[30:34])
        if self.policy == "first-free":
            return idle[0]
        if self.policy == "most-free":
            idle = [index for index in idle if self.free[index] == max(self.free)]
        return min(idle, key=lambda index: (index - self.turn) % len(self.free))

    def _complete(self, source: bytes, from_home: bool) -> str:
        index = ADDRESSES.index(source) if source in ADDRESSES[: len(self.free)] else -1
        if index < 0:
            return "COMPLETION_STRANGER"
        if not from_home:
            return "COMPLETION_WRONG_INTERFACE"
        if self.free[index] == self.capacity[index]:
            return "COMPLETION_EXCESS"
        self.free[index] += 1
        self.counters["completions"] += 1
        return "COMPLETION_CARRIED" if self.waiting else "COMPLETION_FREED"

    def leave(self, frame: bytes) -> Expected:
        """Let a frame out: a forwarded request as it is, a carrier with the oldest that waits, or not at all."""
        packet = frame[frames.ETHERNET :]
        is_udp = frame[12:14] == b"\x08\x00" and is_ip(packet) and packet[9] == socket.IPPROTO_UDP
        is_udp = is_udp and not int.from_bytes(packet[6:8]) & 0x3FFF and packet[0] & 15 == frames.IP // 4
        is_udp = is_udp and int.from_bytes(packet[2:4]) >= frames.IP + frames.UDP
        if is_udp and int.from_bytes(packet[22:24]) == SERVICE:
            return Expected(PASS, "", frame)
        if not is_udp or packet[12:16] not in ADDRESSES[: len(self.free)]:
            self.carrier_reasons["CARRIER_MALFORMED"] += 1
            return Expected(DROP, "CARRIER_MALFORMED", frame)
        index = ADDRESSES.index(packet[12:16])
        if not self.waiting or not self.free[index]:
            self.carrier_reasons["CARRIER_EMPTY"] += 1
            return Expected(DROP, "CARRIER_EMPTY", None)
        self.free[index] -= 1
        self.counters["dequeued"] += 1
        self.carrier_reasons["CARRIER_SENT"] += 1
        return Expected(PASS, "CARRIER_SENT", frames.addressed(self.waiting.pop(0), index + 1))
