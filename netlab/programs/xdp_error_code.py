"""What netlab runs at the kernel's tracepoints of XDP: programs that count what goes wrong in the nodes of one lab.

Each belongs to one tracepoint. It does nothing if nothing went wrong (drops = 0), or if the interface is in no node of
the lab, which the number of its network namespace tells. Otherwise it adds to the count of this error, and for the
first ones in each second puts an event into a ring. So a million errors a second are counted, and tell little.

The tracepoints are in include/trace/events/xdp.h of the kernel.
"""

import errno
import struct
from collections.abc import Sequence

from netlab.named_tuple import NamedTuple
from netlab.programs import assembly as asm
from netlab.programs import bpf
from netlab.programs.assembly import DOUBLE, FRAME, HALF, R0, R1, R2, R3, R4, R6, R7, R8, R9, WORD, Op
from netlab.programs.kernel_numbers import Numbers

# What an error is told apart by: the node's number, what has failed, two numbers of that, another interface or an
# action (0: none), and the names of the interface and of the one that the frame was to leave by.
KEY = struct.Struct("=IBBHI4x16s16s")
COUNT = struct.Struct("=QQQI4x")  # frames, since when this second goes, events told in it, the last detail
EVENT = struct.Struct("=IBBHI4x16s16sQII")  # a key, then when, frames, and the detail: as the program gave it
MOST_TOLD = 10  # events of one error in a second
SECOND_NS = 1_000_000_000
KNOWN_ACTIONS, MOST_ACTIONS = 5, 255  # XDP_ABORTED to XDP_REDIRECT; higher numbers are all counted as one

EXCEPTION, REDIRECT, DEVMAP, TRANSMIT, CPUMAP, CPU = range(6)  # what has failed: kinds of errors
TRACEPOINTS = {
    "xdp_exception": EXCEPTION,
    "xdp_redirect_err": REDIRECT,
    "xdp_devmap_xmit": DEVMAP,
    "xdp_bulk_tx": TRANSMIT,
    "xdp_cpumap_enqueue": CPUMAP,
    "xdp_cpumap_kthread": CPU,
}
OF_ERRORS = ("xdp_exception", "xdp_redirect_err")  # these fire only if something goes wrong
ON_THE_WAY = tuple(name for name in TRACEPOINTS if name not in OF_ERRORS)  # these fire for each bunch of frames
FIELDS = ("net_device.name", "net_device.nd_net.net", "net.ns.inum", "bpf_prog.expected_attach_type")

_LOOKUP, _UPDATE, _CLOCK, _READ_KERNEL, _OUTPUT = 1, 2, 5, 113, 130  # enum bpf_func_id
_NOEXIST = 1
_NAME_BYTES = 16
_ARGUMENT = 8
# On the stack, below its end: an event, the value of a new count, and a number to look up or a pointer.
_EVENT, _VALUE, _SCRATCH = -EVENT.size, -EVENT.size - COUNT.size, -EVENT.size - COUNT.size - 8
_KIND, _EXTRA, _CODE, _NUMBER = _EVENT + 4, _EVENT + 5, _EVENT + 6, _EVENT + 8
_INTERFACE, _TARGET = _EVENT + 16, _EVENT + 32
_NS, _FRAMES, _DETAIL = _EVENT + 48, _EVENT + 56, _EVENT + 60
_SINCE, _TOLD, _LAST = 8, 16, 24  # in a count
_DEVICE, _FAILED, _CONTEXT = R6, R7, R9  # what registers hold: the device, how many frames failed, the arguments


class Maps(NamedTuple):
    """Descriptors: numbers of nodes by network namespaces, and by CPU maps; the counts; the ring of events."""

    nodes: int
    cpumaps: int
    counts: int
    ring: int


def program(tracepoint: str, maps: Maps, numbers: Numbers) -> bytes:
    """Return the instructions of the program for a tracepoint."""
    kind = TRACEPOINTS[tracepoint]
    heads = {
        EXCEPTION: _exception,
        REDIRECT: _redirect,
        DEVMAP: _devmap,
        TRANSMIT: _transmit,
        CPUMAP: _to_cpu,
        CPU: _to_cpu,
    }
    return asm.assembled(
        [
            asm.copy(_CONTEXT, R1),
            *heads[kind](maps, numbers, kind),
            *_count(maps),
            asm.here("out"),
            asm.put(R0, 0),
            asm.leave(),
        ]
    )


