"""Which packets an impairment chooses: the twin in Python of the program in network/impairment_code, bit by bit.

Every choice is drawn from the seed, the flow and the packet's number in its flow, and from nothing else. So the same
packets of a flow are chosen on every run and every kernel, whatever else passes meanwhile, and anybody can be told
beforehand which ones. The generator is SplitMix64, whose n-th number needs none of those before it. (G. L. Steele,
D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", 2014; the constants of `mixed` are D. Stafford's
"Mix13".)
"""

import socket
import struct
from collections.abc import Iterator

from netlab.named_tuple import NamedTuple
from netlab.topology.impairment import BURSTS, EVERY, INDEPENDENT, MILLION, NUMBERS, Choice, Impairment

WORD = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, made odd
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # shift, then multiply by
LAST_SHIFT = 31
# Draws of one packet: two for each kind of choice, and two more.
LOSS, CORRUPT, DUPLICATE, REORDER = KINDS = ("loss", "corrupt", "duplicate", "reorder")
DRAWS, JITTER_DRAW, PLACE_DRAW = 16, 8, 9
CHANCE_BITS = 63  # a chance is compared with so many bits of a draw: then 100 % is more than any draw
PLACE_BITS, JITTER_BITS = 32, 24
FLOW = struct.Struct("=16s16sHBBI")
IPV4, IPV6, NEIGHBOURS = 4, 6, 0
_ETHERTYPES = {IPV4: 0x0800, IPV6: 0x86DD}


class Flow(NamedTuple):
    """What is counted together: packets from one address to another, by one protocol (IP's number) and port.

    The port is the lower one of a packet's two: of a service and its clients that is the service's, the same on every
    run. It is 0 for a protocol without ports, and for fragments.
    """

    source: str
    target: str
    protocol: int
    port: int = 0

    def key(self) -> bytes:
        """Return the flow as the program knows it."""
        family = IPV6 if ":" in self.source else IPV4
        kind = socket.AF_INET6 if family == IPV6 else socket.AF_INET
        ends = (socket.inet_pton(kind, text).ljust(16, b"\0") for text in (self.source, self.target))
        return FLOW.pack(*ends, self.port, self.protocol, family, 0)


def neighbours(ethertype: int, protocol: int = 0) -> bytes:
    """Return the key of packets that hosts send on their own: all that are no IP, by their type, and IGMP, ND, MLD."""
    return FLOW.pack(b"", b"", 0, protocol, NEIGHBOURS, socket.htons(ethertype))


def mixed(number: int) -> int:
    """Return a number of 64 bits that depends on each bit of this one."""
    for shift, factor in MIX:
        number = (number ^ number >> shift) * factor & WORD
    return number ^ number >> LAST_SHIFT


def flow_hash(key: bytes) -> int:
    """Return the flow as one number."""
    number = 0
    for (word,) in struct.iter_unpack("=Q", key):
        number = mixed((number ^ word) + GAMMA & WORD)
    return number


class Generator:
    """The numbers that are drawn for the packets of one flow."""

    def __init__(self, seed: int, key: bytes) -> None:
        self._key = mixed(flow_hash(key) ^ seed & WORD)

    def draw(self, packet: int, place: int) -> int:
        """Return 64 bits for a packet, by its number; `place` is one of DRAWS."""
        return mixed(self._key + GAMMA * (packet * DRAWS + place) & WORD)


def threshold(chance: int) -> int:
    """Return a chance in millionths as the program takes it."""
    return (chance << CHANCE_BITS) // MILLION


def chosen(impairment: Impairment, kind: str, flow: Flow, most: int) -> list[int]:
    """Return the numbers of the packets, of the first `most` of a flow, that this happens to: one of KINDS.

    A packet that is lost is among the chosen ones of the other kinds, too. Numbers begin at 1, and anew when a choice
    or the seed is changed.
    """
    choice: Choice = getattr(impairment, kind)
    generator = Generator(impairment.seed, flow.key())
    place = 2 * KINDS.index(kind)
    match choice.model:
        case "":
            return []
        case model if model == EVERY:
            return list(range(choice.every, most + 1, choice.every))
        case model if model == NUMBERS:
            return [number for number in choice.numbers if number <= most]
        case model if model == INDEPENDENT:
            limits = [(number, threshold(choice.chance)) for number in range(1, most + 1)]
        case model if model == BURSTS:
            limits = list(_bursts(choice, generator, place, most))
        case model:
            raise ValueError(f"no model of choices is called {model}")
    return [number for number, limit in limits if generator.draw(number, place) >> 1 < limit]


def _bursts(choice: Choice, generator: Generator, place: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield the threshold for each packet, by the state that it meets."""
    worsens, recovers = threshold(choice.worsens), threshold(choice.recovers)
    limits = (threshold(choice.chance), threshold(choice.bad_chance))
    is_bad = False
    for number in range(1, most + 1):
        change = generator.draw(number, place + 1) >> 1
        is_bad = change >= recovers if is_bad else change < worsens
        yield number, limits[is_bad]


def flipped_bit(impairment: Impairment, flow: Flow, packet: int, bits: int) -> int:
    """Return which bit of a corrupted packet is flipped, of so many bits behind its IP header."""
    draw = Generator(impairment.seed, flow.key()).draw(packet, PLACE_DRAW)
    return (draw >> 64 - PLACE_BITS) * bits >> PLACE_BITS
