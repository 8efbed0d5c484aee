"""The one place that knows the balancer's maps, laid out as in bpf/balancer.c: sets them up and reads them."""

import os
import re
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netlab.errors import NetlabError
from netlab.maps import BPF_F_LOCK, DEVMAP, LoadedProgram, Map

POLICIES = ("most-free", "round-robin", "random", "first-free")  # in the order of `enum policy`
MAX_BACKENDS = 128
MAX_PAIRS = 4096
AGES = 8  # until a thread that is not heard of is free again
ETHERNET_HEADER = 14

_FIRST = struct.pack("=I", 0)
# ready, service_port, completion_port, policy, backends, longest, replies, report_port, ways, families, weights
_CONFIG = struct.Struct(f"=I2s2sIIII2s2xII{MAX_BACKENDS}I")
_BACKEND = struct.Struct("=16s16sII6s6s64s")  # ipv4, ipv6, ifindex, capacity, mac, our_mac, name
# lock, depth … age, best, chances, received … completions, expired, free_threads, then taken and sent
_STATE = struct.Struct(f"=I8I4x9Q{MAX_BACKENDS}I{MAX_BACKENDS * (AGES + 1)}I")
_FREE = 18  # where in it the free threads begin
_STATE_COUNTERS = ("received", "forwarded", "queued", "dropped", "dequeued", "completions", "expired")
_SLOT_HEADER = struct.Struct("=IIII")  # length, number, ifindex, way; the frame follows
_INTERFACE = struct.Struct("=6sH")  # mac, way
_DEVMAP_ENTRY = struct.Struct("=II")  # ifindex, fd of the egress program
_COUNT = struct.Struct("=QQ")  # packets, bytes


class Backend(NamedTuple):
    """A backend as the program knows it: where it is, how to reach it, how many threads it has.

    `ipv4` and `ipv6` are its addresses, of which it has at least one; `interface` is the balancer's own, which leads to
    it, with `our_mac`; `mtu` is the smaller of both ends'.
    """

    name: str
    ipv4: str | None
    ipv6: str | None
    mac: str
    interface: str
    our_mac: str
    mtu: int
    capacity: int


class Settings(NamedTuple):
    """What the balancer is told once, before it takes its first request; `our_macs` are by interface.

    With `replies` a backend's reply frees the thread of its request; there are no completions then. To `report_port`,
    if it is not 0, backends may tell their running totals.
    """

    service_port: int
    completion_port: int
    policy: str
    backends: tuple[Backend, ...]
    local_addresses: tuple[str, ...]
    our_macs: tuple[tuple[str, str], ...]
    replies: bool = False
    report_port: int = 0


def _map(pins: str, name: str) -> Map:
    return Map.open(f"{pins}/maps/{name}")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _address(text: str | None) -> bytes:
    """Return an address of either family as the program has it: IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2)."""
    if text is None:
        return bytes(16)
    return socket.inet_pton(socket.AF_INET6, text if ":" in text else f"::ffff:{text}")


def _families(backends: Sequence[Backend]) -> int:
    """Return the families in which every backend has an address, as bits: 1 is IPv4, 2 is IPv6."""
    return all(each.ipv4 for each in backends) | all(each.ipv6 for each in backends) << 1


def set_up(pins: str, settings: Settings) -> bool:
    """Write the settings, all threads free, and only then let the program take requests.

    Runs inside the balancer's network namespace, since a devmap's ifindex belongs to that of its writer. Does nothing,
    and returns False, when the same settings stand already: the state must not be written under traffic. NetlabError
    when others do, or when the program's slots are too small for the links.
    """
    wanted = _config(settings)
    _check_slots(pins, _CONFIG.unpack(wanted)[5])
    with _map(pins, "config") as config:
        there = config.get(_FIRST)
        if _CONFIG.unpack(there)[0]:
            if there != wanted or _capacities(pins, len(settings.backends)) != [
                (one.name, one.capacity) for one in settings.backends
            ]:
                raise NetlabError("the balancer runs with other settings; they change by netlab down and netlab up")
            return False
        _write_backends(pins, settings)
        _write_ourselves(pins, settings)
        with _map(pins, "state") as state:
            free = [backend.capacity for backend in settings.backends]
            none_taken = [0] * (MAX_BACKENDS - len(free) + MAX_BACKENDS * (AGES + 1))
            state.set(_FIRST, _STATE.pack(*[0] * _FREE, *free, *none_taken))
        config.set(_FIRST, wanted)
    return True


