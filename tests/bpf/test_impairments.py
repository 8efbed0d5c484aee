"""What the program in the middle of a link does to each packet, bit by bit as its twin in Python has told it."""

import os
from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NS, IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from netlab.programs import impairment_layout as layout
from netlab.programs.impairment_maps import MiddleProgram, Settings, choice_of, packed_choices
from netlab.topology.chosen_packets import KINDS, Flow, Generator, chosen, flipped_bit, neighbours
from netlab.topology.impairment import Choice, Impairment

pytestmark = pytest.mark.root

LO = 1  # a test run's packets come in there
NOWHERE = (1 << 31) - 1
DROPPED, SENT = 2, 7
ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MANY = 1500
TENTH = Choice("independent", chance=100_000)
BURSTS = Choice("gilbert-elliott", chance=10_000, worsens=50_000, recovers=200_000, bad_chance=800_000)
FOUR, SIX = ETHERNET / IP(src="10.0.0.1", dst="10.0.0.2"), ETHERNET / IPv6(src="fd00::1", dst="fd00::2")


@pytest.fixture(scope="module")
def loaded() -> Iterator[MiddleProgram]:
    program = MiddleProgram.load()
    yield program
    program.close()


class Line:
    """One direction, whose packets are numbered anew for each test."""

    def __init__(self, program: MiddleProgram) -> None:
        self._program = program
        self._epoch = int.from_bytes(os.urandom(3))
        self._before = program.counts(LO)

    def impair(self, impairment: Impairment) -> None:
        """Set it, and number anew."""
        self._epoch += 1
        for kind, name in enumerate(KINDS):
            self._program.set_numbers(LO, kind, choice_of(impairment, name).numbers)
        choices = packed_choices(impairment)
        self._program.change(LO, Settings(NOWHERE, layout.CHOOSES, impairment.seed, epoch=self._epoch, choices=choices))
        self._before = self._program.counts(LO)

    def passes(self, packet: bytes) -> bytes | None:
        """Send a packet; return it as it has left, None if it was lost."""
        run = self._program.program.test_run(packet)
        return {DROPPED: None, SENT: run.packet}[run.verdict]

    def lost(self, packet: bytes, count: int) -> list[int]:
        """Send a packet so often, and return which of them were lost."""
        return [number for number in range(1, count + 1) if self.passes(packet) is None]

    def counted(self, what: int) -> int:
        """Return what was counted since it was set."""
        return self._program.counts(LO)[what] - self._before[what]


@pytest.fixture
def line(loaded: MiddleProgram) -> Line:
    return Line(loaded)


def udp(size: int = 20, ports: tuple[int, int] = (40000, 7000), under: Packet = FOUR) -> bytes:
    return bytes(under / UDP(sport=ports[0], dport=ports[1]) / Raw(bytes(size)))


@pytest.mark.parametrize("seed", [0, 1, (1 << 64) - 1])
@pytest.mark.parametrize("choice", [TENTH, BURSTS, Choice("every", every=7), Choice("numbers", numbers=(1, 9, 1499))])
def test_packets_are_lost_as_told(line: Line, choice: Choice, seed: int) -> None:
    """Each model chooses the same packets in the kernel and in Python."""
    impairment = Impairment(loss=choice, seed=seed)
    line.impair(impairment)

    told = chosen(impairment, "loss", Flow("10.0.0.1", "10.0.0.2", 17, 7000), MANY)

    assert told == line.lost(udp(), MANY)
    assert (MANY, len(told)) == (line.counted(layout.CAME), line.counted(layout.LOST))


FLOWS = [
    pytest.param(udp(), Flow("10.0.0.1", "10.0.0.2", 17, 7000), id="UDP"),
    pytest.param(udp(ports=(7000, 50000)), Flow("10.0.0.1", "10.0.0.2", 17, 7000), id="UDP from the lower port"),
    pytest.param(udp(under=SIX), Flow("fd00::1", "fd00::2", 17, 7000), id="UDP over IPv6"),
    pytest.param(bytes(FOUR / TCP(sport=5, dport=80)), Flow("10.0.0.1", "10.0.0.2", 6, 5), id="TCP"),
    pytest.param(bytes(FOUR / ICMP(id=4711)), Flow("10.0.0.1", "10.0.0.2", 1), id="ICMP, whatever its number"),
    pytest.param(bytes(SIX / ICMPv6EchoRequest(id=4711)), Flow("fd00::1", "fd00::2", 58), id="ICMPv6"),
    pytest.param(
        bytes(ETHERNET / IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4) / UDP(sport=9, dport=8)),
        Flow("10.0.0.1", "10.0.0.2", 17, 8),
        id="options",
    ),
    pytest.param(
        bytes(ETHERNET / IP(src="10.0.0.1", dst="10.0.0.2", flags="MF") / UDP(sport=9, dport=8)),
        Flow("10.0.0.1", "10.0.0.2", 17),
        id="the first fragment",
    ),
    pytest.param(
        bytes(ETHERNET / IP(src="10.0.0.1", dst="10.0.0.2", frag=100, proto=17) / Raw(b"abcdefgh")),
        Flow("10.0.0.1", "10.0.0.2", 17),
        id="another fragment",
    ),
    pytest.param(
        bytes(ETHERNET / IP(src="1.2.3.4", dst="5.6.7.8", proto=89)), Flow("1.2.3.4", "5.6.7.8", 89), id="OSPF"
    ),
]


