"""A play of part B: the lines of client, kernel and workers, put together. The claims are in `partb`."""

from collections import deque
from collections.abc import Mapping
from ipaddress import ip_address

from netlab.demo.events import (
    Asked,
    AskedAll,
    Completion,
    Dequeue,
    Drop,
    Finished,
    Forward,
    Ignored,
    Queue,
    Received,
    Request,
)
from netlab.demo.evidence import Evidence
from netlab.demo.history import History, replay
from netlab.named_tuple import NamedTuple
from netlab.observe.stats import BalancerStats
from netlab.record.model import LabRecord


class Play(NamedTuple):
    """A play of part B, sorted: who printed what, and the balancer's lines in the order of its decisions."""

    asked: list[Asked]
    asked_by: dict[str, list[Asked]]  # by client
    data: dict[int, str]  # by the balancer's number
    said_asked: int  # how many the clients say that they have sent
    now: BalancerStats | None  # what it has counted, if there is a balancer
    history: History
    received: dict[str, list[Received]]  # by worker
    finished: dict[str, list[Finished]]  # by worker
    sent: dict[str, list[int]]  # the balancer's numbers, by worker
    lasted_s: dict[tuple[str, int], float]  # from received to finished, by worker and the worker's number
    waited_s: dict[tuple[str, int], float]  # for a thread that was busy when the request was sent; the same keys
    threads: dict[tuple[str, int], list[Received | Finished]]  # what each thread has printed, by worker and thread


def sorted_out(evidence: Evidence) -> Play:
    """Put together what all have printed."""
    key, now = next(iter(evidence.stats.balancers.items()), ("", None))
    workers = {name: each.capacity for name, each in now.backends.items()} if now else {}
    kinds = (Request, Forward, Queue, Dequeue, Drop, Completion, Ignored)
    lines = ((line, event) for line, event in evidence.timeline if isinstance(event, kinds) and line.source == key)
    played = replay(lines, workers)
    asked_by: dict[str, list[Asked]] = {}
    for line, event in evidence.of(Asked):
        asked_by.setdefault(line.node, []).append(event)
    data = _data(played, asked_by, evidence.lab)
    sent: dict[str, list[int]] = {name: [] for name in workers}
    for step in played.steps:
        if isinstance(step.event, Forward | Dequeue):
            sent.setdefault(step.event.backend, []).append(step.event.number)
    return Play(
        asked=evidence.events(Asked),
        asked_by=asked_by,
        data=data,
        said_asked=sum(event.requests for event in evidence.events(AskedAll)),
        now=now,
        history=played,
        received={name: [event for line, event in evidence.of(Received) if line.node == name] for name in workers},
        finished={name: [event for line, event in evidence.of(Finished) if line.node == name] for name in workers},
        sent=sent,
        lasted_s=_lasted(evidence),
        waited_s=_waited(evidence, played, data),
        threads=_threads(evidence),
    )


def _data(played: History, asked_by: Mapping[str, list[Asked]], lab: LabRecord) -> dict[int, str]:
    """Return the data of each of the balancer's requests: a client's requests arrive in the order of its lines."""
    client_at = {
        address.partition("/")[0]: name
        for name, node in lab.nodes.items()
        for interface in node.interfaces.values()
        for address in interface.addresses
    }
    left = {node: iter(events) for node, events in asked_by.items()}
    found = {}
    for step in played.of(Request):
        if isinstance(step.event, Request):
            node = client_at.get(_host(step.event.client), "")
            asked = next(left.get(node, iter(())), None)
            found[step.event.number] = asked.data if asked else ""
    return found


def _host(place: str) -> str:
    """Return the address in HOST:PORT, an IPv6 address in its short form: the kernel prints all zeros."""
    host = place.rpartition(":")[0]
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:  # a user's own program may print anything
        return host


def _lasted(evidence: Evidence) -> dict[tuple[str, int], float]:
    began = {(line.node, event.number): line.ns for line, event in evidence.of(Received)}
    ended = {(line.node, event.number): line.ns for line, event in evidence.of(Finished)}
    return {each: (ended[each] - began[each]) / 1e9 for each in began.keys() & ended.keys()}


def _threads(evidence: Evidence) -> dict[tuple[str, int], list[Received | Finished]]:
    found: dict[tuple[str, int], list[Received | Finished]] = {}
    for line, event in evidence.timeline:
        if isinstance(event, Received | Finished):
            found.setdefault((line.node, event.thread), []).append(event)
    return found


def _waited(evidence: Evidence, played: History, data: Mapping[int, str]) -> dict[tuple[str, int], float]:
    """Return how long each request that a worker has received was waiting for the very thread that has taken it.

    Equal data that is sent to a worker arrives there in the same order.
    """
    sent_ns: dict[tuple[str, str], deque[int]] = {}
    for step in played.of(Forward, Dequeue):
        if isinstance(step.event, Forward | Dequeue):
            sent_ns.setdefault((step.event.backend, data.get(step.event.number, "")), deque()).append(step.line.ns)
    idle_ns: dict[tuple[str, int], int] = {}
    found = {}
    for line, event in evidence.timeline:
        if isinstance(event, Finished):
            idle_ns[line.node, event.thread] = line.ns
        elif isinstance(event, Received) and (times := sent_ns.get((line.node, event.data))):
            waited_ns = idle_ns.get((line.node, event.thread), 0) - times.popleft()
            found[line.node, event.number] = max(waited_ns, 0) / 1e9
    return found
