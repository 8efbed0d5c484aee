"""What a case of the balancer's packet table is, and the states that packets meet."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

from scapy.packet import Packet

from tests.bpf import frames
from tests.bpf.rig import (
    DROP,
    PASS,
    REDIRECT,
    SILENT,
    TRACED,
    Build,
    Rig,
    completion,
    request,
)

VERSIONS = (4, 6)
MOST = {4: 1472, 6: 1452}  # bytes of data that fit into the MTU
FULL, FULL_BUT_ONE = -1, -2  # as many requests wait as the queue has places, and one less
BUILDS = {
    "silent": SILENT,
    "traced": TRACED,
    "queue of one": Build(queue=1),
    "queue of 1024, traced": Build(queue=1024, trace=1),
}
ORDINARY = tuple(BUILDS)
LONGER_QUEUES = tuple(name for name, build in BUILDS.items() if build.queue > 1)
ONCE = ("silent",)  # where the state takes long to come about
NO_LOAD, NO_STORE, JUMBO = "no load", "no store", "jumbo"
BUILDS |= {  # in which the kernel refuses: an offset may be 0xffff at most; a test run's frame has room for 3,520 bytes
    NO_LOAD: Build(changes=(("bpf_xdp_load_bytes(ctx, 0,", "bpf_xdp_load_bytes(ctx, 0x10000,"),)),
    NO_STORE: Build(changes=(("bpf_xdp_store_bytes(ctx, 0,", "bpf_xdp_store_bytes(ctx, 0x10000,"),)),
    JUMBO: Build(mtu=9000),
}
INTERFACES: dict[str, Callable[[Rig], AbstractContextManager[None]]] = {
    "home": lambda rig: nullcontext(),  # where the backends live, and the clients
    "not home": lambda rig: rig.backends_elsewhere(),
    "not the client's": lambda rig: rig.clients_elsewhere(),
    "not ours": lambda rig: rig.unknown_interface(),
    "without an address of IPv4": lambda rig: rig.interface_without(4),
    "neighbours": lambda rig: rig.neighbours(),
    "the first one's": lambda rig: rig.neighbours(1),
    "the first one's, and others'": lambda rig: rig.neighbours(1, crowded=3),
    "the first one's, and others' of IPv4": lambda rig: rig.neighbours(1, crowded=1),
    "without an address of IPv6": lambda rig: rig.interface_without(6),
}
EMPTY_COUNTS: Mapping[str, int] = {}


class Before(NamedTuple):
    """The state that a packet meets: what the rig is reset to, what has happened since, and what is so by that."""

    settings: Mapping[str, Any]
    steps: tuple[bytes | Callable[[Rig], object], ...] = ()  # a frame that came in, or what else was done
    free: tuple[int, ...] = ()
    depth: int = 0

    def then(
        self, *steps: bytes | Callable[[Rig], object], free: tuple[int, ...] | None = None, depth: int | None = None
    ) -> "Before":
        """Return the state after some more steps."""
        return Before(
            self.settings,
            (*self.steps, *steps),
            self.free if free is None else free,
            self.depth if depth is None else depth,
        )

    def arrange(self, rig: Rig) -> None:
        """Bring a balancer into this state."""
        rig.reset(**self.settings)
        for step in self.steps:
            if callable(step):
                step(rig)
            else:
                rig.program.test_run(step)


class Case(NamedTuple):
    """A packet, the state that it meets, and all that becomes of both."""

    name: str
    packet: bytes
    verdict: int
    reason: str  # nothing: it is not counted
    before: Before
    out: bytes  # the packet as it leaves
    free: tuple[int, ...]  # threads afterwards
    leaves: int = 0  # how many of the oldest requests no longer wait
    joins: bytes = b""  # the request that waits behind all others now
    gained: Mapping[str, int] = EMPTY_COUNTS  # what was counted in the state
    asked: int = 0  # requests more that are not answered
    program: str = "balancer"
    interface: str = "home"
    near: str = ""  # the reason that the packet only just misses
    sweep: str = ""  # the field of which this is one of several values: all of them count as one case
    builds: tuple[str, ...] = ORDINARY
    claims: tuple[int, int, bytes, int, int] | tuple[()] = ()  # the packet, as `Rig.claim` makes it; it stays


# --- states -----------------------------------------------------------------------------------------------------------


def fill(rig: Rig, but: int = 0) -> None:
    """Let as many requests wait as can, but so many."""
    for _ in range(rig.size - but):
        rig.program.test_run(WAITS)


def weighed(*weights: int) -> Callable[[Rig], None]:
    return lambda rig: rig.weigh(*weights)


REQUEST, WAITS = bytes(request()), bytes(request(b"waits"))
REPORTS = 9091
UNSET = Before({"ready": False}, (), (0, 0, 0))
IDLE = Before({}, (), (5, 5, 5))
TAKEN = IDLE.then(REQUEST, free=(4, 5, 5))
LISTENING = Before({"report_port": REPORTS}, (REQUEST,), (4, 5, 5))
BUSY = Before({"backends": 1, "capacity": 1}, (REQUEST,), (0,))
WAITING = BUSY.then(WAITS, depth=1)
FULL_QUEUE = BUSY.then(fill, depth=FULL)
LAST_PLACE = BUSY.then(partial(fill, but=1), depth=FULL_BUT_ONE)
UNDER_WAY = WAITING.then(bytes(completion(1)), free=(1,))  # a carrier is
ALL_DRAINED = Before({"backends": 2, "capacity": 1}, (weighed(0, 0),), (1, 1))
DRAINED = Before({"backends": 2, "capacity": 1}, (REQUEST, REQUEST, WAITS, weighed(0, 1)), (0, 0), 1)  # the first is


def raw(packet: Packet | bytes) -> bytes:
    return bytes(packet)


def swept(name: str, cases: Iterable[Case]) -> Iterator[Case]:
    """Say of cases that they differ in one field only."""
    for case in cases:
        yield case._replace(sweep=name)


def moved(free: tuple[int, ...], worker: int, by: int) -> tuple[int, ...]:
    return tuple(each + by * (index == worker) for index, each in enumerate(free, 1))


def whole(frame: bytes) -> bytes:
    """Return a frame of IP without what stands behind its packet."""
    return frame[: frames.length_of(frame)]


# --- kinds of cases ---------------------------------------------------------------------------------------------------


def unmoved(verdict: int, name: str, packet: Packet | bytes, reason: str, before: Before) -> Case:
    """Return a case in which nothing changes, and the packet leaves as it came."""
    frame = raw(packet)
    return Case(name, frame, verdict, reason, before, frame, before.free)


def passes(name: str, packet: Packet | bytes, reason: str, before: Before, **more: Any) -> Case:
    return unmoved(PASS, name, packet, reason, before)._replace(**more)


def drops(name: str, packet: Packet | bytes, reason: str, before: Before, **more: Any) -> Case:
    return unmoved(DROP, name, packet, reason, before)._replace(**more)


def forwards(name: str, packet: Packet | bytes, before: Before, to: int = 1, **more: Any) -> Case:
    """Return a case of a request that takes a thread of worker`to`, and leaves for it."""
    frame = raw(packet)
    counts = {"received": 1, "forwarded": 1, **more.pop("gained", {})}
    after = {"out": frames.addressed(frame, to), "free": moved(before.free, to, -1), "gained": counts, "asked": 1}
    return unmoved(REDIRECT, name, frame, "FORWARDED", before)._replace(**{**after, **more})


def queues(name: str, packet: Packet | bytes, before: Before, **more: Any) -> Case:
    """Return a case of a request that waits, without what stands behind it."""
    frame = raw(packet)
    after = {"joins": whole(frame), "gained": {"received": 1, "queued": 1}}
    return drops(name, frame, "QUEUED", before)._replace(**{**after, **more})


def refuses(name: str, packet: Packet | bytes, reason: str, before: Before, **more: Any) -> Case:
    """Return a case of a request that is counted as one, and dropped."""
    return drops(name, packet, reason, before, gained={"received": 1, "dropped": 1}, **more)


def frees(name: str, packet: Packet | bytes, before: Before, worker: int = 1, **more: Any) -> Case:
    """Return a case of a completion by which worker`worker` has a free thread more."""
    after = {"free": moved(before.free, worker, 1), "gained": {"completions": 1}}
    return drops(name, packet, "COMPLETION_FREED", before)._replace(**{**after, **more})


def returns(name: str, packet: Packet | bytes, before: Before, worker: int = 1, **more: Any) -> Case:
    """Return a case of a completion that is sent back as a carrier."""
    return frees(name, packet, before, worker, **{"verdict": REDIRECT, "reason": "COMPLETION_CARRIED", **more})


def leaves(name: str, packet: Packet | bytes, reason: str, before: Before, **more: Any) -> Case:
    """Return a case of a frame on its way out that is dropped, as it came."""
    return drops(name, packet, reason, before)._replace(**{"program": "egress_test", **more})


def carries(
    name: str, carrier: Packet | bytes, waiting: Packet | bytes, before: Before, to: int = 1, **more: Any
) -> Case:
    """Return a case of a carrier that leaves as the oldest request that waits, for a thread of worker`to`."""
    after = {
        "verdict": PASS,
        "out": frames.addressed(whole(raw(waiting)), to),
        "free": moved(before.free, to, -1),
        "leaves": 1,
        "gained": {"dequeued": 1, **more.pop("gained", {})},
        "asked": 1,
    }
    return leaves(name, carrier, "CARRIER_SENT", before)._replace(**{**after, **more})


def grown(frame: Packet | bytes) -> bytes:
    """Return a carrier as it leaves that has grown, and found nothing to carry."""
    return raw(frame)[: 14 + 1500].ljust(14 + 1500, b"\0")
