"""What netlab runs where packets come into the middle of a link: one program for all directions of a lab.

It numbers the packets of each flow, chooses by these numbers which are lost, corrupted, doubled or overtake others,
and sends the rest on: to where the direction leads, or first to where it is held up. What it is to do stands in a map,
by the interface that a packet comes in at. `topology/chosen_packets` makes the same choices in Python.
"""

from netlab.programs import assembly as asm
from netlab.programs.assembly import BYTE, DOUBLE, FRAME, HALF, R0, R1, R2, R3, R4, R5, R8, WORD, Op
from netlab.programs.impairment_choices import choose, draw, number
from netlab.programs.impairment_layout import (
    BY_PROCESS,
    BYTES,
    CAME,
    CHANGE_HEAD,
    CHOOSES,
    CHOSEN,
    CHOSEN_KEY,
    CLOCK,
    CLONE_REDIRECT,
    CONTEXT,
    CORRUPTED,
    COUNTS_AT,
    CSUM_LEVEL,
    DELAY,
    DOUBLED,
    FLAGS,
    FLOW,
    GENERATOR,
    HAS_VLAN,
    HOLDS,
    IS_DOUBLED,
    JITTER,
    LOAD_BYTES,
    LOST,
    NUMBER,
    OVERTAKEN,
    PLACE,
    REDIRECT,
    RELAYS,
    SETTINGS,
    SKB_IFINDEX,
    SKB_LEN,
    SKB_VLAN_PRESENT,
    SKB_VLAN_PROTO,
    SKB_VLAN_TCI,
    STAGE,
    START,
    STORE_BYTES,
    TAG,
    TAG_TYPE,
    TAGGED,
    TARGET,
    UNTIL,
    MiddleMaps,
    count,
    look_up,
    place_on_stack,
)
from netlab.topology import chosen_packets as twin

_TO_INGRESS, _CSUM_RESET, _DROP = 1, 3, 2


