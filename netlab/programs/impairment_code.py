"""What netlab runs where packets come into the middle of a link: one program for all directions of a lab.

It numbers the packets of each flow, chooses by these numbers which are lost, corrupted, doubled or overtake others,
and sends the rest on: to where the direction leads, or first to where it is held up. What it is to do stands in a map,
by the interface that a packet comes in at. `topology/chosen_packets` makes the same choices in Python.
"""

import socket
import struct

from netlab.named_tuple import NamedTuple
from netlab.programs import assembly as asm
from netlab.programs.assembly import (
    BYTE,
    DOUBLE,
    FRAME,
    HALF,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    WORD,
    Op,
)
from netlab.topology import chosen_packets as twin

NAME = "netlab_impair1"  # the number is that of the layouts below
# A choice: the model, then thresholds: chance, worsens, recovers, chance in the bad state; every n-th.
CHOICE = struct.Struct("=I4xQQQQQ")
NO_MODEL, INDEPENDENT, BURSTS, EVERY, NUMBERS = range(5)
# Where packets leave, flags, seed, delay and jitter (ns), where they are held up, the place in HELD, until when packets
# go that way though they are no longer held up (ns), and how often choices were changed; then a choice of each kind.
HEAD = struct.Struct("=IIQQQIIQI4x")
RELAYS, CHOOSES, HOLDS, BY_PROCESS = 1, 2, 4, 8  # flags
SETTINGS_BYTES = HEAD.size + len(twin.KINDS) * CHOICE.size
CAME, LOST, CORRUPTED, DOUBLED, OVERTAKEN = range(5)  # counts, 8 bytes each
COUNTS = struct.Struct("=5Q")
FLOW_KEY_BYTES = 8 + twin.FLOW.size  # the interface and how often choices were changed come first
FLOW_STATE = struct.Struct("=QQ4I")  # packets, the hash of the flow, and for each kind whether it is in the bad state
NUMBER_KEY = struct.Struct("=IIQ")  # the interface, the kind, the packet's number
# Packets of a direction that were given to the process which holds packets up; that it has sent, and lost; a spare one.
HELD = struct.Struct("=4Q")
# What stands before a frame that the process holds up: where it leaves, the place in HELD, its VLAN tag with flags, an
# Ethernet type for experiments, that of the tag, when it is due (CLOCK_MONOTONIC, ns), how many were given before it.
TAG = struct.Struct("=IIIHHQQ")
TAG_TYPE = socket.htons(0x88B5)
HAS_VLAN, IS_DOUBLED = 1 << 16, 1 << 17  # flags

_SKB_LEN, _SKB_PROTOCOL, _SKB_VLAN_PRESENT, _SKB_VLAN_TCI, _SKB_VLAN_PROTO, _SKB_IFINDEX = 0, 16, 20, 24, 28, 40
_LOOKUP, _UPDATE, _CLOCK, _STORE_BYTES, _CLONE_REDIRECT, _REDIRECT = 1, 2, 5, 9, 13, 23  # enum bpf_func_id
_LOAD_BYTES, _CHANGE_HEAD, _CSUM_LEVEL = 26, 43, 135
_TO_INGRESS, _NOEXIST, _CSUM_RESET, _DROP = 1, 1, 3, 2
_ETHERNET, _IPV6_HEADER, _FRAGMENT = 14, 40, socket.htons(0x3FFF)
_IP, _IP6 = socket.htons(0x0800), socket.htons(0x86DD)
_IGMP, _ICMP6, _HOP_BY_HOP = 2, 58, 0
_NEIGHBOUR_TYPES = ((130, 137), (143, 143))  # of ICMPv6: MLD and ND
_WITH_PORTS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_SCTP, 33, 136)  # and DCCP, UDP-Lite
# In the settings.
_TARGET, _FLAGS, _SEED, _DELAY, _JITTER, _STAGE, _PLACE, _UNTIL, _EPOCH = 0, 4, 8, 16, 24, 32, 36, 40, 48
_MODEL, _CHANCE, _WORSENS, _RECOVERS, _BAD_CHANCE, _EVERY = 0, 8, 16, 24, 32, 40
# On the stack.
_KEY, _NUMBER_KEY, _BYTES, _STATE, _TAGGED = -48, -64, -80, -112, -144
_NUMBER, _GENERATOR, _START, _COUNTS = -152, -160, -168, -176
_PORT, _PROTOCOL, _FAMILY, _ETHERTYPE = _KEY + 40, _KEY + 42, _KEY + 43, _KEY + 44
_CONTEXT, _SETTINGS, _FLOW, _CHOSEN = R6, R7, R8, R9  # what registers hold


