"""Programs in the wrapper that tells of their packets: they do what they did, and every packet is told or counted."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from netlab import paths
from netlab.kernel import files
from netlab.programs import bpf, kept_code, verdict_code
from netlab.programs.maps import LoadedProgram, Map
from netlab.programs.ring_buffer import RingBuffer
from netlab.record import layouts
from tests.bpf import rig
from tests.bpf.rig import DROP, PASS

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

DROPPER = f"{rig.ROOT}/bpf/dropper.c"
NUMBER = 7  # of the program, in events
REASONS = 3  # the number of the map of reasons, in events
EVEN = (
    Ether(src=rig.CLIENT_MAC, dst=rig.LB_MAC)
    / IP(src="10.0.0.1", dst="10.0.0.2")
    / TCP(sport=4000, dport=9000, seq=4, flags="PA")
    / Raw(b"a")
)
ODD = (
    Ether(src=rig.CLIENT_MAC, dst=rig.LB_MAC)
    / IP(src="10.0.0.1", dst="10.0.0.2")
    / TCP(sport=4000, dport=9000, seq=5, flags="PA")
    / Raw(b"b")
)
NO_IP = Ether(src=rig.CLIENT_MAC, dst=rig.LB_MAC) / ARP()
GROWS = """
#include <uapi/linux/bpf.h>

int grows(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_head(ctx, -4))
		return XDP_ABORTED;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 4 > end)
		return XDP_ABORTED;
	*(__u32 *)data = 0x2a2a2a2a;
	return XDP_TX;
}
"""


class Told(NamedTuple):
    """What was told of a packet: its bytes before and after, the verdict and the reason's number."""

    before: bytes
    after: bytes
    verdict: int
    reason: int


class Wrapped:
    """A program in its wrapper, and the ring that it tells into."""

    def __init__(self, pins: str, function: str, ring_bytes: int = 1 << 20) -> None:
        self.scratch = Map.create(bpf.PERCPU_ARRAY, 4, verdict_code.SCRATCH_BYTES, NUMBER + 1)
        self._map = Map(bpf.create_map(bpf.RING_BUFFER, (0, 0, ring_bytes), "make a ring"))
        self._ring = RingBuffer(self._map)
        with LoadedProgram.open(paths.program_pin(pins, function)) as original:
            kind, code = kept_code.read(f"{os.path.dirname(os.path.dirname(pins))}/code", original.id)
        held: list[bpf.Object] = []
        instructions, maps = kept_code.opened(code.code, held)
        tap = verdict_code.Tap(self.scratch.fd, self._map.fd, NUMBER)
        counts = {fd: REASONS for fd in maps.values() if bpf.map_info(fd).name.startswith((b"reasons", b"carrier_r"))}
        text = verdict_code.wrapped(instructions, tap, kind, code.attach_type, counts)
        self.program = LoadedProgram(bpf.load_program(text, function, code.terms, function, code.attach_type))

    def told(self) -> list[Told]:
        """Return what was told since the last time."""
        events = [
            (verdict_code.EVENT.unpack_from(each), each[verdict_code.EVENT.size :]) for each in self._ring.records()
        ]
        pairs = list(zip(events[::2], events[1::2], strict=True))
        assert all(first[1:4] == (NUMBER, 0, last[3]) and last[1:3] == (NUMBER, 1) for (first, _), (last, _) in pairs)
        assert all(about[6] == len(data) for about, data in events)
        return [Told(before, after, last[7], last[8]) for (_, before), (last, after) in pairs]

    def lost(self) -> int:
        """Return how many packets had no room."""
        return sum(
            verdict_code.STATE.unpack_from(each)[0]
            for each in self.scratch.get_per_cpu(NUMBER.to_bytes(4, sys.byteorder))
        )

    def close(self) -> None:
        """Give everything back."""
        self._ring.close()
        for each in (self.program, self._map, self.scratch):
            each.close()


@contextmanager
def wrapped(pins: str, function: str, **keywords: int) -> Iterator[Wrapped]:
    """Yield a program in its wrapper."""
    made = Wrapped(pins, function, **keywords)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def dropper() -> Iterator[str]:
    """Yield the folder of the dropper's pins."""
    with rig.pinned(DROPPER) as pins:
        yield pins


@pytest.mark.parametrize(
    ("packet", "verdict", "reason"), [(EVEN, DROP, "DROP_EVEN"), (ODD, PASS, "PASS_ODD"), (NO_IP, PASS, "PASS_NOT_IP")]
)
def test_a_packet_is_told_with_verdict_and_reason(dropper: str, packet: Ether, verdict: int, reason: str) -> None:
    """The verdict is the program's own, the reason the one that it counts, and the bytes are the packet's."""
    enum = layouts.read(paths.layouts(dropper)).enums["reason"]
    with wrapped(dropper, "dropper") as tells:
        ran = tells.program.test_run(bytes(packet))
        told = tells.told()

    assert verdict == ran.verdict
    assert [Told(bytes(packet), bytes(packet), verdict, enum[reason])] == told


def test_the_bytes_after_are_those_that_the_program_has_left(tmp_path: Path) -> None:
    """A program that lets a packet grow, and counts no reasons, is told with the longer packet, and no reason."""
    files.write(f"{tmp_path}/grows.c", GROWS)
    with rig.pinned(f"{tmp_path}/grows.c") as pins, wrapped(pins, "grows") as tells:
        ran = tells.program.test_run(bytes(ODD))
        told = tells.told()

    assert b"****" + bytes(ODD) == ran.packet
    assert [Told(bytes(ODD), ran.packet, 3, verdict_code.NO_REASON)] == told


def test_what_has_no_room_is_counted(dropper: str) -> None:
    """Each packet is told whole, or counted as lost, however few of them have room."""
    with wrapped(dropper, "dropper", ring_bytes=4096) as tells:
        for _ in range(100):
            tells.program.test_run(bytes(ODD))
        events = len(tells._ring.records())
        lost = tells.lost()

    assert 0 < events < 200
    assert 100 == events // 2 + lost


def test_every_function_of_the_balancer_can_be_wrapped() -> None:
    """The balancer and its egress program, the largest that there are, pass the verifier in the wrapper."""
    with rig.built() as made:
        for function in ("balancer", "egress_devmap"):
            with wrapped(made.pins, function) as tells:
                assert tells.program.id