def _config(settings: Settings) -> bytes:
    own = (settings.service_port, settings.completion_port, settings.report_port)
    *ports, report_port = (struct.pack("!H", port) for port in own)
    longest = ETHERNET_HEADER + min(backend.mtu for backend in settings.backends)
    policy, backends = POLICIES.index(settings.policy), len(settings.backends)
    rest = settings.replies, report_port, _ways(settings), _families(settings.backends)
    weights = [1] * backends + [0] * (MAX_BACKENDS - backends)
    return _CONFIG.pack(1, *ports, policy, backends, longest, *rest, *weights)


def _ways(settings: Settings) -> int:
    """Return how many interfaces the pairs of a backend have; 0 when all pairs together would be too many."""
    ways = len(settings.our_macs) if settings.replies else 0
    return ways if ways * len(settings.backends) <= MAX_PAIRS else 0


def _check_slots(pins: str, longest: int) -> None:
    with _map(pins, "slots") as slots:
        room = slots.value_size - _SLOT_HEADER.size
    if room < longest:
        raise NetlabError(f"the queue was compiled for frames of {room} bytes; the backends' links carry {longest}")


def _capacities(pins: str, count: int) -> list[tuple[str, int]]:
    """Return name and capacity of the backends as the program has them."""
    with _map(pins, "backends") as entries:
        found = [_BACKEND.unpack(entries.get(struct.pack("=I", index))) for index in range(count)]
    return [(each[6].rstrip(b"\0").decode(), each[3]) for each in found]


def _write_ourselves(pins: str, settings: Settings) -> None:
    with _map(pins, "local_addresses") as local:
        for address in settings.local_addresses:
            local.set(_address(address), b"\1")
    with _map(pins, "interfaces") as interfaces:
        for way, (interface, mac) in enumerate(settings.our_macs):
            interfaces.set(struct.pack("=I", socket.if_nametoindex(interface)), _INTERFACE.pack(_mac(mac), way))


def _write_backends(pins: str, settings: Settings) -> None:
    with (
        _map(pins, "backends") as entries,
        _map(pins, "backend_at") as index_of,
        _map(pins, "doors") as doors,
        _map(pins, "carriers") as carriers,
        _map(pins, "pairs") as pairs,
        LoadedProgram.open(f"{pins}/programs/egress_devmap") as egress,
    ):
        ways = [socket.if_nametoindex(interface) for interface, _ in settings.our_macs]
        for ifindex in ways:
            doors.set(struct.pack("=I", ifindex), _DEVMAP_ENTRY.pack(ifindex, egress.fd))
        for index, backend in enumerate(settings.backends):
            key, addresses = struct.pack("=I", index), (_address(backend.ipv4), _address(backend.ipv6))
            ifindex = socket.if_nametoindex(backend.interface)
            macs = _mac(backend.mac), _mac(backend.our_mac)
            entries.set(key, _BACKEND.pack(*addresses, ifindex, backend.capacity, *macs, backend.name.encode()))
            for address in filter(any, addresses):
                index_of.set(address, key)
            _write_pair(carriers, index, egress, ifindex, ifindex)
            for way in range(_ways(settings)):
                if ways[way] != ifindex:
                    _write_pair(pairs, index * len(ways) + way, egress, ifindex, ways[way])


def _write_pair(into: Map, at: int, egress: LoadedProgram, first: int, last: int) -> None:
    """Put a devmap with two doors into a map of maps."""
    with Map.create(DEVMAP, 4, _DEVMAP_ENTRY.size, 2) as pair:
        for place, ifindex in enumerate((first, last)):
            pair.set(struct.pack("=I", place), _DEVMAP_ENTRY.pack(ifindex, egress.fd))
        into.set(struct.pack("=I", at), struct.pack("=I", pair.fd))


