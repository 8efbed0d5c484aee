"""Plays of a lab that was never built: packets as a right balancer would leave them, to be changed by tests."""

from collections.abc import Callable, Sequence

from netlab.judge import partb
from netlab.judge.balanced import Story, tell
from netlab.judge.claim import Claim
from netlab.judge.facts import Balancing, Place
from netlab.judge.packets import UDP, Packet

MS = 1_000_000
PROBES = {"TCP to port 1 of lb": "connection refused"}
WORKERS = ("worker1", "worker2", "worker3")


def place(node: str, host: str, interface: str = "eth0") -> Place:
    return Place(node, interface, f"02:00:00:00:00:{int(host.rpartition('.')[2]):02x}", (host,))


PLACES = {
    "client": (place("client", "10.0.0.1"),),
    "lb": (place("lb", "10.0.0.2"), place("lb", "10.0.1.2", "eth1")),
    "worker1": (place("worker1", "10.0.1.11"),),
    "worker2": (place("worker2", "10.0.1.12"),),
    "worker3": (place("worker3", "10.0.1.13"),),
}


def facts(**changes: object) -> Balancing:
    """Return the facts of a lab with three workers of two threads."""
    known = Balancing("client", "lb", dict.fromkeys(WORKERS, 2), PLACES, 8080, 8080, 9090)
    return known._replace(**changes)  # type: ignore[arg-type]


def request(at_ms: float, data: bytes, port: int = 4000) -> Packet:
    """Return a request as it leaves the client."""
    mac = PLACES["client"][0].mac
    about = (round(at_ms * MS), "client", "eth0", True, mac, "02:00:00:00:00:02", UDP)
    return Packet(*about, "10.0.0.1", "10.0.0.2", port, 8080, data)


def arrival(at_ms: float, worker: str, data: bytes, port: int = 4000) -> Packet:
    """Return a request as it comes to a worker."""
    home = PLACES[worker][0]
    about = (round(at_ms * MS), worker, "eth0", False, "02:00:00:00:00:fe", home.mac, UDP)
    return Packet(*about, "10.0.0.1", home.addresses[0], port, 8080, data)


def completion(at_ms: float, worker: str, data: bytes = b"1.5") -> Packet:
    """Return what a worker says when a thread is free."""
    home = PLACES[worker][0]
    about = (round(at_ms * MS), worker, "eth0", True, home.mac, "02:00:00:00:00:fe", UDP)
    return Packet(*about, home.addresses[0], "10.0.1.2", 8080, 9090, data)


class Balancer:
    """A model of a balancer, which a test may spoil: what it decides, packet by packet.

    `choose` returns the worker for a request, "" to let it wait; `take` returns which of those that wait leaves.
    """

    def __init__(
        self,
        choose: Callable[["Balancer"], str] | None = None,
        take: Callable[[list[bytes]], int] = lambda _: 0,
    ) -> None:
        self.free = dict.fromkeys(WORKERS, 2)
        self.waiting: list[bytes] = []
        self.count = 0
        self.choose = choose or Balancer.most_free
        self.take = take

    def most_free(self) -> str:
        """Return the worker with most free threads."""
        worker = max(self.free, key=lambda name: self.free[name])
        return worker if self.free[worker] else ""

    def play(self, times: Sequence[float], sleep_ms: float, way_ms: float = 0.1) -> list[Packet]:
        """Return the packets of requests that are sent at these times, each of which sleeps for so long."""
        packets: list[Packet] = []
        events = [(at, "request", f"0.{100 + number}".encode()) for number, at in enumerate(times)]
        while events:
            events.sort(key=lambda each: each[0])
            at, what, data = events.pop(0)
            self.count += 1
            if what == "request":
                packets.append(request(at, data))
                if worker := self.choose(self):
                    self.free[worker] -= 1
                else:
                    self.waiting.append(data)
                    continue
            else:
                worker = what
                packets.append(completion(at, worker))
                self.free[worker] += 1
                if not self.waiting:
                    continue
                self.free[worker] -= 1
                data = self.waiting.pop(self.take(self.waiting))
            packets.append(arrival(at + way_ms, worker, data))
            events.append((at + way_ms + sleep_ms + self.count * 1.5, worker, b""))
        return packets


LOW = [at * 100.0 for at in range(12)]
HIGH = [*(at * 5.0 for at in range(20)), 3000.0, 3005.0]


def low_play(balancer: Balancer | None = None) -> list[Packet]:
    return (balancer or Balancer()).play(LOW, 150.0)


def high_play(balancer: Balancer | None = None) -> list[Packet]:
    return (balancer or Balancer()).play(HIGH, 400.0)


def story(packets: list[Packet], known: Balancing | None = None, until_ms: float = 10_000.0) -> Story:
    return tell(packets, known or facts(), round(until_ms * MS))


def high(packets: list[Packet], known: Balancing | None = None) -> dict[str, Claim]:
    """Return the claims on a play with more requests than threads, by id."""
    return {claim.id: claim for claim in partb.high(story(packets, known), PROBES)}


def low(packets: list[Packet], known: Balancing | None = None) -> dict[str, Claim]:
    """Return the claims on a play in which a thread is always free, by id."""
    return {claim.id: claim for claim in partb.low(story(packets, known), PROBES)}


def failed(claims: dict[str, Claim]) -> set[str]:
    """Return which claims fail, without their part's name."""
    return {name.partition(".")[2] for name, claim in claims.items() if claim.holds is False}


def open_(claims: dict[str, Claim]) -> set[str]:
    """Return which claims cannot be judged."""
    return {name.partition(".")[2] for name, claim in claims.items() if claim.holds is None}