def _argument(to: int, place: int) -> Op:
    return asm.load(DOUBLE, to, _CONTEXT, _ARGUMENT * place)


def _clear(kind: int) -> list[Op]:
    """Fill the event with zeros, and the kind."""
    zeros = [asm.store_value(DOUBLE, FRAME, at, 0) for at in range(_EVENT, 0, 8)]
    return [*zeros, asm.store_value(asm.BYTE, FRAME, _KIND, kind)]


def _find_node(table: int) -> list[Op]:
    """Find the number of the node by the number in _SCRATCH; leave if it is nobody's."""
    return [
        *asm.put_map(R1, table),
        asm.copy(R2, FRAME),
        asm.add(R2, _SCRATCH),
        asm.call(_LOOKUP),
        asm.jump_if(R0, "==", 0, "out"),
        asm.load(WORD, R1, R0),
        asm.store(WORD, FRAME, _EVENT, R1),
    ]


def _of_device(maps: Maps, numbers: Numbers, kind: int) -> list[Op]:
    """Begin an event of the device in the register: its node, its name."""
    return [
        asm.load(DOUBLE, R1, _DEVICE, numbers["net_device.nd_net.net"]),
        asm.load(WORD, R1, R1, numbers["net.ns.inum"]),
        asm.store(DOUBLE, FRAME, _SCRATCH, R1),
        *_clear(kind),
        *_find_node(maps.nodes),
        *_read_name(_INTERFACE, _DEVICE, numbers),
    ]


def _read_name(place: int, device: int, numbers: Numbers) -> list[Op]:
    """Read the name of a device."""
    return [
        asm.copy(R3, device),
        asm.add(R3, numbers["net_device.name"]),
        asm.copy(R1, FRAME),
        asm.add(R1, place),
        asm.put(R2, _NAME_BYTES),
        asm.call(_READ_KERNEL),
    ]


def _read_pointer() -> list[Op]:
    """Read a pointer at R3 into _SCRATCH."""
    return [asm.copy(R1, FRAME), asm.add(R1, _SCRATCH), asm.put(R2, 8), asm.call(_READ_KERNEL)]


def _exception(maps: Maps, numbers: Numbers, kind: int) -> list[Op]:
    """Arguments: the device, the program, the action."""
    return [
        _argument(_DEVICE, 0),
        asm.put(_FAILED, 1),
        *_of_device(maps, numbers, kind),
        _argument(R1, 1),
        asm.load(WORD, R1, R1, numbers["bpf_prog.expected_attach_type"]),
        asm.store(asm.BYTE, FRAME, _EXTRA, R1),
        _argument(R1, 2),
        asm.copy_word(R1, R1),
        asm.store(WORD, FRAME, _DETAIL, R1),
        asm.jump_if(R1, "<", MOST_ACTIONS, "known"),
        asm.put(R1, MOST_ACTIONS),
        asm.here("known"),
        asm.store(WORD, FRAME, _NUMBER, R1),
    ]


def _redirect(maps: Maps, numbers: Numbers, kind: int) -> list[Op]:
    """Arguments: the device, the program, the target, minus the error, the type and number of the map, the index."""
    return [
        _argument(_DEVICE, 0),
        asm.put(_FAILED, 1),
        *_of_device(maps, numbers, kind),
        _argument(R1, 6),
        asm.store(WORD, FRAME, _DETAIL, R1),
        _argument(R2, 3),
        asm.negate_word(R2),
        asm.store(HALF, FRAME, _CODE, R2),
        _argument(R3, 4),
        asm.copy_word(R3, R3),
        asm.store(asm.BYTE, FRAME, _EXTRA, R3),
        asm.jump_if(R3, "==", bpf.DEVMAP, "entry"),
        asm.jump_if(R3, "==", bpf.DEVMAP_HASH, "entry"),
        asm.jump_if(R3, "!=", 0, "counted"),
        asm.jump_if(R2, "==", errno.EINVAL, "counted"),  # an index that no interface has may be any number
        asm.store(WORD, FRAME, _NUMBER, R1),
        asm.jump("counted"),
        asm.here("entry"),  # whose first field is the device
        asm.copy(R3, _CONTEXT),
        asm.add(R3, _ARGUMENT * 2),
        *_read_pointer(),  # Linux 6.1 lets no program load an argument that is a `const void *`
        asm.load(DOUBLE, R3, FRAME, _SCRATCH),
        asm.jump_if(R3, "==", 0, "counted"),
        *_read_pointer(),
        asm.load(DOUBLE, R8, FRAME, _SCRATCH),
        *_read_name(_TARGET, R8, numbers),
        asm.here("counted"),
    ]