@pytest.mark.parametrize(("packet", "flow"), FLOWS)
def test_flows_are_told_apart(line: Line, packet: bytes, flow: Flow) -> None:
    """By addresses, protocol and the lower port."""
    impairment = Impairment(loss=Choice("independent", chance=500_000), seed=3)
    line.impair(impairment)

    assert chosen(impairment, "loss", flow, 100) == line.lost(packet, 100)


NEIGHBOURS = [
    pytest.param(bytes(ETHERNET / ARP()), neighbours(0x0806), id="ARP"),
    pytest.param(bytes(SIX / ICMPv6ND_NS()), neighbours(0x86DD, 58), id="ND"),
    pytest.param(bytes(SIX / IPv6ExtHdrHopByHop() / ICMPv6MLReport2()), neighbours(0x86DD), id="MLD"),
    pytest.param(bytes(ETHERNET / IP(proto=2) / Raw(bytes(8))), neighbours(0x0800, 2), id="IGMP"),
    pytest.param(bytes(Ether(type=0x88CC) / Raw(bytes(50))), neighbours(0x88CC), id="LLDP"),
]


@pytest.mark.parametrize(("packet", "key"), NEIGHBOURS)
def test_what_hosts_say_on_their_own_shifts_no_numbers(line: Line, packet: bytes, key: bytes) -> None:
    """It is lost by chance, as told, but never by its number; and the packets of a flow keep theirs."""
    impairment = Impairment(loss=Choice("independent", chance=500_000), seed=3)
    line.impair(impairment)

    lost = []
    own = []
    for number in range(1, 101):
        own += [number] if line.passes(packet) is None else []
        lost += [number] if line.passes(udp()) is None else []

    generator = Generator(3, key)
    assert [number for number in range(1, 101) if generator.draw(number, 0) >> 63 == 0] == own
    assert chosen(impairment, "loss", Flow("10.0.0.1", "10.0.0.2", 17, 7000), 100) == lost
    line.impair(Impairment(loss=Choice("every", every=1)))
    assert [] == line.lost(packet, 3)


def test_one_bit_is_flipped_where_told(line: Line) -> None:
    """Behind the IP header, so that the checksum of UDP, TCP or ICMP is wrong; all else stays."""
    impairment = Impairment(corrupt=Choice("independent", chance=300_000), seed=8)
    line.impair(impairment)
    flow, packet = Flow("10.0.0.1", "10.0.0.2", 17, 7000), udp(100)
    start = 34

    flipped = {}
    for number in range(1, 301):
        left = line.passes(packet)
        assert left is not None
        if bits := int.from_bytes(left) ^ int.from_bytes(packet):
            flipped[number] = bits

    assert chosen(impairment, "corrupt", flow, 300) == list(flipped) != []
    for number, bits in flipped.items():
        place = flipped_bit(impairment, flow, number, (len(packet) - start) * 8)
        byte, bit = start + place // 8, place % 8
        assert bits == 1 << 8 * (len(packet) - 1 - byte) + bit
    assert len(flipped) == line.counted(layout.CORRUPTED)


@pytest.mark.parametrize(
    "packet", [udp()[:34], udp()[:36], bytes(Ether(type=0x88CC)), bytes(Ether(type=0x88CC)) + b"a"]
)
def test_a_packet_that_ends_early_is_carried(line: Line, packet: bytes) -> None:
    """Whatever its headers say, one bit of what is there is flipped, and nothing fails."""
    line.impair(Impairment(corrupt=Choice("independent", chance=1_000_000)))

    left = line.passes(packet)

    assert left is not None
    assert 1 == (int.from_bytes(left) ^ int.from_bytes(packet)).bit_count()


def test_doubled_packets_are_counted(line: Line) -> None:
    line.impair(Impairment(duplicate=Choice("every", every=2)))

    assert [] == line.lost(udp(), 10)
    assert 5 == line.counted(layout.DOUBLED)


def test_an_interface_without_settings_carries_nothing(line: Line, loaded: MiddleProgram) -> None:
    line.impair(Impairment(loss=Choice("numbers", numbers=(1,))))
    loaded.remove(LO)

    assert line.passes(udp()) is None
    assert (0,) * (layout.COUNTS.size // 8) == loaded.counts(LO)


def test_a_found_program_has_the_same_maps(line: Line, loaded: MiddleProgram) -> None:
    """Who has nothing but its number reads what it has counted."""
    line.impair(Impairment(loss=TENTH, seed=5))
    line.lost(udp(), 50)

    found = MiddleProgram.find(loaded.program.id)

    assert found is not None
    assert found.counts(LO) == loaded.counts(LO)
    assert found.settings(LO) == loaded.settings(LO)
    found.close()
