"""Programs without a lab: loaded from a file, and packets pushed through them by BPF_PROG_TEST_RUN."""

import os
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from netlab import balancer, loader, syscalls
from netlab.balancer.layout import Config
from netlab.maps import LoadedProgram, Map

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DROP, PASS, REDIRECT = 1, 2, 4
LB, CLIENT = "10.0.0.1", "10.0.0.2"
LB6, CLIENT6 = "fd00::1", "fd00::2"
LB_MAC, CLIENT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
SERVICE, COMPLETION = 8080, 9090
LOCAL = (LB, "10.0.1.1", LB6, "fd00:0:0:1::1")
FIRST = struct.pack("=I", 0)  # the key of a map with one entry
SOURCE = "bpf/balancer.c"
DROPPER = "bpf/dropper.c"
LONG = bool(os.environ.get("NETLAB_LONG"))  # `make test-bpf`: as many packets, rounds and examples as take minutes


def backend(index: int, capacity: int = 5, without: int | None = None) -> balancer.Backend:
    """Return the backend worker`index` (from 1), reached through the loopback that test runs arrive on.

    `without` is an IP version of which it has no address.
    """
    return balancer.Backend(
        f"worker{index}",
        None if without == 4 else f"10.0.{index}.2",
        None if without == 6 else f"fd00:0:0:{index:x}::2",
        f"02:00:00:00:{index:02x}:02",
        "lo",
        f"02:00:00:00:{index:02x}:01",
        1500,
        capacity,
    )


@contextmanager
def pinned(path: str, **define: str | int) -> Iterator[str]:
    """Compile and load a program for MTU 1500, and yield the folder of its pins."""
    with tempfile.TemporaryDirectory(prefix="netlab-rig-") as folder:
        os.mkdir(f"{folder}/bpf")
        syscalls.mount("bpf", f"{folder}/bpf", "bpf")
        try:
            pins = f"{folder}/bpf/node"
            job = loader.Job(
                "test", "node", path, pins, folder, define=tuple(define.items()), builtins=(("MTU", 1500),)
            )
            compilation = loader.start(job)
            try:
                compilation.pinned(60)
            finally:
                compilation.kill()
            yield pins
        finally:
            syscalls.umount(f"{folder}/bpf")


class Program:
    """A loaded program that counts every packet by its reason."""

    def __init__(self, pins: str, source: str, function: str) -> None:
        self.pins = pins
        self.reasons = balancer.enum_names(source, "reason")
        self.program = LoadedProgram.open(f"{pins}/programs/{function}")

    def close(self) -> None:
        self.program.close()

    def push(self, packet: Packet | bytes) -> tuple[int, bytes, str]:
        """Run a packet in; return the verdict, the packet as it leaves, and the one reason that was counted."""
        before = self.counts()
        run = self.program.test_run(bytes(packet))
        after = self.counts()
        counted = [name for name in after if after[name] != before[name]]
        assert len(counted) == 1, f"counted by {counted}"
        assert after[counted[0]].packets == before[counted[0]].packets + 1
        return run.verdict, run.packet, counted[0]

    def counts(self) -> dict[str, balancer.Count]:
        return dict(balancer.counts(self.pins, "reasons", self.reasons))


class Dropper(Program):
    """The dropper, by one of its rules."""

    def __init__(self, pins: str, source: str, judges_all: bool) -> None:
        super().__init__(pins, source, "dropper")
        self.judges_all = judges_all


class Queue(NamedTuple):
    """The queue's slots by number: those that wait, oldest first, those to use again, those that were never used."""

    waiting: list[int]
    spare: list[int]
    fresh: list[int]


