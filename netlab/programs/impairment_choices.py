"""The part of the program in the middle of impaired links that numbers packets, and chooses by these numbers."""

import socket

from netlab.programs import assembly as asm
from netlab.programs.assembly import BYTE, DOUBLE, FRAME, HALF, R0, R1, R2, R3, R4, R5, WORD, Op
from netlab.programs.impairment_layout import (
    BAD_CHANCE,
    BURSTS,
    BYTES,
    CHANCE,
    CHOICE,
    CHOSEN,
    CHOSEN_KEY,
    CONTEXT,
    EPOCH,
    ETHERTYPE,
    EVERY_NTH,
    FAMILY,
    FLOW,
    FLOW_KEY_BYTES,
    GENERATOR,
    HEAD,
    INDEPENDENT,
    KEY,
    LOAD_BYTES,
    MODEL,
    NO_MODEL,
    NUMBER,
    NUMBERS,
    PORT,
    PROTOCOL,
    RECOVERS,
    SEED,
    SETTINGS,
    SKB_PROTOCOL,
    START,
    STATE,
    UPDATE,
    WORSENS,
    MiddleMaps,
    look_up,
    place_on_stack,
)
from netlab.topology import chosen_packets as twin

_NOEXIST = 1
_ETHERNET, _IPV6_HEADER, _FRAGMENT = 14, 40, socket.htons(0x3FFF)
_IP, _IP6 = socket.htons(0x0800), socket.htons(0x86DD)
_IGMP, _ICMP6, _HOP_BY_HOP = 2, 58, 0
_NEIGHBOUR_TYPES = ((130, 137), (143, 143))  # of ICMPv6: MLD and ND
_WITH_PORTS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_SCTP, 33, 136)  # and DCCP, UDP-Lite


def number(maps: MiddleMaps) -> list[Op]:
    """Number the packet in its flow."""
    hashed: list[Op] = [asm.put(R1, 0)]
    for at in range(KEY + 8, KEY + FLOW_KEY_BYTES, 8):
        hashed += [asm.load(DOUBLE, R2, FRAME, at), asm.differ(R1, R2)]
        hashed += [*asm.put_long(R2, twin.GAMMA), asm.add_register(R1, R2), *_mix(R1)]
    return [
        *_flow_key(),
        *look_up(maps.flows, KEY),
        asm.jump_if(R0, "!=", 0, "flow"),
        *hashed,
        asm.store(DOUBLE, FRAME, STATE + 8, R1),
        *(asm.store_value(DOUBLE, FRAME, STATE + at, 0) for at in (0, 16, 24)),
        *asm.put_map(R1, maps.flows),
        *place_on_stack(R2, KEY),
        *place_on_stack(R3, STATE),
        asm.put(R4, _NOEXIST),
        asm.call(UPDATE),
        *look_up(maps.flows, KEY),
        asm.jump_if(R0, "==", 0, "go on"),
        asm.here("flow"),
        asm.copy(FLOW, R0),
        asm.put(R1, 1),
        asm.fetch_and_add(FLOW, 0, R1),
        asm.add(R1, 1),
        asm.store(DOUBLE, FRAME, NUMBER, R1),
        asm.load(DOUBLE, R1, FLOW, 8),
        asm.load(DOUBLE, R2, SETTINGS, SEED),
        asm.differ(R1, R2),
        *_mix(R1),
        asm.store(DOUBLE, FRAME, GENERATOR, R1),
    ]


def _load_bytes(offset: int, place: int, size: int) -> list[Op]:
    """Copy bytes of the packet to the stack; R0 is 0 if it has them."""
    return [
        asm.copy(R1, CONTEXT),
        asm.put(R2, offset),
        *place_on_stack(R3, place),
        asm.put(R4, size),
        asm.call(LOAD_BYTES),
    ]


