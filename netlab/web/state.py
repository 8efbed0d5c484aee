"""The state of a lab at a time, from moments in their order; and what moves through it. Pure."""

import copy
from collections import Counter
from collections.abc import Iterable
from typing import Self

from netlab.demo.events import Completion, Dequeue, Drop, Event, Forward, Queue, Request, Segment
from netlab.record.model import LabRecord
from netlab.web.moments import (
    COMPLETION,
    DEQUEUED,
    DROPPED,
    PASSED,
    QUEUED,
    REQUEST,
    Counted,
    Linked,
    Moment,
    Move,
    Rate,
    Rated,
    Told,
)

_COUNTERS: dict[type, str] = {  # which counter an event raises, as `netlab stats` calls them
    Request: "received",
    Forward: "forwarded",
    Queue: "queued",
    Dequeue: "dequeued",
    Drop: "dropped",
    Completion: "completions",
}
_MOST_PENDING = 4096  # requests whose decision has not been told


class Where:
    """Which node is meant by an address or a name in a line."""

    def __init__(self, record: LabRecord) -> None:
        self._nodes = {
            each.partition("/")[0]: name
            for name, about in record.nodes.items()
            for ports in about.all_addresses().values()
            for each in ports
        }
        self._nodes.update((name, name) for name in record.nodes)
        self._peers = {
            name: {port.peer for port in about.interfaces.values() if port.peer} for name, about in record.nodes.items()
        }

    def node(self, address: str) -> str:
        """Return the node of ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; "" if it is none of the lab."""
        host = address.rpartition(":")[0].strip("[]")
        return self._nodes.get(address, "") or self._nodes.get(host, "")

    def only_peer(self, node: str) -> tuple[str, ...]:
        """Return the node that this one has links to, if there is only one."""
        peers = self._peers.get(node, set())
        return tuple(peers) if len(peers) == 1 else ()


class BalancerState:
    """A balancer: free threads and capacity by backend, how many requests wait, and its counters."""

    def __init__(self) -> None:
        self.free: dict[str, int] = {}
        self.capacity: dict[str, int] = {}
        self.depth = 0
        self.queue = 0
        self.counters: Counter[str] = Counter()
        self.is_counted = False  # by the program itself: then its counters are those, and lines add nothing
        self.clients: dict[int, str] = {}  # by the number of a request that is not decided on

    def set_free(self, backend: str, free: int) -> None:
        """Set how many threads of a backend are free."""
        self.free[backend] = free
        self.capacity[backend] = max(self.capacity.get(backend, 0), free)


class State:
    """What is so in a lab at a time."""

    def __init__(self) -> None:
        self.balancers: dict[str, BalancerState] = {}
        self.reasons: dict[str, Counter[str]] = {}
        self.rates: dict[str, Rate] = {}
        self.processes: dict[str, str] = {}
        self.links: dict[str, str] = {}  # of interfaces NODE:INTERFACE

    @classmethod
    def beginning(cls, counted: Iterable[Counted]) -> Self:
        """Return the state before anything has happened: all threads are free that are counted later."""
        state = cls()
        for each in counted:
            for key, counts in each.balancers.items():
                balancer = state.balancers.setdefault(key, BalancerState())
                balancer.free |= counts.capacity
                balancer.capacity |= counts.capacity
                balancer.queue = counts.queue_capacity
        return state

    def copy(self) -> Self:
        """Return a state of its own."""
        return copy.deepcopy(self)

    def take(self, moment: Moment, where: Where) -> Move | None:
        """Go to the state after a moment; return what moves at it."""
        match moment:
            case Told():
                if moment.life:
                    self.processes[moment.source] = moment.life
                return self._event(moment, moment.event, where) if moment.event is not None else None
            case Counted():
                self._count(moment)
            case Rated():
                self.rates[moment.end] = moment.rate
            case Linked():
                self.links[moment.end] = moment.state
        return None

    def _count(self, found: Counted) -> None:
        for key, counts in found.balancers.items():
            balancer = self.balancers.setdefault(key, BalancerState())
            balancer.free, balancer.capacity = dict(counts.free), dict(counts.capacity)
            balancer.depth, balancer.queue = counts.queue_depth, counts.queue_capacity
            balancer.counters, balancer.is_counted = Counter(counts.counters), True
        self.reasons.update((key, Counter(counts)) for key, counts in found.reasons.items())

    def _event(self, told: Told, event: Event, where: Where) -> Move | None:
        if isinstance(event, Segment):
            return self._segment(told, event, where)
        if isinstance(event, Request | Forward | Queue | Dequeue | Drop | Completion):
            balancer = self._balancer(told.source)
            balancer.counters[_COUNTERS[type(event)]] += not balancer.is_counted
            return self._decision(balancer, told, event, where)
        return None

    def _decision(
        self,
        balancer: BalancerState,
        told: Told,
        event: Request | Forward | Queue | Dequeue | Drop | Completion,
        where: Where,
    ) -> Move | None:
        at = told.node
        move: Move | None = None
        match event:
            case Request():
                balancer.clients[event.number] = where.node(event.client)
                if len(balancer.clients) > _MOST_PENDING:
                    del balancer.clients[next(iter(balancer.clients))]
            case Forward():
                balancer.set_free(event.backend, event.free)
                move = self._decided(told, event.number, (at, event.backend), REQUEST)
            case Queue():
                balancer.depth = event.depth
                move = self._decided(told, event.number, (at,), QUEUED)
            case Dequeue():
                balancer.depth = event.depth
                balancer.set_free(event.backend, max(balancer.free.get(event.backend, 1) - 1, 0))
                move = Move(told.ns, (at, event.backend), DEQUEUED, f"{event.number}")
            case Drop():
                move = self._decided(told, event.number, (at,), DROPPED)
            case Completion():
                balancer.depth = event.depth
                balancer.set_free(event.backend, event.free)
                move = Move(told.ns, (event.backend, at), COMPLETION)
        return move

    def _balancer(self, key: str) -> BalancerState:
        return self.balancers.setdefault(key, BalancerState())

    def _decided(self, told: Told, number: int, way: tuple[str, ...], kind: str) -> Move:
        client = self._balancer(told.source).clients.pop(number, "")
        return Move(told.ns, (client, *way) if client else way, kind, f"{number}")

    def _segment(self, told: Told, event: Segment, where: Where) -> Move:
        counts = self.reasons.setdefault(told.source, Counter())
        counts[event.verdict] += 1
        kind = DROPPED if "DROP" in event.verdict.upper() else PASSED
        return Move(told.ns, (*where.only_peer(told.node), told.node), kind, event.what)
