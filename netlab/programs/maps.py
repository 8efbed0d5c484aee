"""Pinned BPF maps and programs by bpf(2): look up, update, create, test run.

This module does not import bcc, so that a long-lived process can use it without a compiler in its memory. bpf(2)
describes the calls.
"""

import ctypes
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf

_MAPS_COUNT_AT, _MAPS_AT, _MOST_MAPS = 52, 56, 16  # in struct bpf_prog_info: how many maps, where their numbers go
BPF_ANY, BPF_F_LOCK, DEVMAP = bpf.ANY, bpf.LOCK, bpf.DEVMAP  # for roles


class TestRun(NamedTuple):
    """The result of BPF_PROG_TEST_RUN: the verdict, the packet as the program left it, nanoseconds for each round."""

    verdict: int
    packet: bytes
    duration_ns: int


def _open_pin(path: str) -> int:
    name = ctypes.create_string_buffer(path.encode())
    try:
        return bpf.call(bpf.OBJ_GET, bpf.attributes("QII", ctypes.addressof(name), 0, 0), f"open the pin {path}")
    except FileNotFoundError:
        raise NetlabError(f"no BPF object is pinned at {path}: is the lab up?") from None


def possible_cpus() -> int:
    """Return how many CPUs the kernel may ever have: the number of values in a per-CPU map's entry."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        return int(file.read().strip().replace("-", ",").rsplit(",", 1)[-1]) + 1


class Map(bpf.Object):
    """A BPF map. Keys and values are bytes of exactly `key_size` and `value_size`."""

    def __init__(self, fd: int) -> None:
        """Own the descriptor of a map, and ask the kernel for its kind and sizes."""
        super().__init__(fd)
        shape = bpf.map_info(self.fd)
        self.type, self.id, self.key_size, self.value_size, self.max_entries, self.flags = shape[:6]
        self.is_per_cpu = self.type in bpf.PER_CPU
        self.stride = (self.value_size + 7) & ~7  # from one CPU's value to the next
        self.cpus = possible_cpus() if self.is_per_cpu else 1

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a pinned map; a missing pin is a NetlabError."""
        return cls(_open_pin(path))

    @classmethod
    def open_if_there(cls, path: str) -> Self | None:
        """Open a pinned map; None if there is no such pin."""
        try:
            return cls.open(path)
        except NetlabError:
            return None

    @classmethod
    def by_id(cls, number: int) -> Self:
        """Open a map by its kernel's number."""
        return cls(bpf.open_by_id(bpf.MAP_BY_ID, number, f"open the map {number}"))

    @classmethod
    def create(cls, kind: int, key_size: int, value_size: int, max_entries: int) -> Self:
        """Create a map that is not pinned: it lives as long as a descriptor or a program uses it."""
        return cls(bpf.create_map(kind, (key_size, value_size, max_entries), "create a map"))

    def _call(
        self, command: int, key: bytes, value: "ctypes.Array[ctypes.c_char] | None", flags: int, what: str
    ) -> None:
        if len(key) != self.key_size:
            raise ValueError(f"the key has {len(key)} bytes, the map's keys {self.key_size}")
        held = ctypes.create_string_buffer(key, len(key))
        address = ctypes.addressof(value) if value is not None else 0
        key_at = ctypes.addressof(held) if key else 0  # a queue has no keys
        bpf.call(command, bpf.attributes("IIQQQ", self.fd, 0, key_at, address, flags), what)

    def get(self, key: bytes, flags: int = BPF_ANY) -> bytes:
        """Return the value at a key; KeyError if there is none. BPF_F_LOCK holds the value's spin lock meanwhile."""
        return self.get_per_cpu(key, flags)[0]

    def get_per_cpu(self, key: bytes, flags: int = BPF_ANY) -> list[bytes]:
        """Return the value at a key on every possible CPU (one value for a map that is not per-CPU)."""
        value = ctypes.create_string_buffer(self.stride * self.cpus)
        try:
            self._call(bpf.MAP_LOOKUP, key, value, flags, "look up a key")
        except FileNotFoundError:
            raise KeyError(key) from None
        return [value.raw[at : at + self.value_size] for at in range(0, len(value), self.stride)]

    def set(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        """Write a value; on a per-CPU map the same on every CPU."""
        self.set_per_cpu(key, [value] * self.cpus, flags)

    def set_per_cpu(self, key: bytes, values: Sequence[bytes], flags: int = BPF_ANY) -> None:
        """Write a value for each possible CPU."""
        for value in values:
            if len(value) != self.value_size:
                raise ValueError(f"the value has {len(value)} bytes, the map's values {self.value_size}")
        whole = b"".join(value.ljust(self.stride, b"\0") for value in values)
        self._call(bpf.MAP_UPDATE, key, ctypes.create_string_buffer(whole, len(whole)), flags, "update a key")

    def set_all(self, entries: Mapping[bytes, bytes]) -> None:
        """Write values, in one call if the kernel can: of a map of maps, each call waits for all running programs."""
        keys, values = (ctypes.create_string_buffer(b"".join(each)) for each in (entries, entries.values()))
        places = ctypes.addressof(keys), ctypes.addressof(values)
        attr = bpf.attributes("QQQQIIQQ", 0, 0, *places, len(entries), self.fd, BPF_ANY, 0)
        try:
            bpf.call(bpf.MAP_UPDATE_BATCH, attr, "update keys")
        except OSError:  # a kernel without this call for maps of this kind
            for key, value in entries.items():
                self.set(key, value)

    def pop(self) -> bytes:
        """Take the next value out of a queue or a stack; KeyError when it is empty."""
        value = ctypes.create_string_buffer(self.stride)
        try:
            self._call(bpf.MAP_POP, b"", value, BPF_ANY, "take a value")
        except FileNotFoundError:
            raise KeyError(b"") from None
        return value.raw[: self.value_size]

    def delete(self, key: bytes) -> None:
        """Remove a key; KeyError when it is not there."""
        try:
            self._call(bpf.MAP_DELETE, key, None, 0, "delete a key")
        except FileNotFoundError:
            raise KeyError(key) from None

    def keys(self) -> Iterator[bytes]:
        """Yield every key."""
        key = ctypes.create_string_buffer(self.key_size)
        address = 0
        while True:
            following = ctypes.create_string_buffer(self.key_size)
            try:
                bpf.call(
                    bpf.MAP_NEXT_KEY,
                    bpf.attributes("IIQQ", self.fd, 0, address, ctypes.addressof(following)),
                    "list the keys",
                )
            except FileNotFoundError:
                return
            key, address = following, ctypes.addressof(following)
            yield key.raw


class LoadedProgram(bpf.Object):
    """A loaded BPF program."""

    @property
    def id(self) -> int:
        """The kernel's number of the program."""
        return bpf.program_id(self.fd)

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a pinned program; a missing pin is a NetlabError."""
        return cls(_open_pin(path))

    def map_numbers(self) -> list[int]:
        """Return the kernel's numbers of the maps that the program uses, sixteen at most."""
        room = (ctypes.c_uint32 * _MOST_MAPS)()
        begin = bytearray(_MAPS_AT + 8)
        struct.pack_into("=I", begin, _MAPS_COUNT_AT, _MOST_MAPS)
        struct.pack_into("=Q", begin, _MAPS_AT, ctypes.addressof(room))
        (count,) = struct.unpack_from("=I", bpf.info(self.fd, bytes(begin)), _MAPS_COUNT_AT)
        return list(room[: min(count, _MOST_MAPS)])

    def send(self, packet: bytes, repeat: int = 1) -> None:
        """Run the program on real frames (BPF_F_TEST_XDP_LIVE_FRAMES): a redirect delivers them.

        They arrive on the loopback interface of the calling process's network namespace, which redirects use.
        """
        given = ctypes.create_string_buffer(packet, len(packet))
        attr = bpf.attributes(
            "IIIIQQIIIIQQIII",
            self.fd, 0, len(packet), 0, ctypes.addressof(given), 0, repeat, 0, 0, 0, 0, 0, bpf.LIVE_FRAMES, 0, 0,
        )  # fmt: skip
        bpf.call(bpf.TEST_RUN, attr, "send a frame through a program")

    def test_run(self, packet: bytes, repeat: int = 1, ingress_ifindex: int = 0) -> TestRun:
        """Run the program on a packet in the kernel (BPF_PROG_TEST_RUN); a redirect delivers nothing.

        With `repeat`, every round gets the packet that the round before has left. A packet has 14 bytes or more.
        """
        given = ctypes.create_string_buffer(packet, len(packet))
        out = ctypes.create_string_buffer(4096)
        # struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
        context = ctypes.create_string_buffer(struct.pack("=6I", 0, len(packet), 0, ingress_ifindex, 0, 0), 24)
        attr = bpf.attributes(
            "IIIIQQIIIIQQIII",
            self.fd, 0, len(packet), len(out), ctypes.addressof(given), ctypes.addressof(out), repeat, 0,
            len(context) if ingress_ifindex else 0, 0, ctypes.addressof(context) if ingress_ifindex else 0, 0, 0, 0, 0,
        )  # fmt: skip
        bpf.call(bpf.TEST_RUN, attr, "run a program on a packet")
        verdict, size, duration_ns = (struct.unpack_from("=I", attr, at)[0] for at in (4, 12, 36))
        return TestRun(verdict, out.raw[:size], duration_ns)