def _flow_key() -> list[Op]:
    """Put together what the flow of the packet is known by, and where its bits may be flipped from."""
    return [
        *(asm.store_value(DOUBLE, FRAME, at, 0) for at in range(KEY, KEY + FLOW_KEY_BYTES, 8)),
        asm.load(WORD, R1, FRAME, CHOSEN_KEY),
        asm.store(WORD, FRAME, KEY, R1),
        asm.load(WORD, R1, SETTINGS, EPOCH),
        asm.store(WORD, FRAME, KEY + 4, R1),
        asm.store_value(DOUBLE, FRAME, START, _ETHERNET),
        asm.load(WORD, R1, CONTEXT, SKB_PROTOCOL),
        asm.jump_if(R1, "==", _IP, "ip"),
        asm.jump_if(R1, "==", _IP6, "ip6"),
        asm.here("neighbours"),
        asm.load(WORD, R1, CONTEXT, SKB_PROTOCOL),
        asm.store(WORD, FRAME, ETHERTYPE, R1),
        asm.jump("known"),
        *_ip(),
        *_ip6(),
        *_ports(),
        asm.here("known"),
    ]


def _ip() -> list[Op]:
    return [
        asm.here("ip"),
        *_load_bytes(_ETHERNET, BYTES, 12),
        asm.jump_if(R0, "!=", 0, "neighbours"),
        asm.load(BYTE, R1, FRAME, BYTES),
        asm.keep_bits(R1, 15),
        asm.multiply_by(R1, 4),
        asm.add(R1, _ETHERNET),
        asm.store(DOUBLE, FRAME, START, R1),
        asm.load(BYTE, R1, FRAME, BYTES + 9),
        asm.store(BYTE, FRAME, PROTOCOL, R1),
        asm.jump_if(R1, "==", _IGMP, "neighbours"),
        asm.store_value(BYTE, FRAME, FAMILY, twin.IPV4),
        *_load_bytes(_ETHERNET + 12, KEY + 8, 4),
        *_load_bytes(_ETHERNET + 16, KEY + 24, 4),
        asm.load(HALF, R1, FRAME, BYTES + 6),
        asm.jump_if(R1, "has", _FRAGMENT, "known"),
        asm.jump("ports"),
    ]


def _ip6() -> list[Op]:
    return [
        asm.here("ip6"),
        *_load_bytes(_ETHERNET, BYTES, 8),
        asm.jump_if(R0, "!=", 0, "neighbours"),
        asm.store_value(DOUBLE, FRAME, START, _ETHERNET + _IPV6_HEADER),
        asm.load(BYTE, R1, FRAME, BYTES + 6),
        asm.store(BYTE, FRAME, PROTOCOL, R1),
        asm.jump_if(R1, "==", _HOP_BY_HOP, "neighbours"),
        asm.jump_if(R1, "!=", _ICMP6, "ip6 traffic"),
        asm.store_value(DOUBLE, FRAME, BYTES, 0),
        *_load_bytes(_ETHERNET + _IPV6_HEADER, BYTES, 1),
        asm.load(BYTE, R1, FRAME, BYTES),
        *_if_neighbour_type(),
        asm.here("ip6 traffic"),
        asm.store_value(BYTE, FRAME, FAMILY, twin.IPV6),
        *_load_bytes(_ETHERNET + 8, KEY + 8, 32),
    ]


def _ports() -> list[Op]:
    return [
        asm.here("ports"),
        asm.load(BYTE, R1, FRAME, PROTOCOL),
        *(asm.jump_if(R1, "==", each, "with ports") for each in _WITH_PORTS),
        asm.jump("known"),
        asm.here("with ports"),
        asm.copy(R1, CONTEXT),
        asm.load(DOUBLE, R2, FRAME, START),
        *place_on_stack(R3, BYTES),
        asm.put(R4, 4),
        asm.call(LOAD_BYTES),
        asm.jump_if(R0, "!=", 0, "known"),
        asm.load(HALF, R1, FRAME, BYTES),
        asm.from_network(R1),
        asm.load(HALF, R2, FRAME, BYTES + 2),
        asm.from_network(R2),
        asm.jump_by_register(R2, ">=", R1, "lower port"),
        asm.copy(R1, R2),
        asm.here("lower port"),
        asm.store(HALF, FRAME, PORT, R1),
    ]


def _if_neighbour_type() -> list[Op]:
    """Go to `neighbours` if R1 is such a type of ICMPv6."""
    ops: list[Op] = []
    for first, last in _NEIGHBOUR_TYPES:
        label = f"not up to {last}"
        ops += [asm.jump_if(R1, "<", first, label), asm.jump_if(R1, "<", last + 1, "neighbours"), asm.here(label)]
    return ops


