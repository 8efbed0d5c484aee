"""Layouts that the program in the middle of impaired links shares with Python, and what its parts have in common."""

import socket
import struct

from netlab.named_tuple import NamedTuple
from netlab.programs import assembly as asm
from netlab.programs.assembly import DOUBLE, FRAME, R1, R2, R6, R7, R8, R9, Op
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

# struct __sk_buff
SKB_LEN, SKB_PROTOCOL, SKB_VLAN_PRESENT, SKB_VLAN_TCI, SKB_VLAN_PROTO, SKB_IFINDEX = 0, 16, 20, 24, 28, 40
# enum bpf_func_id
LOOKUP, UPDATE, CLOCK, STORE_BYTES, CLONE_REDIRECT, REDIRECT, LOAD_BYTES = 1, 2, 5, 9, 13, 23, 26
CHANGE_HEAD, CSUM_LEVEL = 43, 135
# In the settings, and in a choice.
TARGET, FLAGS, SEED, DELAY, JITTER, STAGE, PLACE, UNTIL, EPOCH = 0, 4, 8, 16, 24, 32, 36, 40, 48
MODEL, CHANCE, WORSENS, RECOVERS, BAD_CHANCE, EVERY_NTH = 0, 8, 16, 24, 32, 40
# On the stack: the key of the flow, of a chosen number, bytes of the packet, a new flow's state, the tag; then numbers:
# of the packet in its flow, what its draws begin with, where its bits may be flipped from; and where its counts are.
KEY, CHOSEN_KEY, BYTES, STATE, TAGGED = -48, -64, -80, -112, -144
NUMBER, GENERATOR, START, COUNTS_AT = -152, -160, -168, -176
PORT, PROTOCOL, FAMILY, ETHERTYPE = KEY + 40, KEY + 42, KEY + 43, KEY + 44
CONTEXT, SETTINGS, FLOW, CHOSEN = R6, R7, R8, R9  # what registers hold; FLOW is free once all is chosen


class MiddleMaps(NamedTuple):
    """Descriptors of the maps of one middle: settings and counts by interface, flows, chosen numbers, held packets."""

    settings: int
    counts: int
    flows: int
    numbers: int
    held: int


def place_on_stack(register: int, place: int) -> list[Op]:
    """Set a register to a place on the stack."""
    return [asm.copy(register, FRAME), asm.add(register, place)]


def look_up(table: int, key: int) -> list[Op]:
    """Look a key on the stack up in a map: R0 becomes the place of the value, 0 if there is none."""
    return [*asm.put_map(R1, table), *place_on_stack(R2, key), asm.call(LOOKUP)]


def count(what: int) -> list[Op]:
    """Add 1 to a count; uses R1 and R2."""
    return [asm.load(DOUBLE, R1, FRAME, COUNTS_AT), asm.put(R2, 1), asm.add_atomically(R1, 8 * what, R2)]