class MiddleMaps(NamedTuple):
    """Descriptors of the maps of one middle: settings and counts by interface, flows, chosen numbers, held packets."""

    settings: int
    counts: int
    flows: int
    numbers: int
    held: int


def program(maps: MiddleMaps) -> bytes:
    """Return the instructions."""
    return asm.assembled(
        [
            asm.copy(_CONTEXT, R1),
            asm.put(_CHOSEN, 0),
            *(asm.store_value(DOUBLE, FRAME, at, 0) for at in (_NUMBER, _GENERATOR)),
            *_settings(maps),
            *_number(maps),
            *_choose(maps),
            *_lose(),
            *_corrupt(),
            asm.here("go on"),
            *_hold(maps),
            *_emit(),
            asm.here("drop"),
            asm.put(R0, _DROP),
            asm.here("out"),
            asm.leave(),
        ]
    )


def _at(register: int, place: int) -> list[Op]:
    """Set a register to a place on the stack."""
    return [asm.copy(register, FRAME), asm.add(register, place)]


def _look_up(table: int, key: int) -> list[Op]:
    return [*asm.put_map(R1, table), *_at(R2, key), asm.call(_LOOKUP)]


def _count(what: int) -> list[Op]:
    """Add 1 to a count; uses R1 and R2."""
    return [asm.load(DOUBLE, R1, FRAME, _COUNTS), asm.put(R2, 1), asm.add_atomically(R1, 8 * what, R2)]


def _settings(maps: MiddleMaps) -> list[Op]:
    """Find what is to be done with packets that come in here, and count them; a direction that only relays is quick."""
    return [
        asm.load(WORD, R1, _CONTEXT, _SKB_IFINDEX),
        asm.store(WORD, FRAME, _NUMBER_KEY, R1),
        *_look_up(maps.settings, _NUMBER_KEY),
        asm.jump_if(R0, "==", 0, "drop"),
        asm.copy(_SETTINGS, R0),
        asm.load(WORD, R1, _SETTINGS, _FLAGS),
        asm.jump_if(R1, "has", RELAYS, "relay"),
        *_look_up(maps.counts, _NUMBER_KEY),
        asm.jump_if(R0, "==", 0, "drop"),
        asm.store(DOUBLE, FRAME, _COUNTS, R0),
        *_count(CAME),
        asm.load(WORD, R1, _SETTINGS, _FLAGS),
        asm.jump_if(R1, "has", CHOOSES, "choose"),
        asm.jump("go on"),
        asm.here("relay"),
        asm.load(WORD, R1, _SETTINGS, _TARGET),
        asm.put(R2, 0),
        asm.call(_REDIRECT),
        asm.jump("out"),
        asm.here("choose"),
    ]


def _load_bytes(offset: int, place: int, size: int) -> list[Op]:
    """Copy bytes of the packet to the stack; R0 is 0 if it has them."""
    return [
        asm.copy(R1, _CONTEXT),
        asm.put(R2, offset),
        *_at(R3, place),
        asm.put(R4, size),
        asm.call(_LOAD_BYTES),
    ]


