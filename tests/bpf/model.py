"""The balancer in two pages of Python, written from docs/balancer.md: what becomes of a frame, and of the state."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netlab.balancer.layout import BY_REPLIES, STATE_COUNTERS
from tests.bpf import frames
from tests.bpf.claims import (
    OURS,
    claims_to_be_ours,
    contradictory,
    destination_of,
    fragment_of,
    has_addresses,
    identification_of,
    is_datagram,
    is_report,
    mapped,
    ports_of,
    refused_by,
    source_of,
    stranger,
)
from tests.bpf.rig import COMPLETION, DROP, LB_MAC, PASS, REDIRECT, SERVICE, backend

LONGEST = 1514  # bytes of a frame that the backends' links carry
HEARD = "REPORT"  # any of the reasons of one that is heard
DEAF = {"REPORT_MALFORMED", "REPORT_STRANGER", "REPORT_WRONG_INTERFACE"}  # and the others
REDIRECTED = {"FORWARDED", "COMPLETION_CARRIED", "REPLIED", "REPLY_FREED", "REPLY_FRAGMENT"}
SILENT, REFUSING, ILL = "silent", "refusing", "ill"  # why a backend gets no requests
FlowKey = tuple[bytes, int, int]  # the client's address and port, and the backend
FragmentKey = tuple[bytes, bytes, int]  # the client's address, the packet's identification, and the backend


class Expected(NamedTuple):
    """What a frame must meet: the verdict, the name it is counted by, the packet as it leaves; None for any."""

    verdict: int
    reason: str
    packet: bytes | None


class Kept(NamedTuple):
    """A request that is kept: its number, as it came, who has it, or -1, and how often it was put back."""

    number: int
    frame: bytes
    backend: int = -1
    tries: int = 0


@dataclass
class Flow:
    """What is known of requests of one client's port to one backend."""

    service: bytes = b""  # our address
    macs: bytes = b""  # of a reply: to, from
    outstanding: int = 0
    number: int = 0  # behind a numbered port: which the one request is,
    port: int | None = None  # and the client's own


