"""What happened in a lab with a balancer, as its packets tell it: requests, arrivals, completions. Pure.

Requests are told apart by their data alone, because a balancer may change everything else. Data may have been padded:
NUL and blanks at its end do not count. If several requests have the same data, the first that is sent belongs to the
first that arrives.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from netlab.judge.facts import Balancing
from netlab.judge.packets import UDP, Packet
from netlab.named_tuple import NamedTuple

_PADDING = b"\0 \t\r\n"
_MARKER = b"NLM1"  # of netlab's own balancer, where workers report (bpf/balancer/report.h)


class Request(NamedTuple):
    """A request that has left the client; they are numbered from 1 in the order in which they left."""

    number: int
    ns: int
    key: bytes
    packet: Packet


class Arrival(NamedTuple):
    """A packet that has come to a worker, and the request that it carries.

    `request` is None if no request has its data, and `again` says that its request has been served before.
    """

    ns: int
    worker: str
    packet: Packet
    request: Request | None
    again: bool


class Completion(NamedTuple):
    """A worker says that one of its threads is free."""

    ns: int
    worker: str


class Story(NamedTuple):
    """All of it, each in the order of time, and the arrival that serves each request, by its number."""

    facts: Balancing
    requests: list[Request]
    arrivals: list[Arrival]
    completions: list[Completion]
    served: Mapping[int, Arrival]
    until_ns: int

    @property
    def begin_ns(self) -> int:
        """When the first request was sent."""
        return self.requests[0].ns if self.requests else 0

    def ms(self, ns: int) -> str:
        """Return a moment as milliseconds since the first request."""
        return f"{(ns - self.begin_ns) / 1e6:.1f} ms"

    @property
    def lost(self) -> list[Request]:
        """The requests that no worker has got."""
        return [each for each in self.requests if each.number not in self.served]

    @property
    def stuck(self) -> set[int]:
        """Those lost ones that may still wait: nothing that was sent after them has come to a worker."""
        last = max(self.served, default=0)
        return {each.number for each in self.lost if each.number > last}

    @property
    def repeated(self) -> int:
        """How many requests have the data of another one."""
        return sum(count for count in Counter(each.key for each in self.requests).values() if count > 1)


def key_of(data: bytes) -> bytes:
    """Return data without its padding."""
    return data.rstrip(_PADDING)


def tell(packets: Iterable[Packet], facts: Balancing, until_ns: int) -> Story:
    """Sort packets into a story; `until_ns` is when watching ended."""
    ordered = sorted((each for each in packets if each.protocol == UDP), key=lambda each: each.ns)
    service = facts.addresses(facts.balancer)
    requests: list[Request] = []
    completions: list[Completion] = []
    coming: list[Packet] = []
    for packet in ordered:
        is_to_balancer = packet.leaves and packet.target in service
        if packet.node == facts.client and is_to_balancer and packet.target_port == facts.service_port:
            requests.append(Request(len(requests) + 1, packet.ns, key_of(packet.data), packet))
        elif packet.node in facts.threads and is_to_balancer and packet.target_port == facts.completion_port:
            completions.append(Completion(packet.ns, packet.node))
        elif packet.node in facts.threads and not packet.leaves:
            coming.append(packet)
    arrivals = list(_arrivals(coming, requests, facts))
    served = {each.request.number: each for each in arrivals if each.request and not each.again}
    return Story(facts, requests, arrivals, completions, served, until_ns)


def _arrivals(coming: Iterable[Packet], requests: Iterable[Request], facts: Balancing) -> Iterable[Arrival]:
    """Yield the packets that carry requests, or should: those with a request's data, or to the workers' port."""
    waiting: dict[bytes, deque[Request]] = {}
    for request in requests:
        waiting.setdefault(request.key, deque()).append(request)
    last: dict[bytes, Request] = {}
    for packet in coming:
        key = key_of(packet.data)
        if facts.reports and packet.data.startswith(_MARKER):
            continue
        if left := waiting.get(key):
            last[key] = left.popleft()
            yield Arrival(packet.ns, packet.node, packet, last[key], again=False)
        elif key in last:
            yield Arrival(packet.ns, packet.node, packet, last[key], again=True)
        elif packet.target_port == facts.worker_port:
            yield Arrival(packet.ns, packet.node, packet, None, again=False)
