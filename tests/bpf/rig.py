"""Programs without a lab: loaded from a file, and packets pushed through them by BPF_PROG_TEST_RUN."""

import os
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from netlab import balancer, paths
from netlab.balancer import holds, layout
from netlab.balancer.layout import FIRST, STATE_COUNTERS, Config, address, key, room_of
from netlab.kernel import syscalls
from netlab.programs import loader, map_values
from netlab.programs.maps import DEVMAP, LoadedProgram, Map
from netlab.testing.waiting import PATIENCE_S
from tests.bpf import sources

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DROP, PASS, REDIRECT = 1, 2, 4
LB, CLIENT = "10.0.0.1", "10.0.0.2"
LB6, CLIENT6 = "fd00::1", "fd00::2"
LB_MAC, CLIENT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
SERVICE, COMPLETION = 8080, 9090
ELSEWHERE = 4711  # an interface that no frame of these tests comes in on
LOCAL = (LB, "10.0.1.1", LB6, "fd00:0:0:1::1")
TIMES_IN = {"reporters": ("heard_ns", "marker_sent_ns", "overdue_ns"), "fragments": ("since_ns",)}  # by map
# The balancer's times in all builds here, sixty times as long as its own: none passes by itself while a test goes from
# one step to the next, on any machine. `Rig.later` lets them pass.
MARK_S, SILENT_S, LATE_S, FRAGMENT_S = 3, 42, 60, 300
TIMES = {"MARK": MARK_S, "SILENT": SILENT_S, "LATE": LATE_S, "FRAGMENT": FRAGMENT_S}
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
def pinned(path: str, mtu: int = 1500, **define: str | int) -> Iterator[str]:
    """Compile and load a program, and yield the folder of its pins."""
    with tempfile.TemporaryDirectory(prefix="netlab-rig-") as folder:
        os.mkdir(f"{folder}/bpf")
        syscalls.mount("bpf", f"{folder}/bpf", "bpf")
        try:
            pins = f"{folder}/bpf/node"
            given: dict[str, Any] = {"define": tuple(define.items()), "builtins": (("MTU", mtu),)}
            job = loader.Job(
                "test", "node", path, pins, folder, layouts=paths.layouts(pins), code=f"{folder}/code", **given
            )
            compilation = loader.start(job)
            try:
                compilation.pinned(PATIENCE_S)
            finally:
                compilation.kill()
            yield pins
        finally:
            syscalls.umount(f"{folder}/bpf")


class Program:
    """A loaded program that counts every packet by its reason."""

    def __init__(self, pins: str, function: str) -> None:
        self.pins = pins
        self.types = map_values.types(paths.layouts(pins))
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
        return balancer.counts(self.pins, "reasons", "reason")


class Dropper(Program):
    """The dropper, by one of its rules."""

    def __init__(self, pins: str, judges_all: bool) -> None:
        super().__init__(pins, "dropper")
        self.judges_all = judges_all


class Build(NamedTuple):
    """A build of the balancer: its settings, and changes to its text, made wherever the old text stands."""

    queue: int = 8
    trace: int = 0
    mtu: int = 1500
    changes: tuple[tuple[str, str], ...] = ()


SILENT, TRACED = Build(), Build(trace=1)


class Queue(NamedTuple):
    """The slots by number: those that wait, oldest first, those to use again, those never used, those in reserve."""

    waiting: list[int]
    spare: list[int]
    fresh: list[int]
    reserve: list[int]

    def slots(self) -> list[int]:
        """Return all of these; what is held is in no other place."""
        return [slot for place in self for slot in place]


class Threads(NamedTuple):
    """The backends' threads, in their order, and the state's counters."""

    free: list[int]
    taken: list[int]
    counters: dict[str, int]