def _flow_key() -> list[Op]:
    """Put together what the flow of the packet is known by, and where its bits may be flipped from."""
    return [
        *(asm.store_value(DOUBLE, FRAME, at, 0) for at in range(_KEY, _KEY + FLOW_KEY_BYTES, 8)),
        asm.load(WORD, R1, FRAME, _NUMBER_KEY),
        asm.store(WORD, FRAME, _KEY, R1),
        asm.load(WORD, R1, _SETTINGS, _EPOCH),
        asm.store(WORD, FRAME, _KEY + 4, R1),
        asm.store_value(DOUBLE, FRAME, _START, _ETHERNET),
        asm.load(WORD, R1, _CONTEXT, _SKB_PROTOCOL),
        asm.jump_if(R1, "==", _IP, "ip"),
        asm.jump_if(R1, "==", _IP6, "ip6"),
        asm.here("neighbours"),
        asm.load(WORD, R1, _CONTEXT, _SKB_PROTOCOL),
        asm.store(WORD, FRAME, _ETHERTYPE, R1),
        asm.jump("known"),
        asm.here("ip"),
        *_load_bytes(_ETHERNET, _BYTES, 12),
        asm.jump_if(R0, "!=", 0, "neighbours"),
        asm.load(BYTE, R1, FRAME, _BYTES),
        asm.keep_bits(R1, 15),
        asm.multiply_by(R1, 4),
        asm.add(R1, _ETHERNET),
        asm.store(DOUBLE, FRAME, _START, R1),
        asm.load(BYTE, R1, FRAME, _BYTES + 9),
        asm.store(BYTE, FRAME, _PROTOCOL, R1),
        asm.jump_if(R1, "==", _IGMP, "neighbours"),
        asm.store_value(BYTE, FRAME, _FAMILY, twin.IPV4),
        *_load_bytes(_ETHERNET + 12, _KEY + 8, 4),
        *_load_bytes(_ETHERNET + 16, _KEY + 24, 4),
        asm.load(HALF, R1, FRAME, _BYTES + 6),
        asm.jump_if(R1, "has", _FRAGMENT, "known"),
        asm.jump("ports"),
        asm.here("ip6"),
        *_load_bytes(_ETHERNET, _BYTES, 8),
        asm.jump_if(R0, "!=", 0, "neighbours"),
        asm.store_value(DOUBLE, FRAME, _START, _ETHERNET + _IPV6_HEADER),
        asm.load(BYTE, R1, FRAME, _BYTES + 6),
        asm.store(BYTE, FRAME, _PROTOCOL, R1),
        asm.jump_if(R1, "==", _HOP_BY_HOP, "neighbours"),
        asm.jump_if(R1, "!=", _ICMP6, "ip6 traffic"),
        asm.store_value(DOUBLE, FRAME, _BYTES, 0),
        *_load_bytes(_ETHERNET + _IPV6_HEADER, _BYTES, 1),
        asm.load(BYTE, R1, FRAME, _BYTES),
        *_if_neighbour_type(),
        asm.here("ip6 traffic"),
        asm.store_value(BYTE, FRAME, _FAMILY, twin.IPV6),
        *_load_bytes(_ETHERNET + 8, _KEY + 8, 32),
        asm.here("ports"),
        asm.load(BYTE, R1, FRAME, _PROTOCOL),
        *(asm.jump_if(R1, "==", each, "with ports") for each in _WITH_PORTS),
        asm.jump("known"),
        asm.here("with ports"),
        asm.copy(R1, _CONTEXT),
        asm.load(DOUBLE, R2, FRAME, _START),
        *_at(R3, _BYTES),
        asm.put(R4, 4),
        asm.call(_LOAD_BYTES),
        asm.jump_if(R0, "!=", 0, "known"),
        asm.load(HALF, R1, FRAME, _BYTES),
        asm.from_network(R1),
        asm.load(HALF, R2, FRAME, _BYTES + 2),
        asm.from_network(R2),
        asm.jump_by_register(R2, ">=", R1, "lower port"),
        asm.copy(R1, R2),
        asm.here("lower port"),
        asm.store(HALF, FRAME, _PORT, R1),
        asm.here("known"),
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


def _number(maps: MiddleMaps) -> list[Op]:
    """Number the packet in its flow."""
    hashed: list[Op] = [asm.put(R1, 0)]
    for at in range(_KEY + 8, _KEY + FLOW_KEY_BYTES, 8):
        hashed += [asm.load(DOUBLE, R2, FRAME, at), asm.differ(R1, R2)]
        hashed += [*asm.put_long(R2, twin.GAMMA), asm.add_register(R1, R2), *_mix(R1)]
    return [
        *_flow_key(),
        *_look_up(maps.flows, _KEY),
        asm.jump_if(R0, "!=", 0, "flow"),
        *hashed,
        asm.store(DOUBLE, FRAME, _STATE + 8, R1),
        *(asm.store_value(DOUBLE, FRAME, _STATE + at, 0) for at in (0, 16, 24)),
        *asm.put_map(R1, maps.flows),
        *_at(R2, _KEY),
        *_at(R3, _STATE),
        asm.put(R4, _NOEXIST),
        asm.call(_UPDATE),
        *_look_up(maps.flows, _KEY),
        asm.jump_if(R0, "==", 0, "go on"),
        asm.here("flow"),
        asm.copy(_FLOW, R0),
        asm.put(R1, 1),
        asm.fetch_and_add(_FLOW, 0, R1),
        asm.add(R1, 1),
        asm.store(DOUBLE, FRAME, _NUMBER, R1),
        asm.load(DOUBLE, R1, _FLOW, 8),
        asm.load(DOUBLE, R2, _SETTINGS, _SEED),
        asm.differ(R1, R2),
        *_mix(R1),
        asm.store(DOUBLE, FRAME, _GENERATOR, R1),
    ]


def _draw(place: int) -> list[Op]:
    """Draw 64 bits for the packet into R1; uses R2 and R5."""
    return [
        asm.load(DOUBLE, R1, FRAME, _NUMBER),
        asm.multiply_by(R1, twin.DRAWS),
        asm.add(R1, place),
        *asm.put_long(R2, twin.GAMMA),
        asm.multiply(R1, R2),
        asm.load(DOUBLE, R2, FRAME, _GENERATOR),
        asm.add_register(R1, R2),
        *_mix(R1),
    ]


def _choose(maps: MiddleMaps) -> list[Op]:
    """Set the bit of each kind that chooses the packet."""
    return [op for kind in range(len(twin.KINDS)) for op in _choose_kind(maps, kind)]


def _choose_kind(maps: MiddleMaps, kind: int) -> list[Op]:
    base = HEAD.size + kind * CHOICE.size
    bad = 16 + 4 * kind
    yes, no, compare = f"{kind} yes", f"{kind} no", f"{kind} compare"
    return [
        asm.load(WORD, R1, _SETTINGS, base + _MODEL),
        asm.jump_if(R1, "==", NO_MODEL, no),
        asm.load(DOUBLE, R3, _SETTINGS, base + _CHANCE),
        asm.jump_if(R1, "==", INDEPENDENT, compare),
        asm.jump_if(R1, "==", BURSTS, f"{kind} bursts"),
        asm.load(BYTE, R2, FRAME, _FAMILY),
        asm.jump_if(R2, "==", twin.NEIGHBOURS, no),
        asm.jump_if(R1, "==", NUMBERS, f"{kind} numbers"),
        asm.load(DOUBLE, R1, FRAME, _NUMBER),
        asm.load(DOUBLE, R2, _SETTINGS, base + _EVERY),
        asm.remainder(R1, R2),
        asm.jump_if(R1, "==", 0, yes),
        asm.jump(no),
        asm.here(f"{kind} numbers"),
        asm.store_value(WORD, FRAME, _NUMBER_KEY + 4, kind),
        asm.load(DOUBLE, R1, FRAME, _NUMBER),
        asm.store(DOUBLE, FRAME, _NUMBER_KEY + 8, R1),
        *_look_up(maps.numbers, _NUMBER_KEY),
        asm.jump_if(R0, "!=", 0, yes),
        asm.jump(no),
        asm.here(f"{kind} bursts"),
        *_draw(2 * kind + 1),
        asm.shift_right(R1, 1),
        asm.load(WORD, R4, _FLOW, bad),
        asm.jump_if(R4, "!=", 0, f"{kind} bad"),
        asm.load(DOUBLE, R2, _SETTINGS, base + _WORSENS),
        asm.jump_by_register(R1, ">=", R2, compare),
        asm.store_value(WORD, _FLOW, bad, 1),
        asm.jump(f"{kind} still bad"),
        asm.here(f"{kind} bad"),
        asm.load(DOUBLE, R2, _SETTINGS, base + _RECOVERS),
        asm.jump_by_register(R1, ">=", R2, f"{kind} still bad"),
        asm.store_value(WORD, _FLOW, bad, 0),
        asm.jump(compare),
        asm.here(f"{kind} still bad"),
        asm.load(DOUBLE, R3, _SETTINGS, base + _BAD_CHANCE),
        asm.here(compare),
        *_draw(2 * kind),
        asm.shift_right(R1, 1),
        asm.jump_by_register(R1, ">=", R3, no),
        asm.here(yes),
        asm.set_bits(_CHOSEN, 1 << kind),
        asm.here(no),
    ]


def _bit(kind: str) -> int:
    return 1 << twin.KINDS.index(kind)


def _lose() -> list[Op]:
    return [
        asm.copy(R1, _CHOSEN),
        asm.keep_bits(R1, _bit(twin.LOSS)),
        asm.jump_if(R1, "==", 0, "kept"),
        *_count(LOST),
        asm.jump("drop"),
        asm.here("kept"),
    ]


def _corrupt() -> list[Op]:
    """Flip one bit behind the IP header, and let the receiver find out: nobody has checked the sums meanwhile."""
    return [
        asm.copy(R1, _CHOSEN),
        asm.keep_bits(R1, _bit(twin.CORRUPT)),
        asm.jump_if(R1, "==", 0, "whole"),
        *_draw(twin.PLACE_DRAW),
        asm.shift_right(R1, 64 - twin.PLACE_BITS),
        asm.load(WORD, R2, _CONTEXT, _SKB_LEN),
        asm.load(DOUBLE, R3, FRAME, _START),
        asm.jump_by_register(R2, ">", R3, "room"),
        asm.copy(R3, R2),
        asm.add(R3, -1),
        asm.here("room"),
        asm.subtract(R2, R3),
        asm.multiply_by(R2, 8),
        asm.multiply(R1, R2),
        asm.shift_right(R1, twin.PLACE_BITS),
        asm.copy(_FLOW, R1),
        asm.keep_bits(_FLOW, 7),
        asm.shift_right(R1, 3),
        asm.add_register(R1, R3),
        asm.store(DOUBLE, FRAME, _START, R1),
        asm.copy(R2, R1),
        asm.copy(R1, _CONTEXT),
        *_at(R3, _BYTES),
        asm.put(R4, 1),
        asm.call(_LOAD_BYTES),
        asm.jump_if(R0, "!=", 0, "whole"),
        asm.put(R1, 1),
        asm.shift_left_by(R1, _FLOW),
        asm.load(BYTE, R2, FRAME, _BYTES),
        asm.differ(R2, R1),
        asm.store(BYTE, FRAME, _BYTES, R2),
        asm.copy(R1, _CONTEXT),
        asm.load(DOUBLE, R2, FRAME, _START),
        *_at(R3, _BYTES),
        asm.put(R4, 1),
        asm.put(R5, 0),
        asm.call(_STORE_BYTES),
        asm.jump_if(R0, "!=", 0, "whole"),
        asm.copy(R1, _CONTEXT),
        asm.put(R2, _CSUM_RESET),
        asm.call(_CSUM_LEVEL),
        *_count(CORRUPTED),
        asm.here("whole"),
    ]


def _hold(maps: MiddleMaps) -> list[Op]:
    """Choose where the packet goes: R8 becomes the interface. What the process holds up leaves here."""
    return [
        asm.load(WORD, R8, _SETTINGS, _TARGET),
        asm.load(WORD, R1, _SETTINGS, _STAGE),
        asm.jump_if(R1, "==", 0, "emit"),
        asm.call(_CLOCK),
        asm.load(WORD, R1, _SETTINGS, _FLAGS),
        asm.jump_if(R1, "has", HOLDS, "held"),
        asm.load(DOUBLE, R2, _SETTINGS, _UNTIL),
        asm.jump_by_register(R0, ">=", R2, "emit"),
        asm.here("held"),
        asm.copy(R3, _CHOSEN),
        asm.keep_bits(R3, _bit(twin.REORDER)),
        asm.jump_if(R3, "==", 0, "no overtaking"),
        *_count(OVERTAKEN),
        asm.jump("emit"),
        asm.here("no overtaking"),
        asm.load(WORD, R8, _SETTINGS, _STAGE),
        asm.keep_bits(R1, BY_PROCESS),
        asm.jump_if(R1, "==", 0, "emit"),
        *_due(),
        *_tag(maps),
        asm.copy(R1, R8),
        asm.put(R2, _TO_INGRESS),
        asm.call(_REDIRECT),
        asm.jump("out"),
        asm.here("emit"),
    ]


def _due() -> list[Op]:
    """Put on the stack when the packet is due; R0 is the time now."""
    return [
        asm.load(DOUBLE, R3, _SETTINGS, _DELAY),
        asm.add_register(R3, R0),
        asm.load(DOUBLE, R4, _SETTINGS, _JITTER),
        asm.jump_if(R4, "==", 0, "even"),
        asm.subtract(R3, R4),
        *_draw(twin.JITTER_DRAW),
        asm.shift_right(R1, 64 - twin.JITTER_BITS),
        asm.add_register(R4, R4),
        asm.add(R4, 1),
        asm.multiply(R1, R4),
        asm.shift_right(R1, twin.JITTER_BITS),
        asm.add_register(R3, R1),
        asm.here("even"),
        asm.store(DOUBLE, FRAME, _TAGGED + 16, R3),
    ]


def _tag(maps: MiddleMaps) -> list[Op]:
    """Put the tag before the frame; a doubled one counts twice."""
    return [
        asm.load(WORD, R1, _SETTINGS, _TARGET),
        asm.store(WORD, FRAME, _TAGGED, R1),
        asm.load(WORD, R1, _SETTINGS, _PLACE),
        asm.store(WORD, FRAME, _TAGGED + 4, R1),
        *_look_up(maps.held, _TAGGED + 4),
        asm.jump_if(R0, "==", 0, "drop"),
        asm.store_value(HALF, FRAME, _TAGGED + 12, TAG_TYPE),
        asm.store_value(HALF, FRAME, _TAGGED + 14, 0),
        asm.put(R1, 0),
        asm.load(WORD, R2, _CONTEXT, _SKB_VLAN_PRESENT),
        asm.jump_if(R2, "==", 0, "no tag"),
        asm.load(WORD, R1, _CONTEXT, _SKB_VLAN_TCI),
        asm.set_bits(R1, HAS_VLAN),
        asm.load(WORD, R2, _CONTEXT, _SKB_VLAN_PROTO),
        asm.store(HALF, FRAME, _TAGGED + 14, R2),
        asm.here("no tag"),
        asm.put(R3, 1),
        asm.copy(R2, _CHOSEN),
        asm.keep_bits(R2, _bit(twin.DUPLICATE)),
        asm.jump_if(R2, "==", 0, "no double"),
        asm.set_bits(R1, IS_DOUBLED),
        asm.put(R3, 2),
        asm.here("no double"),
        asm.store(WORD, FRAME, _TAGGED + 8, R1),
        asm.fetch_and_add(R0, 0, R3),
        asm.store(DOUBLE, FRAME, _TAGGED + 24, R3),
        asm.jump_if(R2, "==", 0, "tagged"),
        *_count(DOUBLED),
        asm.here("tagged"),
        asm.copy(R1, _CONTEXT),
        asm.put(R2, TAG.size),
        asm.put(R3, 0),
        asm.call(_CHANGE_HEAD),
        asm.jump_if(R0, "!=", 0, "drop"),
        asm.copy(R1, _CONTEXT),
        asm.put(R2, 0),
        *_at(R3, _TAGGED),
        asm.put(R4, TAG.size),
        asm.put(R5, 0),
        asm.call(_STORE_BYTES),
        asm.jump_if(R0, "!=", 0, "drop"),
    ]


def _emit() -> list[Op]:
    """Send the packet on, and once more before if it is doubled."""
    return [
        asm.copy(R1, _CHOSEN),
        asm.keep_bits(R1, _bit(twin.DUPLICATE)),
        asm.jump_if(R1, "==", 0, "once"),
        *_count(DOUBLED),
        asm.copy(R1, _CONTEXT),
        asm.copy(R2, R8),
        asm.put(R3, 0),
        asm.call(_CLONE_REDIRECT),
        asm.here("once"),
        asm.copy(R1, R8),
        asm.put(R2, 0),
        asm.call(_REDIRECT),
        asm.jump("out"),
    ]