def _drops(place: int) -> list[Op]:
    """Take the number of frames that failed; leave if there are none, which is the usual case."""
    return [_argument(_FAILED, place), asm.copy_word(_FAILED, _FAILED), asm.jump_if(_FAILED, "==", 0, "out")]


def _error(place: int) -> list[Op]:
    return [_argument(R1, place), asm.negate_word(R1), asm.store(HALF, FRAME, _CODE, R1)]


def _devmap(maps: Maps, numbers: Numbers, kind: int) -> list[Op]:
    """Arguments: the device, the one to leave by, frames sent, frames not sent, minus the error."""
    return [
        *_drops(3),
        _argument(_DEVICE, 0),
        *_of_device(maps, numbers, kind),
        *_error(4),
        _argument(R8, 1),
        *_read_name(_TARGET, R8, numbers),
    ]


def _transmit(maps: Maps, numbers: Numbers, kind: int) -> list[Op]:
    """Arguments: the device, frames sent, frames not sent, minus the error."""
    return [*_drops(2), _argument(_DEVICE, 0), *_of_device(maps, numbers, kind), *_error(3)]


def _to_cpu(maps: Maps, _: Numbers, kind: int) -> list[Op]:
    """Arguments: the number of the map, frames processed, frames not, the CPU. No device is told."""
    return [
        *_drops(2),
        _argument(R1, 0),
        asm.copy_word(R1, R1),
        asm.store(DOUBLE, FRAME, _SCRATCH, R1),
        *_clear(kind),
        *_find_node(maps.cpumaps),
        *([_argument(R1, 3), asm.store(WORD, FRAME, _NUMBER, R1)] if kind == CPUMAP else ()),
    ]


def _look_up(counts: int) -> list[Op]:
    return [*asm.put_map(R1, counts), asm.copy(R2, FRAME), asm.add(R2, _EVENT), asm.call(_LOOKUP)]


def _count(maps: Maps) -> Sequence[Op]:
    """Count the event on the stack, and tell it if it is one of the first in its second."""
    return [
        *_look_up(maps.counts),
        asm.jump_if(R0, "!=", 0, "there"),
        *(asm.store_value(DOUBLE, FRAME, _VALUE + at, 0) for at in range(0, COUNT.size, 8)),
        *asm.put_map(R1, maps.counts),
        asm.copy(R2, FRAME),
        asm.add(R2, _EVENT),
        asm.copy(R3, FRAME),
        asm.add(R3, _VALUE),
        asm.put(R4, _NOEXIST),
        asm.call(_UPDATE),
        *_look_up(maps.counts),
        asm.jump_if(R0, "==", 0, "out"),
        asm.here("there"),
        asm.copy(R8, R0),
        asm.add_atomically(R8, 0, _FAILED),
        asm.load(WORD, R1, FRAME, _DETAIL),
        asm.store(WORD, R8, _LAST, R1),
        asm.call(_CLOCK),
        asm.store(DOUBLE, FRAME, _NS, R0),
        asm.load(DOUBLE, R1, R8, _SINCE),
        asm.copy(R2, R0),
        asm.subtract(R2, R1),
        asm.jump_if(R2, "signed <", SECOND_NS, "same second"),  # another CPU's clock may be a little ahead
        asm.store(DOUBLE, R8, _SINCE, R0),
        asm.store_value(DOUBLE, R8, _TOLD, 0),
        asm.here("same second"),
        asm.load(DOUBLE, R1, R8, _TOLD),
        asm.jump_if(R1, ">=", MOST_TOLD, "out"),
        asm.add(R1, 1),
        asm.store(DOUBLE, R8, _TOLD, R1),
        asm.store(WORD, FRAME, _FRAMES, _FAILED),
        *asm.put_map(R1, maps.ring),
        asm.copy(R2, FRAME),
        asm.add(R2, _EVENT),
        asm.put(R3, EVENT.size),
        asm.put(R4, 0),
        asm.call(_OUTPUT),
    ]
