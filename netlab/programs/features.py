"""The kernel features that netlab and its programs need: the name of each, the first Linux with it, and a probe.

Usually nothing is probed. Only when the kernel has refused a program are the features probed that the program's source
uses. Features that it does not use may be missing.
"""

import ctypes
import errno
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from netlab import assets
from netlab.kernel import syscalls
from netlab.kernel.netlink import Channel
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf
from netlab.topology import program_text
from netlab.topology.hooks import INGRESS, XDP

LEAST = (6, 1)  # the oldest kernel of `make test-kernels`; pyproject.toml, README.md and docs name it, too

_XDP_DROP, _XDP_REDIRECT = 1, 4
_BROADCAST = 8
_REDIRECT_MAP, _XDP_LOAD_BYTES = 51, 189  # enum bpf_func_id
_TEST_FRAME = bytes(64)

# enum rtnetlink_groups and friends: linux/rtnetlink.h, linux/if_link.h
_NEWLINK, _SETLINK, _REQUEST_CREATE, _REQUEST = 16, 19, 0x601, 1
_LINKINFO, _INFO_KIND, _IFNAME, _IFLA_XDP, _NESTED = 18, 1, 3, 43, 0x8000
_VETH, _INDEX, _DRIVER_MODE = "veth-probe", 7, 4
_LO_INDEX = 1


class Feature(NamedTuple):
    """A feature of a kernel: its name, the first Linux with it, and a probe.

    A source that needs it matches `words`, which is None if sources cannot show that they need it.
    """

    name: str
    since: tuple[int, int]
    is_there: Callable[[], bool]
    words: re.Pattern[str] | None = None


def lack(path: str) -> str:
    """Return one line on what a refused program needs and this kernel lacks; "" if it lacks nothing.

    For a program that comes with netlab, there is also a line if the kernel is too old for netlab.
    """
    text = _text(path)
    missing = [each for each in FEATURES if each.words and each.words.search(text) and not _has(each)]
    here = os.uname().release
    if missing:
        return f"needs {_listed(missing)}: this kernel, {here}, has not got {'it' if len(missing) == 1 else 'them'}"
    if is_ours(path) and version(here) < LEAST:
        return f"needs Linux {_dotted(LEAST)} or newer: this kernel, {here}, refuses it"
    return ""


def attach_lack(hook: str = XDP) -> str:
    """Return one line on why no program can be attached at a hook, natively, of a link of netlab's; "" when one can."""
    needed = next(each for each in FEATURES if each.is_there is (_native_on_veth if hook == XDP else _tc))
    return "" if _has(needed) else f"needs {_listed([needed])}: this kernel, {os.uname().release}, has not got it"


def version(release: str) -> tuple[int, int]:
    """Return the first two numbers of a kernel's release; zeros where it has none."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _has(feature: Feature) -> bool:
    """Probe. A feature that cannot be probed, such as without root, counts as there: the kernel's error says more."""
    try:
        return feature.is_there()
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EACCES, errno.ENOMEM, errno.EMFILE)


def _listed(features: list[Feature]) -> str:
    return ", ".join(f"{each.name} (Linux {_dotted(each.since)} or newer)" for each in features)


def _dotted(numbers: tuple[int, int]) -> str:
    return ".".join(map(str, numbers))


def is_ours(path: str) -> bool:
    """Say whether a program comes with netlab."""
    return os.path.dirname(os.path.realpath(path)) == os.path.realpath(assets.folder("bpf"))


def _text(path: str) -> str:
    """Return a source with its headers; "" if it cannot be read any more."""
    try:
        return program_text.with_headers(path, program_text.read(path))
    except OSError:
        return ""


@contextmanager
def _closing(*fds: int) -> Iterator[None]:
    try:
        yield
    finally:
        for fd in fds:
            os.close(fd)


def _map(kind: int, value_bytes: int = 4, inner: int = 0, types: tuple[int, int, int] = (0, 0, 0)) -> int:
    return bpf.create_map(kind, (4, value_bytes, 1), "make a map", inner=inner, types=types)


def _program(instructions: bytes, attach_type: int = 0) -> int:
    return bpf.load_program(instructions, "load a program", attach_type=attach_type)


def _verdict(program: int, flags: int = 0) -> int:
    """Run a program once on a frame of zeros."""
    frame = ctypes.create_string_buffer(_TEST_FRAME, len(_TEST_FRAME))
    attr = bpf.attributes(
        "IIIIQQIIIIQQIII", program, 0, len(frame), 0, ctypes.addressof(frame), 0, 1, 0, 0, 0, 0, 0, flags, 0, 0
    )
    bpf.call(bpf.TEST_RUN, attr, "run a program")
    return int(struct.unpack_from("=I", attr, 4)[0])


def _code(*instructions: tuple[int, int, int, int]) -> bytes:
    """Return instructions, given as operation, destination and source register, and immediate."""
    return b"".join(struct.pack("=BBhi", code, to | (by << 4), 0, value) for code, to, by, value in instructions)


def _move(register: int, value: int) -> tuple[int, int, int, int]:
    return (0xB7, register, 0, value)


def _call(helper: int) -> tuple[int, int, int, int]:
    return (0x85, 0, 0, helper)


_EXIT = (0x95, 0, 0, 0)
_DROP = (_move(0, _XDP_DROP), _EXIT)


def _can_make(kind: int, value_bytes: int = 4) -> Callable[[], bool]:
    def is_there() -> bool:
        os.close(_map(kind, value_bytes))
        return True

    return is_there