class Model:
    """A balancer's state; backends are counted from 0. Of reports it knows what they are, but not what they mean."""

    def __init__(
        self,
        capacity: Sequence[int],
        policy: str,
        queue: int,
        without: Mapping[int, int] | None = None,
        report_port: int = 0,
        replies: bool = False,
        holds: str = "",
        retries: int = 3,
    ) -> None:
        """`without` says which workers, from 1, have no address of which IP version; the others are settings."""
        self.capacity, self.policy, self.size = capacity, policy, queue
        self.report_port, self.replies, self.holds, self.retries = report_port, replies, holds, retries
        self.ports = {SERVICE, *([] if replies else [COMPLETION]), *([report_port] if report_port else [])}
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
        self.number = 0  # of the last request
        self.queue: list[Kept] = []  # those that wait
        self.held: dict[int, Kept] = {}  # by number
        self.flows: dict[FlowKey, Flow] = {}
        self.reported = [False] * len(capacity)
        self.absent = [""] * len(capacity)  # why each gets no requests
        self.fragments: dict[FragmentKey, tuple[bytes, bytes]] = {}  # the MACs, and the address that was asked
        self.last = [0] * len(capacity)  # when each was chosen last, counted in choices
        self.overload = [0] * len(capacity)  # requests in hand beyond the threads
        self.overdue = [0] * len(capacity)  # completions that were taken for lost, and that may still come
        self.choices = self.row = 0
        self.holder = -1  # who was chosen last in turn, and may have `row` more
        self.counters = dict.fromkeys(STATE_COUNTERS, 0)
        self.reasons: Counter[str] = Counter()
        self.carrier_reasons: Counter[str] = Counter()

    # ---- what can be compared ----

    def waiting(self) -> list[bytes]:
        return [each.frame for each in self.queue]

    def holders(self) -> dict[int, int]:
        """Return who has each request that is held, by its number."""
        return {number: each.backend for number, each in self.held.items()}

    def outstanding(self) -> dict[FlowKey, int]:
        return {key: flow.outstanding for key, flow in self.flows.items()}

    # ---- frames that come in ----

    def arrive(self, frame: bytes, left: bytes, from_home: bool = True) -> Expected:
        """Take in a frame; `left` is what left the program, whose random choice is followed if it may be made.

        `from_home` says whether the interface is that which leads to the backends.
        """
        reason, packet = stranger(frame, self.ports), frame
        if reason == "PASS_NOT_LOCAL" and fragment_of(frame) == "later":
            reason, packet = self._fragment(frame, from_home)
        elif reason == "PASS_NOT_LOCAL" and refused_by(frame):
            reason = self._refusal(frame, from_home)
        elif reason == "PASS_NOT_LOCAL" and (is_datagram(frame) or fragment_of(frame)):
            reason = self._reply(frame, from_home)
        elif not reason and ports_of(frame)[1] != SERVICE:
            reason = self._word(frame, from_home, "COMPLETION" if ports_of(frame)[1] == COMPLETION else "REPORT")
        elif not reason and claims_to_be_ours(frame):
            reason = "PASS_MARTIAN"
        elif not reason and (6 if frames.is_ipv6(frame) else 4) in self.missing:
            reason = "PASS_OTHER_FAMILY"
        elif not reason:
            reason, packet = self._request(frame, left)
        self.reasons[reason] += 1
        return Expected(
            PASS if reason.startswith("PASS") else REDIRECT if reason in REDIRECTED else DROP, reason, packet
        )

    def _request(self, frame: bytes, left: bytes) -> tuple[str, bytes]:
        self.counters["received"] += 1
        self.number += 1
        packet = frame[: frames.length_of(frame)]
        if len(packet) > LONGEST:
            self.counters["dropped"] += 1
            return "DROP_TOO_LONG", frame
        must_wait = bool(self.queue) or not self._idle()
        is_full = len(self.queue) + len(self.held) >= self.size
        if must_wait and is_full:
            self.counters["dropped"] += 1
            return "DROP_QUEUE_FULL", frame
        if must_wait:
            self.counters["queued"] += 1
            self.queue.append(Kept(self.number, packet))
            return "QUEUED", frame
        self.counters["forwarded"] += 1
        return "FORWARDED", self._leave(Kept(self.number, packet), self._choose(left), not is_full)

    def _word(self, frame: bytes, from_home: bool, kind: str) -> str:
        index = self.index_of.get(source_of(frame), -1)
        if index < 0:
            return f"{kind}_STRANGER"
        if not from_home:
            return f"{kind}_WRONG_INTERFACE"
        if kind == "REPORT":
            return HEARD if is_report(frame) else "REPORT_MALFORMED"
        return self._completion(index)

    def _completion(self, index: int) -> str:
        if self.absent[index]:
            return "COMPLETION_LATE"
        if self._is_overloaded(index):
            return "COMPLETION_FREED"
        if not self._give(index):
            is_late = self.overdue[index] > 0
            self.overdue[index] -= is_late
            return "COMPLETION_LATE" if is_late else "COMPLETION_EXCESS"
        return "COMPLETION_CARRIED" if self.queue and self.weights[index] else "COMPLETION_FREED"

    def _reply(self, frame: bytes, from_home: bool) -> str:
        index, flow = self._flow_of(frame)
        wrong = {reason for holds, reason in contradictory(frame) if holds} - {"PASS_MARTIAN"}
        if ports_of(frame)[0] != SERVICE or not flow or not from_home or wrong:
            return "PASS_NOT_LOCAL"
        if fragment_of(frame):
            self.fragments[self._fragment_key(frame)] = flow.macs, flow.service
        if not self.replies or not answer(flow):
            return "REPLIED"
        if self.holders().get(flow.number) == index:
            self._release(flow.number)
        return "REPLY_FREED" if not self._is_overloaded(index) and self._give(index) else "REPLIED"

    def _fragment(self, frame: bytes, from_home: bool) -> tuple[str, bytes]:
        """Take in a later fragment: it follows its first one."""
        macs, service = self.fragments.get(self._fragment_key(frame), (b"", b""))
        wrong = {reason for holds, reason in contradictory(frame) if holds} & {"PASS_OTHER_HOST", "PASS_MALFORMED_IP"}
        if not macs or not from_home or wrong:
            return "PASS_NOT_LOCAL", frame
        return "REPLY_FRAGMENT", frames.moved_fragment(frame, macs, service)

    def _refusal(self, frame: bytes, from_home: bool) -> str:
        """Take in an ICMP error by which nobody listens at a backend's port."""
        index, (client, port) = self.index_of.get(source_of(frame), -1), refused_by(frame) or (b"", 0)
        flow = self.flows.get((mapped(client), port, index))
        wrong = {reason for holds, reason in contradictory(frame) if holds} & {"PASS_OTHER_HOST", "PASS_MALFORMED_IP"}
        if not flow or not from_home or wrong or not answer(flow):
            return "PASS_NOT_LOCAL"
        return "BACKEND_REFUSED" if self._leave_out(index, REFUSING) else "REFUSED_AGAIN"

    def _leave_out(self, index: int, why: str) -> bool:
        """Let a backend have no threads, if it is not absent already."""
        if self.absent[index]:
            return False
        self.absent[index], self.free[index], self.overload[index] = why, 0, 0
        return True

    def _fragment_key(self, frame: bytes) -> FragmentKey:
        return mapped(destination_of(frame)), identification_of(frame), self.index_of.get(source_of(frame), -1)

    def _is_overloaded(self, index: int) -> bool:
        """Whether a backend had more in hand than it has threads, so that one less frees none."""
        is_overloaded = self.overload[index] > 0
        self.overload[index] -= is_overloaded
        self.counters["completions"] += is_overloaded
        return is_overloaded

    def _flow_of(self, frame: bytes) -> tuple[int, Flow | None]:
        """Return the backend that a frame is from, or -1, and the flow that it answers."""
        index = self.index_of.get(source_of(frame), -1)
        return index, self.flows.get((mapped(destination_of(frame)), ports_of(frame)[1], index))

    def believe(self, frame: bytes, free: int, overdue: int, overload: int, is_absent: bool) -> tuple[bool, bool]:
        """Believe what a report has made of its backend's free threads, and of the completions that may still come.

        Return whether it must carry, or may pass.
        """
        index = self.index_of[source_of(frame)]
        if not is_absent and self.absent[index] != ILL:  # one that is ill stays so, and an old report says nothing
            self.absent[index] = ""
        self.reported[index] = True
        self.overdue[index], self.overload[index] = overdue, overload
        enough, self.free[index] = free > (self.free[index] if self.holds else 0), free
        must_carry = enough and bool(self.queue) and bool(self.weights[index])
        return must_carry, bool(self.holds) and not must_carry

    # ---- threads and flows ----

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

    def _give(self, index: int) -> bool:
        """Let a backend have a thread more; false if it has all, or is absent."""
        if self.absent[index] or self.free[index] >= self.capacity[index]:
            return False
        self.free[index] += 1
        self.counters["completions"] += 1
        return True

    def _leave(self, one: Kept, index: int, has_room: bool = True) -> bytes:
        """Let a request leave for a backend, whose thread it takes; it is held or not, if that is to be."""
        self.free[index] -= 1
        key, port = self._key_of(one, index), ports_of(one.frame)[0]
        if self.holds == BY_REPLIES:
            self.flows[key] = Flow(number=one.number, port=port)
        flow = self.flows.setdefault(key, Flow())
        flow.service, flow.macs = destination_of(one.frame), one.frame[6:12] + frames.mac(LB_MAC)
        flow.outstanding += 1
        if self.holds and has_room:
            self.held[one.number] = one._replace(backend=index)
            self.counters["held"] += 1
        elif self.holds:
            self.counters["unheld"] += 1
        return frames.addressed(one.frame, index + 1, key[1] if key[1] != port else None)

    def _key_of(self, one: Kept, index: int) -> FlowKey:
        """Return the flow of a request: where answers tell which request they answer, each has one of its own."""
        port = numbered(one.number) if self.holds == BY_REPLIES else ports_of(one.frame)[0]
        return mapped(source_of(one.frame)), port, index

    def _release(self, number: int) -> Kept:
        self.counters["held"] -= 1
        return self.held.pop(number)

    # ---- frames on their way out ----

    def leave(self, frame: bytes) -> Expected:
        """Let a frame out: a forwarded request as it is, a reply rewritten, a carrier with the oldest that waits."""
        kind = has_addresses(frame) and fragment_of(frame)
        one = Expected(DROP, "CARRIER_MALFORMED", frame)
        if kind == "later":
            one = Expected(PASS, "", frame)
        elif is_datagram(frame) or (kind == "first" and ports_of(frame)[0] == SERVICE):
            one = Expected(*self._departure(frame))
        if one.reason:
            self.carrier_reasons[one.reason] += 1
        return one

    def _departure(self, frame: bytes) -> tuple[int, str, bytes | None]:
        is_from, is_to = (port == SERVICE for port in ports_of(frame))
        to = destination_of(frame)
        index, flow = self._flow_of(frame)
        is_reply = index >= 0 and is_from and to not in OURS and not (is_to and to in self.index_of)
        if is_to and not is_reply:
            return PASS, "", frame
        if index < 0:
            return DROP, "CARRIER_MALFORMED", frame
        if is_reply:
            sent = frames.answered(frame, flow.macs, flow.service, flow.port) if flow else frame
            return (PASS, "REPLY_SENT", sent) if flow else (DROP, "REPLY_FORGOTTEN", frame)
        if not self.queue or not self.free[index] or not self.weights[index]:
            return DROP, "CARRIER_EMPTY", None
        self.counters["dequeued"] += 1
        return PASS, "CARRIER_SENT", self._leave(self.queue.pop(0), index)

    # ---- what user space does ----

    def weigh(self, *weights: int) -> None:
        """Give the backends weights."""
        self.weights = list(weights)

    def begin(self, index: int) -> None:
        self.free[index] = self.capacity[index]
        self.absent[index], self.reported[index] = "", False

    def exclude(self, index: int) -> bool:
        """Let a backend be ill; return whether that is news."""
        is_news = self._leave_out(index, ILL)
        self.reasons.update(["BACKEND_EXCLUDED"] * is_news)
        return is_news

    def readmit(self, index: int) -> int:
        """Let a backend be well that is ill or refuses; return 1 if it is, and 2 if it has to report first."""
        if self.absent[index] not in (ILL, REFUSING):
            return 0
        if self.reported[index]:
            self.absent[index] = SILENT
            return 2
        self.absent[index], self.free[index] = "", self.capacity[index]
        self.reasons["BACKEND_READMITTED"] += 1
        return 1

    def forget(self) -> None:
        self.flows.clear()
        self.fragments.clear()

    def let_go(self, number: int, is_done: bool) -> tuple[FlowKey, int]:
        """Release a request that is held, or let it wait behind all others, unless it has been tried often enough.

        Return its flow, and 2 if it is given up, else 1.
        """
        one = self._release(number)
        key, is_spent = self._key_of(one, one.backend), not is_done and one.tries == self.retries
        if is_spent:
            self.reasons["DROP_RETRIES_SPENT"] += 1
        elif not is_done:
            self.queue.append(one._replace(backend=-1, tries=one.tries + 1))
            self.counters["retried"] += 1
        if not is_done:
            answer(self.flows.get(key, Flow()))
        return key, 1 + is_spent


def numbered(number: int) -> int:
    """Return the port from which a request leaves whose answer must tell which one it is."""
    port = 1024 + number % 31743
    return port if port != SERVICE else 1024 + 31743


def answer(flow: Flow) -> bool:
    """Take one off the requests that a flow waits for; false if it waits for none."""
    flow.outstanding -= 1
    if flow.outstanding < 0:
        flow.outstanding = 0
        return False
    return True