def _mix(register: int) -> list[Op]:
    """Do what `chosen_packets.mixed` does; uses R5."""
    ops: list[Op] = []
    for shift, factor in twin.MIX:
        ops += [asm.copy(R5, register), asm.shift_right(R5, shift), asm.differ(register, R5)]
        ops += [*asm.put_long(R5, factor), asm.multiply(register, R5)]
    return [*ops, asm.copy(R5, register), asm.shift_right(R5, twin.LAST_SHIFT), asm.differ(register, R5)]


def draw(place: int) -> list[Op]:
    """Draw 64 bits for the packet into R1; uses R2 and R5."""
    return [
        asm.load(DOUBLE, R1, FRAME, NUMBER),
        asm.multiply_by(R1, twin.DRAWS),
        asm.add(R1, place),
        *asm.put_long(R2, twin.GAMMA),
        asm.multiply(R1, R2),
        asm.load(DOUBLE, R2, FRAME, GENERATOR),
        asm.add_register(R1, R2),
        *_mix(R1),
    ]


def choose(maps: MiddleMaps) -> list[Op]:
    """Set the bit of each kind that chooses the packet."""
    return [op for kind in range(len(twin.KINDS)) for op in _choose_kind(maps, kind)]


def _choose_kind(maps: MiddleMaps, kind: int) -> list[Op]:
    base = HEAD.size + kind * CHOICE.size
    bad = 16 + 4 * kind
    yes, no, compare = f"{kind} yes", f"{kind} no", f"{kind} compare"
    return [
        asm.load(WORD, R1, SETTINGS, base + MODEL),
        asm.jump_if(R1, "==", NO_MODEL, no),
        asm.load(DOUBLE, R3, SETTINGS, base + CHANCE),
        asm.jump_if(R1, "==", INDEPENDENT, compare),
        asm.jump_if(R1, "==", BURSTS, f"{kind} bursts"),
        asm.load(BYTE, R2, FRAME, FAMILY),
        asm.jump_if(R2, "==", twin.NEIGHBOURS, no),
        asm.jump_if(R1, "==", NUMBERS, f"{kind} numbers"),
        asm.load(DOUBLE, R1, FRAME, NUMBER),
        asm.load(DOUBLE, R2, SETTINGS, base + EVERY_NTH),
        asm.remainder(R1, R2),
        asm.jump_if(R1, "==", 0, yes),
        asm.jump(no),
        asm.here(f"{kind} numbers"),
        asm.store_value(WORD, FRAME, CHOSEN_KEY + 4, kind),
        asm.load(DOUBLE, R1, FRAME, NUMBER),
        asm.store(DOUBLE, FRAME, CHOSEN_KEY + 8, R1),
        *look_up(maps.numbers, CHOSEN_KEY),
        asm.jump_if(R0, "!=", 0, yes),
        asm.jump(no),
        asm.here(f"{kind} bursts"),
        *draw(2 * kind + 1),
        asm.shift_right(R1, 1),
        asm.load(WORD, R4, FLOW, bad),
        asm.jump_if(R4, "!=", 0, f"{kind} bad"),
        asm.load(DOUBLE, R2, SETTINGS, base + WORSENS),
        asm.jump_by_register(R1, ">=", R2, compare),
        asm.store_value(WORD, FLOW, bad, 1),
        asm.jump(f"{kind} still bad"),
        asm.here(f"{kind} bad"),
        asm.load(DOUBLE, R2, SETTINGS, base + RECOVERS),
        asm.jump_by_register(R1, ">=", R2, f"{kind} still bad"),
        asm.store_value(WORD, FLOW, bad, 0),
        asm.jump(compare),
        asm.here(f"{kind} still bad"),
        asm.load(DOUBLE, R3, SETTINGS, base + BAD_CHANCE),
        asm.here(compare),
        *draw(2 * kind),
        asm.shift_right(R1, 1),
        asm.jump_by_register(R1, ">=", R3, no),
        asm.here(yes),
        asm.set_bits(CHOSEN, 1 << kind),
        asm.here(no),
    ]
