"""The balancer's settings, backends and state, read and written by the names of the fields in its program."""

import socket
import struct
from collections.abc import Mapping
from typing import Any, Self

from netlab import paths
from netlab.named_tuple import NamedTuple
from netlab.programs import map_values
from netlab.programs.map_values import Types
from netlab.programs.maps import BPF_F_LOCK, LoadedProgram, Map, possible_cpus

POLICIES = ("most-free", "round-robin", "random", "first-free")  # `enum policy` as people write it
# How it is known that a held request is done, and the families of addresses: names of `enum known_by`, `enum family`.
BY_REPORTS, BY_REPLIES = "BY_REPORTS", "BY_REPLIES"
IPV4, IPV6 = "HAS_IPV4", "HAS_IPV6"
_NOT_HELD = "NOT_HELD"
ETHERNET_HEADER = 14

FIRST = struct.pack("=I", 0)  # the key of a map with one entry
STATE_COUNTERS = (
    *("received", "forwarded", "queued", "dropped", "dequeued", "completions", "expired"),
    *("retried", "unheld", "held"),
)


def map_of(pins: str, name: str) -> Map:
    """Open one of the balancer's maps."""
    return Map.open(paths.map_pin(pins, name))


def types(pins: str) -> Types:
    """Return the types of the program at these pins, as it was loaded."""
    return map_values.types(paths.layouts(pins))


def state(pins: str) -> map_values.Value:
    """Return the whole state, as of one moment."""
    with map_of(pins, "state") as there:
        return types(pins).struct("state").of(there.get(FIRST, BPF_F_LOCK))


def ages(pins: str) -> int:
    """Return after how many ages a thread without a completion is free again."""
    return types(pins).struct("state").field("taken").counts[-1]


def room_of(slots: Map) -> int:
    """Return how many requests have room in these slots, of which each CPU needs two for itself."""
    count: int = slots.max_entries - 2 * possible_cpus()
    return count


def key(index: int) -> bytes:
    """Return the key of an array's entry, or of an interface."""
    return struct.pack("=I", index)


def mac(text: str) -> bytes:
    """Return the six bytes of a MAC."""
    return bytes.fromhex(text.replace(":", ""))


def address(text: str | None) -> bytes:
    """Return an address as the program stores it: IPv4 is mapped into IPv6 (RFC 4291, 2.5.5.2)."""
    if text is None:
        return bytes(16)
    return socket.inet_pton(socket.AF_INET6, text if ":" in text else f"::ffff:{text}")


def _name_of(names: Mapping[str, int], number: int) -> str:
    """Return the name of an enum's number; the number as text if there is none."""
    return next((name for name, each in names.items() if each == number), str(number))


class Config(NamedTuple):
    """The settings, `struct config`.

    `backends` counts the entries in use. `weights` are by index; a backend of weight 0 gets nothing. `families` holds
    IPV4, IPV6 or both. `holds` is BY_REPORTS or BY_REPLIES, or "" if no request is held; a held request is sent again
    at most `retries` times.
    """

    ready: int
    service_port: int
    completion_port: int
    policy: str
    backends: int
    longest: int
    replies: int
    report_port: int
    pair_interfaces: int
    families: frozenset[str]
    holds: str
    weights: tuple[int, ...]
    retries: int = 0

    @classmethod
    def read(cls, pins: str) -> Self:
        """Read the settings; `ready` is 0 before the role has written them."""
        known = types(pins)
        with map_of(pins, "config") as config:
            value = known.struct("config").of(config.get(FIRST))
        fields: dict[str, Any] = {name: value[name] for name in cls._fields}
        holds = _name_of(known.enum("known_by"), fields["holds"])
        found = {
            "policy": _name_of(known.enum("policy"), fields["policy"]).lower().replace("_", "-"),
            "holds": "" if holds == _NOT_HELD else holds,
            "families": frozenset(name for name, bit in known.enum("family").items() if fields["families"] & bit),
        }
        return cls(**{**fields, **found})

    def write(self, pins: str) -> None:
        """Write the settings, and apply policy and weights; a word that stays the same is never seen otherwise."""
        known = types(pins)
        fields = {
            **self._asdict(),
            "policy": known.enum("policy")[self.policy.upper().replace("-", "_")],
            "holds": known.enum("known_by")[self.holds or _NOT_HELD],
            "families": sum(known.enum("family")[name] for name in self.families),
        }
        with map_of(pins, "config") as config:
            config.set(FIRST, known.struct("config").put(config.get(FIRST), **fields))
        with LoadedProgram.open(paths.program_pin(pins, "arrange_run")) as arrange:
            arrange.test_run(bytes(ETHERNET_HEADER))

    def sharing(self, weights: dict[int, int]) -> Self:
        """Return the settings with these weights, by index of the backend."""
        return self._replace(weights=tuple(weights.get(index, each) for index, each in enumerate(self.weights)))


class Entry(NamedTuple):
    """A backend in the program, `struct backend`; `weight` is the one that it has when it is not drained."""

    ipv4: bytes
    ipv6: bytes
    ifindex: int
    capacity: int
    weight: int
    mac: bytes
    our_mac: bytes
    name: str

    def write(self, pins: str, index: int) -> None:
        """Write it; an entry without a name is no backend."""
        value = types(pins).struct("backend").pack(**{**self._asdict(), "name": self.name.encode()})
        with map_of(pins, "backends") as backends:
            backends.set(key(index), value)


def entries(pins: str, config: Config) -> dict[int, Entry]:
    """Return the program's backends by index."""
    found = {}
    struct_backend = types(pins).struct("backend")
    with map_of(pins, "backends") as backends:
        for index in range(config.backends):
            value = struct_backend.of(backends.get(key(index)))
            if name := value["name"].rstrip(b"\0").decode():
                found[index] = Entry(**{**{field: value[field] for field in Entry._fields}, "name": name})
    return found
