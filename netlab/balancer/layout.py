"""The balancer's maps as bpf/balancer/ lays them out (config.h, state.h, queue.h): settings and backends."""

import socket
import struct
from typing import NamedTuple, Self

from netlab import paths
from netlab.programs.maps import LoadedProgram, Map, possible_cpus

POLICIES = ("most-free", "round-robin", "random", "first-free")  # in the order of `enum policy`
MAX_BACKENDS = 128
MAX_PAIRS = 4096
AGES = 8  # until a thread that is not heard of is free again
ETHERNET_HEADER = 14
IPV4, IPV6 = 1, 2  # families, as bits
BY_REPORTS, BY_REPLIES = 1, 2  # how it is known that a held request is done: `enum known_by`

FIRST = struct.pack("=I", 0)  # the key of a map with one entry
# lock, depth, head, spares, fresh … root, (kept), choices … held; then by backend free_threads, taken, reports, sent,
# chosen_at; then the tree, and the winning backend of each of its nodes
STATE = struct.Struct(f"=I10I4x11Q{MAX_BACKENDS}I{MAX_BACKENDS * (AGES + 2)}I{MAX_BACKENDS * 3}Q{MAX_BACKENDS * 2}s")
FREE = 22  # where in it the free threads begin
STATE_COUNTERS = (
    *("received", "forwarded", "queued", "dropped", "dequeued", "completions", "expired"),
    *("retried", "unheld", "held"),
)
SLOT_HEADER = struct.Struct("=IIII")  # length, number, ifindex, interface_number; the frame follows
MAX_INTERFACES = 1024
INTERFACE = struct.Struct("=6sHI16s16s")  # mac, number, in_use, ipv4, ipv6
DEVMAP_ENTRY = struct.Struct("=II")  # ifindex, fd of the egress program

_CONFIG = struct.Struct(f"=I2s2sIIII2s2xIII{MAX_BACKENDS}II")
_BACKEND = struct.Struct("=16s16sIII6s6s64s")


def map_of(pins: str, name: str) -> Map:
    """Open one of the balancer's maps."""
    return Map.open(paths.map_pin(pins, name))


def room_of(slots: Map) -> int:
    """Return how many requests may be kept in so many slots: there are two more for each CPU."""
    count: int = slots.max_entries - 2 * possible_cpus()
    return count


def key(index: int) -> bytes:
    """Return the key of an array's entry, or of an interface."""
    return struct.pack("=I", index)


def mac(text: str) -> bytes:
    """Return the six bytes of a MAC."""
    return bytes.fromhex(text.replace(":", ""))


def address(text: str | None) -> bytes:
    """Return an address of either family as the program has it: IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2)."""
    if text is None:
        return bytes(16)
    return socket.inet_pton(socket.AF_INET6, text if ":" in text else f"::ffff:{text}")


class Config(NamedTuple):
    """The settings, `struct config`; `backends` counts the entries in use, `weights` are by index, 0 gets nothing.

    `holds` is 0 where no request is held; one that is held is sent again at most `retries` times.
    """

    ready: int
    service_port: int
    completion_port: int
    policy: int
    backends: int
    longest: int
    replies: int
    report_port: int
    pair_interfaces: int
    families: int
    holds: int
    weights: tuple[int, ...]
    retries: int = 0

    @classmethod
    def read(cls, pins: str) -> Self:
        """Read the settings; `ready` is 0 before the role has written them."""
        with map_of(pins, "config") as config:
            values = _CONFIG.unpack(config.get(FIRST))
        last = -1 - MAX_BACKENDS
        ready, service, completion, *middle, report, pair_interfaces, families, holds = values[:last]
        ports = int.from_bytes(service), int.from_bytes(completion)
        rest = pair_interfaces, families, holds, values[last:-1], values[-1]
        return cls._make((ready, *ports, *middle, int.from_bytes(report), *rest))

    def write(self, pins: str) -> None:
        """Write the settings, and let policy and weights hold; each word that stays the same is so all the while."""
        service, completion, report = (
            struct.pack("!H", port) for port in (self.service_port, self.completion_port, self.report_port)
        )
        middle = self.policy, self.backends, self.longest, self.replies
        rest = self.pair_interfaces, self.families, self.holds, *self.weights, self.retries
        packed = _CONFIG.pack(self.ready, service, completion, *middle, report, *rest)
        with map_of(pins, "config") as config:
            config.set(FIRST, packed)
        with LoadedProgram.open(paths.program_pin(pins, "arrange_run")) as arrange:
            arrange.test_run(bytes(ETHERNET_HEADER))

    def sharing(self, weights: dict[int, int]) -> Self:
        """Return settings with other weights, by the index of their backends."""
        return self._replace(weights=tuple(weights.get(index, each) for index, each in enumerate(self.weights)))


class Entry(NamedTuple):
    """A backend as it stands in the program, `struct backend`; `weight` is what it has when it is not drained."""

    ipv4: bytes
    ipv6: bytes
    ifindex: int
    capacity: int
    weight: int
    mac: bytes
    our_mac: bytes
    name: str

    def write(self, pins: str, index: int) -> None:
        """Write it; one without a name is none."""
        with map_of(pins, "backends") as backends:
            backends.set(key(index), _BACKEND.pack(*self[:-1], self.name.encode()))


def entries(pins: str, config: Config) -> dict[int, Entry]:
    """Return the backends that the program has, by their index."""
    found = {}
    with map_of(pins, "backends") as backends:
        for index in range(config.backends):
            *values, name = _BACKEND.unpack(backends.get(key(index)))
            if text := name.rstrip(b"\0").decode():
                found[index] = Entry._make((*values, text))
    return found