class Rig(Program):
    """The balancer and its maps; `reset` before every test."""

    CHANGED = ("state", "reporters", "held", "marks", "reserve", "reasons", "carrier_reasons")  # by traffic
    SET = ("config", "state", "backends", "interfaces")  # by setting it up
    LISTED = ("backend_at", "local_addresses")  # the same, with keys of their own
    MOST = 8  # entries of the arrays of backends and interfaces that are ever used here

    def __init__(self, pins: str) -> None:
        super().__init__(pins, "balancer")
        self.egress = LoadedProgram.open(f"{pins}/programs/egress_test")
        names = {*self.CHANGED, *self.SET, *self.LISTED, "ring", "slots", "flows", "fragments"}
        self._maps = {name: Map.open(f"{pins}/maps/{name}") for name in names}
        self._state, self._slots = self._maps["state"], self._maps["slots"]
        self.slots = self._slots.max_entries
        self.size = room_of(self._slots)  # of the queue
        self._images: dict[str, dict[str, dict[bytes, bytes]]] = {}  # of what `reset` has written, by what it was given
        self._image: dict[str, dict[bytes, bytes]] = {}  # the last one

    def close(self) -> None:
        super().close()
        for each in (self.egress, *self._maps.values()):
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
        threads = [capacity] * backends if isinstance(capacity, int) else capacity
        lacks = without or {}
        chosen = tuple(backend(index, each, lacks.get(index)) for index, each in enumerate(threads, 1))
        ours = (balancer.Interface("lo", LB_MAC, LOCAL),)
        self.settings = balancer.Settings(SERVICE, COMPLETION, policy, chosen, ours, **more)
        given = repr((ready, self.settings))
        if given not in self._images:
            self._write({name: dict.fromkeys(self._indices(name), b"") for name in self.SET})
            self._write({name: {} for name in self.LISTED})
            if ready:
                balancer.set_up(self.pins, self.settings)  # which waits for the kernel, for each backend
            self._images[given] = self._read()
        self._image = self._images[given]
        self.again()

    def again(self) -> None:
        """Start anew with the settings of the last `reset`."""
        self._write({name: dict.fromkeys(self._indices(name), b"") for name in self.CHANGED})
        self._write(self._image)
        self.forget()

    def _indices(self, name: str) -> list[bytes]:
        """Return the keys of the entries of an array that are used."""
        count = self._maps[name].max_entries
        is_short = name in {"backends", "interfaces", "reporters", "marks"}
        return [key(index) for index in range(self.MOST if is_short else count)]

    def _read(self) -> dict[str, dict[bytes, bytes]]:
        """Return what stands in the maps by which the balancer is set up."""
        keys = {name: self._indices(name) for name in self.SET} | {
            name: self._maps[name].keys() for name in self.LISTED
        }
        return {name: {at: self._maps[name].get(at) for at in list(found)} for name, found in keys.items()}

    def _write(self, image: Mapping[str, Mapping[bytes, bytes]]) -> None:
        """Write entries; zeros for nothing. Maps with keys of their own have no others afterwards."""
        for name, entries in image.items():
            each = self._maps[name]
            for at in list(each.keys()) if name in self.LISTED else []:
                if at not in entries:
                    each.delete(at)
            for at, value in entries.items():
                each.set(at, value or bytes(each.value_size))

    def forget(self) -> None:
        """Forget all flows, as the kernel forgets those that were used least lately."""
        for name in ("flows", "fragments"):
            for at in list(self._maps[name].keys()):
                self._maps[name].delete(at)

    def flows(self) -> dict[tuple[bytes, int, int], int]:
        """Return how many requests are not answered, by the client's address and port, and the backend from 0."""
        found = {}
        for at in list(self._maps["flows"].keys()):
            asked = self.types.struct("flow_key").of(at)
            outstanding = self.types.struct("flow").get(self._maps["flows"].get(at), "outstanding")
            found[asked["client"], asked["port"], asked["backend"]] = outstanding
        return found

    @contextmanager
    def clients_elsewhere(self) -> Iterator[None]:
        """Let the program believe that those who have asked worker1 live behind another interface than it does."""
        flows, flow = self._maps["flows"], self.types.struct("flow")
        for at in list(flows.keys()):
            flows.set(at, flow.put(flows.get(at), ifindex=ELSEWHERE))
        entry = self.types.struct("devmap_entry")
        with Map.open(f"{self.pins}/maps/pairs") as pairs, Map.create(DEVMAP, 4, entry.size, 2) as pair:
            pairs.set(FIRST, layout.key(pair.fd))
            yield
            pairs.delete(FIRST)

    def weigh(self, *weights: int) -> None:
        """Give the backends weights, in their order."""
        Config.read(self.pins).sharing(dict(enumerate(weights))).write(self.pins)

    def queue(self) -> Queue:
        """Return where the slots are; only while no packet is on its way."""
        state, ring = self.state(), self.types.struct("ring").of(self._maps["ring"].get(FIRST))
        size, head = self.slots, state["head"]
        places, spare = (struct.unpack(f"={size}I", ring[name]) for name in ("waiting", "spare"))
        waiting = [places[(head + place) % size] for place in range(min(state["depth"], size))]
        own = [int.from_bytes(each, sys.byteorder) - 1 for each in self._maps["reserve"].get_per_cpu(FIRST)]
        reserve = [slot for slot in own if slot >= 0]
        return Queue(waiting, list(spare[: state["spares"]]), list(range(state["fresh"], size)), reserve)

    def kept(self) -> int:
        """Return how many requests have a slot."""
        count: int = self.state()["kept"]
        return count

    def state(self) -> map_values.Value:
        """Return the state; only while no packet is on its way."""
        return self.types.struct("state").of(self._state.get(FIRST))

    def change(self, name: str, index: int = 0, **fields: Any) -> None:
        """Write fields of an entry of an array whose values are structs; a tuple for an array is its beginning."""
        with Map.open(f"{self.pins}/maps/{name}") as entries:
            entry = entries.get(layout.key(index))
            entries.set(layout.key(index), self.types.value(name).put(entry, **fields))

    def run(self, function: str, frame: bytes) -> int:
        """Run a program of user space's on a frame, and return its verdict."""
        with LoadedProgram.open(f"{self.pins}/programs/{function}") as program:
            return program.test_run(frame).verdict

    def threads(self) -> Threads:
        """Return the backends' threads and the counters, in a tenth of the time of `now`."""
        state, count = self.state(), len(self.settings.backends)
        taken, ages = state["taken"], layout.ages(self.pins)
        return Threads(
            list(state["free_threads"][:count]),
            [sum(taken[index * ages : index * ages + ages]) for index in range(count)],
            {name: state[name] for name in STATE_COUNTERS},
        )

    def held(self) -> dict[int, tuple[int, int]]:
        """Return which request, by its number, is held for which backend, from 0, by slot."""
        holds = self.types.struct("hold").rows(self._maps["held"].get(FIRST), "backend", "number")
        return {slot: (number, index - 1) for slot, (index, number) in enumerate(holds) if index}

    def tries(self) -> list[int]:
        """Return how often what is in each slot was put back."""
        return [tries for (tries,) in self.types.struct("hold").rows(self._maps["held"].get(FIRST), "tries")]

    def waiting(self) -> list[bytes]:
        """Return the frames that wait, oldest first."""
        slots = [self.types.struct("slot").of(self._slots.get(key(number))) for number in self.queue().waiting]
        return [slot["frame"][: slot["length"]] for slot in slots]

    def later(self, seconds: float) -> None:
        """Let time pass for what the balancer knows of its backends: all that has happened was so much earlier."""
        for name, times in TIMES_IN.items():
            there, fields = self._maps[name], self.types.value(name)
            for at in self._indices(name) if name == "reporters" else list(there.keys()):
                value = fields.of(there.get(at))
                # as the program's own arithmetic
                earlier = {time: (value[time] - int(seconds * 1e9)) % 2**64 for time in times}
                there.set(at, fields.put(value.data, **earlier))

    def is_absent(self, index: int) -> bool:
        """Return whether a backend, from 0, gets no requests."""
        return bool(self._reporter(index, "silent"))

    def overdue(self, index: int) -> int:
        """Return how many completions that were taken for lost may still come from a backend, from 0."""
        return self._reporter(index, "overdue")

    def overload(self, index: int) -> int:
        """Return how many requests a backend, from 0, has in hand beyond its threads."""
        return self._reporter(index, "overload")

    def _reporter(self, index: int, name: str) -> int:
        count: int = self.types.struct("reporter").get(self._maps["reporters"].get(key(index)), name)
        return count

    def claim(self, slot: int, number: int, client: bytes = bytes(16), port: int = 0, backend: int = 0) -> bytes:
        """Return the frame by which user space says which held request it means."""
        return holds.claim(self.types, holds.Held(slot, number, backend, 0, client, port, b""))

    def carry(self, index: int, version: int = 4) -> tuple[int, bytes]:
        """Run the carrier that a completion of worker`index` was cloned to."""
        run = self.egress.test_run(bytes(completion(index, version=version)))
        return run.verdict, run.packet

    def all_counts(self) -> dict[str, balancer.Count]:
        """Return what has left by which reason, of both enums."""
        return self.counts() | balancer.counts(self.pins, "carrier_reasons", "carrier_reason")

    def carrier_counts(self) -> dict[str, int]:
        found = balancer.counts(self.pins, "carrier_reasons", "carrier_reason")
        return {name: count.packets for name, count in found.items() if count.packets}

    def now(self) -> balancer.Snapshot:
        return balancer.snapshot(self.pins)

    def free(self) -> tuple[int, ...]:
        return tuple(self.now().free.values())

    @contextmanager
    def backend_interface(self, index: int, ifindex: int) -> Iterator[None]:
        """Let the program believe that a backend lives behind another interface."""
        with self._changed("backends", index - 1, ifindex=ifindex):
            yield

    @contextmanager
    def backends_elsewhere(self) -> Iterator[None]:
        """Let the program believe that all backends live behind another interface than frames come in on."""
        with ExitStack() as stack:
            for index, _ in enumerate(self.settings.backends, 1):
                stack.enter_context(self.backend_interface(index, ELSEWHERE))
            yield

    @contextmanager
    def unknown_interface(self) -> Iterator[None]:
        """Let the program believe that the interface which frames come in on is none of its own."""
        with self._changed("interfaces", socket.if_nametoindex("lo"), in_use=0):
            yield

    @contextmanager
    def interface_without(self, version: int) -> Iterator[None]:
        """Let the program believe that the interface which frames come in on has no address of an IP version."""
        with self._changed("interfaces", socket.if_nametoindex("lo"), **{f"ipv{version}": bytes(16)}):
            yield

    @contextmanager
    def neighbours(self, number: int = 0, crowded: int = 0) -> Iterator[None]:
        """Let the program believe that the backends live in the networks of the clients, behind the same interface.

        In worker`number`'s, if it is not 0; `crowded` says in which families several of them do.
        """
        pack = self.types.struct("network").pack
        networks = {
            "ipv4_network": pack(address=address(f"10.0.{number}.0"), mask=b"\xff" * 15 + b"\0"),
            "ipv6_network": pack(address=address(f"fd00:0:0:{number:x}::"), mask=b"\xff" * 8),
        }
        with self._changed("interfaces", socket.if_nametoindex("lo"), networks=3, crowded=crowded, **networks):
            yield

    @contextmanager
    def _changed(self, name: str, index: int, **fields: Any) -> Iterator[None]:
        """Write fields of the entry of an array, for a while."""
        with Map.open(f"{self.pins}/maps/{name}") as entries:
            entry = entries.get(key(index))
            entries.set(key(index), self.types.value(name).put(entry, **fields))
            yield
            entries.set(key(index), entry)


@contextmanager
def built(build: Build = SILENT) -> Iterator[Rig]:
    """Load a build of the balancer."""
    path = sources.kept(sources.changed(sources.of("balancer"), build.changes))
    times = {f"{name}_NS": seconds * 10**9 for name, seconds in TIMES.items()}
    with pinned(path, build.mtu, QUEUE=build.queue, TRACE=build.trace, TEST_ENTRIES=1, **times) as pins:
        rig = Rig(pins)
        yield rig
        rig.close()


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