def program(maps: MiddleMaps) -> bytes:
    """Return the instructions."""
    return asm.assembled(
        [
            asm.copy(CONTEXT, R1),
            asm.put(CHOSEN, 0),
            *(asm.store_value(DOUBLE, FRAME, at, 0) for at in (NUMBER, GENERATOR)),
            *_settings(maps),
            *number(maps),
            *choose(maps),
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


def _settings(maps: MiddleMaps) -> list[Op]:
    """Find what is to be done with packets that come in here, and count them; a direction that only relays is quick."""
    return [
        asm.load(WORD, R1, CONTEXT, SKB_IFINDEX),
        asm.store(WORD, FRAME, CHOSEN_KEY, R1),
        *look_up(maps.settings, CHOSEN_KEY),
        asm.jump_if(R0, "==", 0, "drop"),
        asm.copy(SETTINGS, R0),
        asm.load(WORD, R1, SETTINGS, FLAGS),
        asm.jump_if(R1, "has", RELAYS, "relay"),
        *look_up(maps.counts, CHOSEN_KEY),
        asm.jump_if(R0, "==", 0, "drop"),
        asm.store(DOUBLE, FRAME, COUNTS_AT, R0),
        *count(CAME),
        asm.load(WORD, R1, SETTINGS, FLAGS),
        asm.jump_if(R1, "has", CHOOSES, "choose"),
        asm.jump("go on"),
        asm.here("relay"),
        asm.load(WORD, R1, SETTINGS, TARGET),
        asm.put(R2, 0),
        asm.call(REDIRECT),
        asm.jump("out"),
        asm.here("choose"),
    ]


def _bit(kind: str) -> int:
    return 1 << twin.KINDS.index(kind)


def _lose() -> list[Op]:
    return [
        asm.copy(R1, CHOSEN),
        asm.keep_bits(R1, _bit(twin.LOSS)),
        asm.jump_if(R1, "==", 0, "kept"),
        *count(LOST),
        asm.jump("drop"),
        asm.here("kept"),
    ]


def _corrupt() -> list[Op]:
    """Flip one bit behind the IP header, and let the receiver find out: nobody has checked the sums meanwhile."""
    return [
        asm.copy(R1, CHOSEN),
        asm.keep_bits(R1, _bit(twin.CORRUPT)),
        asm.jump_if(R1, "==", 0, "whole"),
        *draw(twin.PLACE_DRAW),
        asm.shift_right(R1, 64 - twin.PLACE_BITS),
        asm.load(WORD, R2, CONTEXT, SKB_LEN),
        asm.load(DOUBLE, R3, FRAME, START),
        asm.jump_by_register(R2, ">", R3, "room"),
        asm.copy(R3, R2),
        asm.add(R3, -1),
        asm.here("room"),
        asm.subtract(R2, R3),
        asm.multiply_by(R2, 8),
        asm.multiply(R1, R2),
        asm.shift_right(R1, twin.PLACE_BITS),
        asm.copy(FLOW, R1),
        asm.keep_bits(FLOW, 7),
        asm.shift_right(R1, 3),
        asm.add_register(R1, R3),
        asm.store(DOUBLE, FRAME, START, R1),
        asm.copy(R2, R1),
        asm.copy(R1, CONTEXT),
        *place_on_stack(R3, BYTES),
        asm.put(R4, 1),
        asm.call(LOAD_BYTES),
        asm.jump_if(R0, "!=", 0, "whole"),
        asm.put(R1, 1),
        asm.shift_left_by(R1, FLOW),
        asm.load(BYTE, R2, FRAME, BYTES),
        asm.differ(R2, R1),
        asm.store(BYTE, FRAME, BYTES, R2),
        asm.copy(R1, CONTEXT),
        asm.load(DOUBLE, R2, FRAME, START),
        *place_on_stack(R3, BYTES),
        asm.put(R4, 1),
        asm.put(R5, 0),
        asm.call(STORE_BYTES),
        asm.jump_if(R0, "!=", 0, "whole"),
        asm.copy(R1, CONTEXT),
        asm.put(R2, _CSUM_RESET),
        asm.call(CSUM_LEVEL),
        *count(CORRUPTED),
        asm.here("whole"),
    ]


def _hold(maps: MiddleMaps) -> list[Op]:
    """Choose where the packet goes: R8 becomes the interface. What the process holds up leaves here."""
    return [
        asm.load(WORD, R8, SETTINGS, TARGET),
        asm.load(WORD, R1, SETTINGS, STAGE),
        asm.jump_if(R1, "==", 0, "emit"),
        asm.call(CLOCK),
        asm.load(WORD, R1, SETTINGS, FLAGS),
        asm.jump_if(R1, "has", HOLDS, "held"),
        asm.load(DOUBLE, R2, SETTINGS, UNTIL),
        asm.jump_by_register(R0, ">=", R2, "emit"),
        asm.here("held"),
        asm.copy(R3, CHOSEN),
        asm.keep_bits(R3, _bit(twin.REORDER)),
        asm.jump_if(R3, "==", 0, "no overtaking"),
        *count(OVERTAKEN),
        asm.jump("emit"),
        asm.here("no overtaking"),
        asm.load(WORD, R8, SETTINGS, STAGE),
        asm.keep_bits(R1, BY_PROCESS),
        asm.jump_if(R1, "==", 0, "emit"),
        *_due(),
        *_tag(maps),
        asm.copy(R1, R8),
        asm.put(R2, _TO_INGRESS),
        asm.call(REDIRECT),
        asm.jump("out"),
        asm.here("emit"),
    ]


def _due() -> list[Op]:
    """Put on the stack when the packet is due; R0 is the time now."""
    return [
        asm.load(DOUBLE, R3, SETTINGS, DELAY),
        asm.add_register(R3, R0),
        asm.load(DOUBLE, R4, SETTINGS, JITTER),
        asm.jump_if(R4, "==", 0, "even"),
        asm.subtract(R3, R4),
        *draw(twin.JITTER_DRAW),
        asm.shift_right(R1, 64 - twin.JITTER_BITS),
        asm.add_register(R4, R4),
        asm.add(R4, 1),
        asm.multiply(R1, R4),
        asm.shift_right(R1, twin.JITTER_BITS),
        asm.add_register(R3, R1),
        asm.here("even"),
        asm.store(DOUBLE, FRAME, TAGGED + 16, R3),
    ]


def _tag(maps: MiddleMaps) -> list[Op]:
    """Put the tag before the frame; a doubled one counts twice."""
    return [
        asm.load(WORD, R1, SETTINGS, TARGET),
        asm.store(WORD, FRAME, TAGGED, R1),
        asm.load(WORD, R1, SETTINGS, PLACE),
        asm.store(WORD, FRAME, TAGGED + 4, R1),
        *look_up(maps.held, TAGGED + 4),
        asm.jump_if(R0, "==", 0, "drop"),
        asm.store_value(HALF, FRAME, TAGGED + 12, TAG_TYPE),
        asm.store_value(HALF, FRAME, TAGGED + 14, 0),
        asm.put(R1, 0),
        asm.load(WORD, R2, CONTEXT, SKB_VLAN_PRESENT),
        asm.jump_if(R2, "==", 0, "no tag"),
        asm.load(WORD, R1, CONTEXT, SKB_VLAN_TCI),
        asm.set_bits(R1, HAS_VLAN),
        asm.load(WORD, R2, CONTEXT, SKB_VLAN_PROTO),
        asm.store(HALF, FRAME, TAGGED + 14, R2),
        asm.here("no tag"),
        asm.put(R3, 1),
        asm.copy(R2, CHOSEN),
        asm.keep_bits(R2, _bit(twin.DUPLICATE)),
        asm.jump_if(R2, "==", 0, "no double"),
        asm.set_bits(R1, IS_DOUBLED),
        asm.put(R3, 2),
        asm.here("no double"),
        asm.store(WORD, FRAME, TAGGED + 8, R1),
        asm.fetch_and_add(R0, 0, R3),
        asm.store(DOUBLE, FRAME, TAGGED + 24, R3),
        asm.jump_if(R2, "==", 0, "tagged"),
        *count(DOUBLED),
        asm.here("tagged"),
        asm.copy(R1, CONTEXT),
        asm.put(R2, TAG.size),
        asm.put(R3, 0),
        asm.call(CHANGE_HEAD),
        asm.jump_if(R0, "!=", 0, "drop"),
        asm.copy(R1, CONTEXT),
        asm.put(R2, 0),
        *place_on_stack(R3, TAGGED),
        asm.put(R4, TAG.size),
        asm.put(R5, 0),
        asm.call(STORE_BYTES),
        asm.jump_if(R0, "!=", 0, "drop"),
    ]


def _emit() -> list[Op]:
    """Send the packet on, and once more before if it is doubled."""
    return [
        asm.copy(R1, CHOSEN),
        asm.keep_bits(R1, _bit(twin.DUPLICATE)),
        asm.jump_if(R1, "==", 0, "once"),
        *count(DOUBLED),
        asm.copy(R1, CONTEXT),
        asm.copy(R2, R8),
        asm.put(R3, 0),
        asm.call(CLONE_REDIRECT),
        asm.here("once"),
        asm.copy(R1, R8),
        asm.put(R2, 0),
        asm.call(REDIRECT),
        asm.jump("out"),
    ]