class Rig(Program):
    """The balancer and its maps; `reset` before every test."""

    def __init__(self, pins: str, source: str) -> None:
        super().__init__(pins, source, "balancer")
        self.carrier_reasons = balancer.enum_names(source, "carrier_reason")
        self.egress = LoadedProgram.open(f"{pins}/programs/egress_test")
        self._state, self._ring, self._slots = (Map.open(f"{pins}/maps/{name}") for name in ("state", "ring", "slots"))
        self._begun = b""  # the state after `reset`

    def close(self) -> None:
        super().close()
        for each in (self.egress, self._state, self._ring, self._slots):
            each.close()

    def reset(
        self,
        backends: int = 3,
        capacity: int | Sequence[int] = 5,
        policy: str = "most-free",
        ready: bool = True,
        without: Mapping[int, int] | None = None,
        **more: Any,
    ) -> None:
        """Start anew: all threads free, nothing queued, all counts zero, all weights one.

        `capacity` is of all backends, or of each; `without` says which workers have no address of which IP version;
        `more` are further settings.
        """
        for name in ("config", "state", "reporters", "held", "marks", "interfaces", "reasons", "carrier_reasons"):
            with Map.open(f"{self.pins}/maps/{name}") as each:
                for index in range(each.max_entries):
                    each.set(struct.pack("=I", index), bytes(each.value_size))
        for name in ("backend_at", "local_addresses", "flows"):
            with Map.open(f"{self.pins}/maps/{name}") as each:
                for key in list(each.keys()):
                    each.delete(key)
        if ready:
            threads = [capacity] * backends if isinstance(capacity, int) else capacity
            lacks = without or {}
            chosen = tuple(backend(index, each, lacks.get(index)) for index, each in enumerate(threads, 1))
            ours = (balancer.Interface("lo", LB_MAC, LOCAL),)
            self.settings = balancer.Settings(SERVICE, COMPLETION, policy, chosen, ours, **more)
            balancer.set_up(self.pins, self.settings)
        self._begun = self._state.get(FIRST)

    def again(self) -> None:
        """Start anew with the settings of the last `reset`, in a hundredth of its time."""
        self._state.set(FIRST, self._begun)
        for name in ("reasons", "carrier_reasons"):
            with Map.open(f"{self.pins}/maps/{name}") as each:
                for index in range(each.max_entries):
                    each.set(struct.pack("=I", index), bytes(each.value_size))

    def weigh(self, *weights: int) -> None:
        """Give the backends weights, in their order."""
        Config.read(self.pins).sharing(dict(enumerate(weights))).write(self.pins)

    def queue(self) -> Queue:
        """Return where the slots are; only while no packet is on its way."""
        _, depth, head, spares, fresh = struct.unpack_from("=5I", self._state.get(FIRST))  # struct state begins so
        size = self._slots.max_entries
        places = struct.unpack(f"={2 * size}I", self._ring.get(FIRST))
        waiting = [places[(head + place) % size] for place in range(min(depth, size))]
        return Queue(waiting, list(places[size : size + spares]), list(range(fresh, size)))

    def waiting(self) -> list[bytes]:
        """Return the frames that wait, oldest first."""
        slots = [self._slots.get(struct.pack("=I", number)) for number in self.queue().waiting]
        return [slot[16 : 16 + int.from_bytes(slot[:4], sys.byteorder)] for slot in slots]  # behind length, number …

    def carry(self, index: int, version: int = 4) -> tuple[int, bytes]:
        """Run the carrier that a completion of worker`index` was cloned to."""
        run = self.egress.test_run(bytes(completion(index, version=version)))
        return run.verdict, run.packet

    def carrier_counts(self) -> dict[str, int]:
        found = balancer.counts(self.pins, "carrier_reasons", self.carrier_reasons)
        return {name: count.packets for name, count in found if count.packets}

    def now(self) -> balancer.Snapshot:
        return balancer.snapshot(self.pins)

    def free(self) -> tuple[int, ...]:
        return tuple(self.now().free.values())

    @contextmanager
    def backend_interface(self, index: int, ifindex: int) -> Iterator[None]:
        """Let the program believe that a backend lives behind another interface."""
        key = struct.pack("=I", index - 1)
        with Map.open(f"{self.pins}/maps/backends") as entries:
            entry = entries.get(key)
            entries.set(key, entry[:32] + struct.pack("=I", ifindex) + entry[36:])
            yield
            entries.set(key, entry)


def request(payload: bytes = b"1", version: int = 4, **fields: object) -> Packet:
    """Return a request of an IP version; `fields` replace those of IP (`ip_…`) and UDP (`udp_…`)."""
    ip = {key[3:]: value for key, value in fields.items() if key.startswith("ip_")}
    udp = {key[4:]: value for key, value in fields.items() if key.startswith("udp_")}
    header = IP(**{"src": CLIENT, "dst": LB, **ip}) if version == 4 else IPv6(**{"src": CLIENT6, "dst": LB6, **ip})
    packet = Ether(src=CLIENT_MAC, dst=LB_MAC) / header / UDP(**{"sport": 40000, "dport": SERVICE, **udp})
    return packet / Raw(payload) if payload else packet


def completion(index: int, payload: bytes = b"", version: int = 4, **fields: object) -> Packet:
    """Return a completion of worker`index`."""
    ours = {"ip_src": address_of(index, version), "udp_dport": COMPLETION}
    return request(payload, version, **{**ours, **fields})


def address_of(index: int, version: int) -> str:
    """Return the address of worker`index` in a family."""
    one = backend(index)
    return str(one.ipv4 if version == 4 else one.ipv6)


def addressed(packet: Packet, index: int) -> bytes:
    """Return a request as it must reach worker`index`, with checksums computed from scratch."""
    one = backend(index)
    built = Ether(bytes(packet))
    built.src, built.dst = one.our_mac, one.mac
    zero = built[UDP].chksum == 0
    if IP in built:
        built[IP].dst = one.ipv4
        del built[IP].chksum
    else:
        built[IPv6].dst = one.ipv6
    if not zero:
        del built[UDP].chksum
    return bytes(built)