class Healer:
    """Frees the threads that were not heard of for too long, and sends queued requests to those that are free.

    The program heals itself with every completion; this is for when none comes any more. It runs in the balancer's
    network namespace, and changes the state only through the program's own code, under its lock.
    """

    def __init__(self, pins: str, backends: Sequence[Backend]) -> None:
        self._pins = pins
        self._age = LoadedProgram.open(f"{pins}/programs/age_run")
        self._watch = LoadedProgram.open(f"{pins}/programs/watch_run")
        self._kick = LoadedProgram.open(f"{pins}/programs/kick_run")
        self._frames = [_carrier(backend) for backend in backends]

    def age(self) -> int:
        """Let all taken threads grow older by one of AGES; return how many are free again, being too old."""
        return self._age.test_run(self._frames[0]).verdict

    def watch(self) -> int:
        """Take the threads of backends that have fallen silent; return how many are silent now."""
        return sum(self._watch.test_run(frame).verdict for frame in self._frames)

    def kick(self) -> int:
        """Send a carrier for each free thread that may get a request, as long as requests wait; return how many."""
        now = snapshot(self._pins)
        of_backends = zip(self._frames, now.free.items(), strict=True)
        threads = [frame for frame, (name, free) in of_backends if now.weights[name] for _ in range(free)]
        for frame in threads[: now.depth]:
            self._kick.send(frame)
        return len(threads[: now.depth])


def _carrier(backend: Backend) -> bytes:
    """Return a frame that looks like a backend's completion; where it goes to is written into it later."""
    macs, udp = _mac(backend.our_mac) + _mac(backend.mac), struct.pack("!HHHH", 0, 0, 8, 0)
    if backend.ipv4:
        address = socket.inet_aton(backend.ipv4)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, socket.IPPROTO_UDP, 0, address, address)
        return macs + b"\x08\x00" + ip + udp
    address = _address(backend.ipv6)
    return macs + b"\x86\xdd" + struct.pack("!IHBB16s16s", 6 << 28, 8, socket.IPPROTO_UDP, 64, address, address) + udp


class Count(NamedTuple):
    """Packets, and their bytes, that left by one reason."""

    packets: int
    bytes: int


class Snapshot(NamedTuple):
    """A balancer at one moment: `free` and `counters` belong together, the reasons are read right after them.

    `ready` says that it takes requests. `free` and `capacity` are threads by backend, `weights` are 0 for those that
    get no requests; `counters` has received, which is forwarded + queued + dropped, dequeued and completions, in
    requests.
    """

    ready: bool
    policy: str
    depth: int
    queue: int
    counters: dict[str, int]
    free: dict[str, int]
    capacity: dict[str, int]
    weights: dict[str, int]


def snapshot(pins: str) -> Snapshot:
    """Read a balancer's state whole, under its lock."""
    with _map(pins, "state") as state, _map(pins, "config") as config:
        ready, _, _, policy, count, *rest = _CONFIG.unpack(config.get(_FIRST))
        values = _STATE.unpack(state.get(_FIRST, BPF_F_LOCK))
    capacity = dict(_capacities(pins, count))
    with _map(pins, "slots") as slots:
        queue = slots.max_entries
    return Snapshot(
        ready=bool(ready),
        policy=POLICIES[policy],
        depth=values[1],
        queue=queue,
        counters=dict(zip(_STATE_COUNTERS, values[_FREE - 7 : _FREE], strict=True)),
        free=dict(zip(capacity, values[_FREE:], strict=False)),
        capacity=capacity,
        weights=dict(zip(capacity, rest[-MAX_BACKENDS:], strict=False)),
    )


def has_balancer(pins: str) -> bool:
    """Whether the program at these pins has the balancer's maps."""
    return all(os.path.exists(f"{pins}/maps/{name}") for name in ("state", "backends", "carriers"))


def enum_names(source: str, enum: str) -> list[str]:
    """Return the names of an enum in a program's C text, in order and without the last, which counts them.

    Raises NetlabError when the text has no such enum.
    """
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.DOTALL)
    found = re.search(rf"\benum\s+{enum}\s*\{{([^}}]*)\}}", bare)
    if not found:
        raise NetlabError(f"the program's source has no `enum {enum}`")
    return [name.split("=")[0].strip() for name in found[1].split(",") if name.strip()][:-1]


def counts(pins: str, map_name: str, names: Sequence[str]) -> Iterator[tuple[str, Count]]:
    """Yield each reason's count, summed over the CPUs."""
    with _map(pins, map_name) as reasons:
        for index, name in enumerate(names):
            values = [_COUNT.unpack(value) for value in reasons.get_per_cpu(struct.pack("=I", index))]
            yield name, Count(sum(value[0] for value in values), sum(value[1] for value in values))