def _array_of_maps() -> bool:
    inner = _map(bpf.ARRAY)
    with _closing(inner):
        os.close(_map(bpf.ARRAY_OF_MAPS, inner=inner))
    return True


def _spin_lock() -> bool:
    """Make an array of `struct { struct bpf_spin_lock lock; }`, which needs types: linux/btf.h."""
    names = b"\0int\0bpf_spin_lock\0val\0lock\0value\0"
    at = {name: names.index(b"\0" + name + b"\0") + 1 for name in (b"int", b"bpf_spin_lock", b"val", b"lock", b"value")}
    types = struct.pack("=IIII", at[b"int"], 1 << 24, 4, 32)  # 1: 32 bits, unsigned
    types += struct.pack("=IIIIII", at[b"bpf_spin_lock"], 4 << 24 | 1, 4, at[b"val"], 1, 0)  # 2
    types += struct.pack("=IIIIII", at[b"value"], 4 << 24 | 1, 4, at[b"lock"], 2, 0)  # 3
    blob = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names)) + types + names
    btf = bpf.load_btf(blob)
    with _closing(btf):
        os.close(_map(bpf.ARRAY, types=(btf, 1, 3)))
    return True


def _devmap_with_egress() -> bool:
    os.close(_map(bpf.DEVMAP, value_bytes=8))
    os.close(_program(_code(*_DROP), bpf.ATTACH_DEVMAP))
    return True


def _broadcast() -> bool:
    """Redirect to an empty map: a kernel that knows the flag redirects to nobody; one that does not aborts."""
    devmap = _map(bpf.DEVMAP)
    with _closing(devmap):
        load_map = struct.pack("=BBhiBBhi", 0x18, 1 | (1 << 4), 0, devmap, 0, 0, 0, 0)
        rest = _code(_move(2, 0), _move(3, _BROADCAST), _call(_REDIRECT_MAP), _EXIT)
        program = _program(load_map + rest)
        with _closing(program):
            return _verdict(program) == _XDP_REDIRECT


def _load_bytes() -> bool:
    buffer = (0xBF, 3, 10, 0), (0x07, 3, 0, -8)  # r3 = r10 - 8
    os.close(_program(_code(_move(2, 0), *buffer, _move(4, 8), _call(_XDP_LOAD_BYTES), *_DROP)))
    return True


def _live_frames() -> bool:
    program = _program(_code(*_DROP))
    with _closing(program):
        _verdict(program, bpf.LIVE_FRAMES)
    return True


def _native_on_veth() -> bool:
    """Make a link in a new namespace, and attach a program there. The namespace ends with the thread."""
    found: list[bool] = []

    def attach(_: Iterator[None]) -> None:
        syscalls.unshare_net()
        program, channel = _program(_code(*_DROP)), Channel()
        with _closing(program):
            kind = _attribute(_INFO_KIND, b"veth\0")
            name = _attribute(_IFNAME, _VETH.encode() + b"\0")
            make = _message(_NEWLINK, _REQUEST_CREATE, name + _attribute(_LINKINFO | _NESTED, kind))
            xdp = _attribute(1, struct.pack("=i", program)) + _attribute(3, struct.pack("=I", _DRIVER_MODE))
            order = _message(_SETLINK, _REQUEST, _attribute(_IFLA_XDP | _NESTED, xdp))
            refusal = channel.request([make]) or channel.request([order])
        channel.close()
        if refusal and refusal.errno in (errno.EPERM, errno.ENOMEM):
            raise OSError(refusal.errno, os.strerror(refusal.errno))
        found.append(refusal is None)

    syscalls.in_threads(1, attach, [None])
    return found[0]


def _tc() -> bool:
    """Attach a program for tc to the loopback of a new namespace, which goes with its thread."""
    from netlab.programs.tc_hook import TcHook

    found: list[bool] = []

    def attach(_: Iterator[None]) -> None:
        syscalls.unshare_net()
        program, channel = bpf.load_program(_code(*_DROP), "load a program", kind=bpf.SCHED_CLS), Channel()
        with _closing(program), closing(channel):
            TcHook(channel, INGRESS).add(_LO_INDEX, program)
        found.append(True)

    syscalls.in_threads(1, attach, [None])
    return bool(found)


def _message(kind: int, flags: int, attributes: bytes) -> bytes:
    """Return a message about the probe's interface; its index is chosen here, so it need not be looked up."""
    body = struct.pack("=BxHiII", 0, 0, _INDEX, 0, 0) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


FEATURES = (
    Feature("LRU hash maps", (4, 10), _can_make(bpf.LRU_HASH), re.compile(r"lru_hash|LRU_HASH")),
    Feature("maps of maps", (4, 12), _array_of_maps, re.compile(r"\bBPF_(ARRAY|HASH)_OF_MAPS\b")),
    Feature("native XDP on veth", (4, 19), _native_on_veth),
    Feature("tc programs, by tcx or by clsact and cls_bpf", (4, 5), _tc),
    Feature("spin locks in maps", (5, 1), _spin_lock, re.compile(r"\bbpf_spin_lock\b")),
    Feature("egress programs in devmaps", (5, 8), _devmap_with_egress, re.compile(r"\bBPF_XDP_REDIRECT_MAP\b")),
    Feature("broadcast by bpf_redirect_map", (5, 14), _broadcast, re.compile(r"\bBPF_F_BROADCAST\b")),
    Feature(
        "bpf_xdp_load_bytes and bpf_xdp_store_bytes",
        (5, 18),
        _load_bytes,
        re.compile(r"\bbpf_xdp_((load|store)_bytes|get_buff_len)\b"),
    ),
    Feature("test runs on frames that are real", (5, 18), _live_frames),
)
