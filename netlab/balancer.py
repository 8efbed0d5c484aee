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
ETHERNET_HEADER = 14

_FIRST = struct.pack("=I", 0)
_CONFIG = struct.Struct("=I2s2sIII")  # ready, service_port, completion_port, policy, backends, longest
_BACKEND = struct.Struct("=4sII6s6s64s")  # address, ifindex, capacity, mac, our_mac, name
_STATE = struct.Struct(f"=I6I4x7Q{MAX_BACKENDS}I")  # lock, depth … number, best, received … completions, free_threads
_STATE_COUNTERS = ("received", "forwarded", "queued", "dropped", "dequeued", "completions")
_SLOT_HEADER = struct.Struct("=II")  # length, number; the frame follows
_DEVMAP_ENTRY = struct.Struct("=II")  # ifindex, fd of the egress program
_COUNT = struct.Struct("=QQ")  # packets, bytes


class Backend(NamedTuple):
    """A backend as the program knows it: where it is, how to reach it, how many threads it has.

    `interface` is the balancer's own, which leads to it, with `our_mac`; `mtu` is the smaller of both ends'.
    """

    name: str
    address: str
    mac: str
    interface: str
    our_mac: str
    mtu: int
    capacity: int


class Settings(NamedTuple):
    """What the balancer is told once, before it takes its first request; `our_macs` are by interface."""

    service_port: int
    completion_port: int
    policy: str
    backends: tuple[Backend, ...]
    local_addresses: tuple[str, ...]
    our_macs: tuple[tuple[str, str], ...]


def _map(pins: str, name: str) -> Map:
    return Map.open(f"{pins}/maps/{name}")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def set_up(pins: str, settings: Settings) -> bool:
    """Write the settings, all threads free, and only then let the program take requests.

    Runs inside the balancer's network namespace, since a devmap's ifindex belongs to that of its writer. Does nothing,
    and returns False, when the same settings stand already: the state must not be written under traffic. NetlabError
    when others do, or when the program's slots are too small for the links.
    """
    wanted = _config(settings)
    _check_slots(pins, _CONFIG.unpack(wanted)[-1])
    with _map(pins, "config") as config:
        there = config.get(_FIRST)
        if _CONFIG.unpack(there)[0]:
            if there != wanted or _capacities(pins, len(settings.backends)) != [
                (one.name, one.capacity) for one in settings.backends
            ]:
                raise NetlabError("the balancer runs with other settings; they change by netlab down and netlab up")
            return False
        _write_backends(pins, settings.backends)
        _write_ourselves(pins, settings)
        with _map(pins, "state") as state:
            free = [backend.capacity for backend in settings.backends]
            state.set(_FIRST, _STATE.pack(*[0] * 14, *free, *[0] * (MAX_BACKENDS - len(free))))
        config.set(_FIRST, wanted)
    return True


def _config(settings: Settings) -> bytes:
    ports = (struct.pack("!H", port) for port in (settings.service_port, settings.completion_port))
    longest = ETHERNET_HEADER + min(backend.mtu for backend in settings.backends)
    return _CONFIG.pack(1, *ports, POLICIES.index(settings.policy), len(settings.backends), longest)


def _check_slots(pins: str, longest: int) -> None:
    with _map(pins, "slots") as slots:
        room = slots.value_size - _SLOT_HEADER.size
    if room < longest:
        raise NetlabError(f"the queue was compiled for frames of {room} bytes; the backends' links carry {longest}")


def _capacities(pins: str, count: int) -> list[tuple[str, int]]:
    """Return name and capacity of the backends as the program has them."""
    with _map(pins, "backends") as entries:
        found = [_BACKEND.unpack(entries.get(struct.pack("=I", index))) for index in range(count)]
    return [(each[5].rstrip(b"\0").decode(), each[2]) for each in found]


def _write_ourselves(pins: str, settings: Settings) -> None:
    with _map(pins, "local_addresses") as local:
        for address in settings.local_addresses:
            local.set(socket.inet_aton(address), b"\1")
    with _map(pins, "our_macs") as macs:
        for interface, mac in settings.our_macs:
            macs.set(struct.pack("=I", socket.if_nametoindex(interface)), _mac(mac))


def _write_backends(pins: str, backends: Sequence[Backend]) -> None:
    with (
        _map(pins, "backends") as entries,
        _map(pins, "backend_at") as index_of,
        _map(pins, "doors") as doors,
        _map(pins, "carriers") as carriers,
        LoadedProgram.open(f"{pins}/programs/egress_devmap") as egress,
    ):
        for index, backend in enumerate(backends):
            key, address = struct.pack("=I", index), socket.inet_aton(backend.address)
            ifindex = socket.if_nametoindex(backend.interface)
            macs = _mac(backend.mac), _mac(backend.our_mac)
            entries.set(key, _BACKEND.pack(address, ifindex, backend.capacity, *macs, backend.name.encode()))
            index_of.set(address, key)
            door = _DEVMAP_ENTRY.pack(ifindex, egress.fd)
            doors.set(key, door)
            with Map.create(DEVMAP, 4, _DEVMAP_ENTRY.size, 2) as pair:
                pair.set(struct.pack("=I", 0), door)
                pair.set(struct.pack("=I", 1), door)
                carriers.set(key, struct.pack("=I", pair.fd))


class Count(NamedTuple):
    """Packets, and their bytes, that left by one reason."""

    packets: int
    bytes: int


class Snapshot(NamedTuple):
    """A balancer at one moment: `free` and `counters` belong together, the reasons are read right after them.

    `ready` says that it takes requests. `free` and `capacity` are threads by backend; `counters` has received, which is
    forwarded + queued + dropped, dequeued and completions, all in requests.
    """

    ready: bool
    policy: str
    depth: int
    queue: int
    counters: dict[str, int]
    free: dict[str, int]
    capacity: dict[str, int]


def snapshot(pins: str) -> Snapshot:
    """Read a balancer's state whole, under its lock."""
    with _map(pins, "state") as state, _map(pins, "config") as config:
        ready, _, _, policy, count, _ = _CONFIG.unpack(config.get(_FIRST))
        values = _STATE.unpack(state.get(_FIRST, BPF_F_LOCK))
    capacity = dict(_capacities(pins, count))
    with _map(pins, "slots") as slots:
        queue = slots.max_entries
    return Snapshot(
        ready=bool(ready),
        policy=POLICIES[policy],
        depth=values[1],
        queue=queue,
        counters=dict(zip(_STATE_COUNTERS, values[8:14], strict=True)),
        free=dict(zip(capacity, values[14:], strict=False)),
        capacity=capacity,
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
