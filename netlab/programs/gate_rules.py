"""What a room may ask of the kernel: kinds and sizes of maps, kinds and sizes of programs. Pure.

The kernel checks that a call is well formed. These rules bound what one room can take, and keep it to packets and maps.
"""

from netlab.named_tuple import NamedTuple
from netlab.programs import bpf

MAPS = frozenset(
    (
        *(bpf.HASH, bpf.ARRAY, bpf.PROG_ARRAY, bpf.PERF_ARRAY, bpf.PERCPU_HASH, bpf.PERCPU_ARRAY, bpf.LRU_HASH),
        *(bpf.LRU_PERCPU_HASH, bpf.LPM_TRIE, *bpf.MAPS_OF_MAPS, *bpf.DEVMAPS, bpf.CPUMAP, bpf.XSKMAP, *bpf.QUEUES),
        bpf.RING_BUFFER,
    )
)
# Maps whose values are bytes and nothing else
PLAIN = frozenset(
    (
        *(bpf.HASH, bpf.ARRAY, bpf.PERCPU_HASH, bpf.PERCPU_ARRAY, bpf.LRU_HASH, bpf.LRU_PERCPU_HASH, bpf.LPM_TRIE),
        *bpf.QUEUES,
    )
)
KINDS = frozenset((bpf.XDP, bpf.SCHED_CLS))
DATA_AT = {bpf.XDP: 0, bpf.SCHED_CLS: 76}  # where struct xdp_md and struct __sk_buff have `data`
_PROBES, _PROBE_INSTRUCTIONS = frozenset((1,)), 16  # what libbpf tries the kernel by: a socket's filter of a few lines
# BPF_F_NO_PREALLOC, NO_COMMON_LRU, RDONLY, WRONLY, ZERO_SEED, RDONLY_PROG, WRONLY_PROG, MMAPABLE, PRESERVE_ELEMS,
# INNER_MAP; not of another CPU's memory, nor of a link or a token
_MAP_FLAGS = 0x1 | 0x2 | 0x8 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x1000
_PROGRAM_FLAGS = 0x1 | 0x2 | 0x8 | 0x20  # strict or any alignment, states tested, XDP in fragments; none may sleep
_ATTACH_TYPES = frozenset((0, bpf.ATTACH_DEVMAP, bpf.ATTACH_CPUMAP, 37, 46, 47))  # and BPF_XDP, BPF_TCX_…
MOST_MAP_BYTES = 256 << 20  # of all maps of a room
MOST_MAPS, MOST_LOADS, MOST_TYPES = 512, 512, 64
MOST_INSTRUCTIONS = 1 << 18
_MOST_TYPE_BYTES = 1 << 22
_ENTRY_BYTES = 64  # what the kernel needs for an entry besides key and value, about
_MOST_RECORD_BYTES, _MOST_RECORDS = 256, 1 << 18


class NotAllowed(Exception):  # noqa: N818 - it is an answer rather than an error
    """A room asks for what it must not have; the text begins with a verb, or with a function's name."""

    kind = "outside"


class TooMuch(NotAllowed):
    """A room asks for more than it may have; honest programs do that, too."""

    kind = "build"


class Unprintable(NotAllowed):
    """A room loads a program of which nobody can tell what it will print; honest programs do that, too."""

    kind = "build"


class MapAsked(NamedTuple):
    """The attributes of BPF_MAP_CREATE."""

    kind: int
    key_bytes: int
    value_bytes: int
    entries: int
    flags: int
    inner: int
    numa: int
    name: bytes
    interface: int
    types: int
    key_type: int
    value_type: int
    kernels_type: int
    extra: int


class ProgramAsked(NamedTuple):
    """The attributes of BPF_PROG_LOAD; the last ones are of other kinds of programs, and must be zero."""

    kind: int
    instructions: int
    text: int
    terms: int
    log_level: int
    log_bytes: int
    log: int
    version: int
    flags: int
    name: bytes
    interface: int
    attach_type: int
    types: int
    function_bytes: int
    functions: int
    function_count: int
    line_bytes: int
    lines: int
    line_count: int
    attach_to: int
    attach_to_program: int


class Allowance:
    """What one room may still ask for."""

    def __init__(self) -> None:
        self._maps = self._map_bytes = self._loads = self._types = 0

    def map(self, asked: MapAsked, cpus: int = 0) -> None:
        """Count a map; NotAllowed if it is of a forbidden kind, or too much."""
        if asked.kind not in MAPS:
            known = bpf.MAP_TYPES[asked.kind] if asked.kind < len(bpf.MAP_TYPES) else str(asked.kind)
            raise NotAllowed(f"makes a map of the type {known}")
        if asked.flags & ~_MAP_FLAGS or asked.interface or asked.kernels_type:
            raise NotAllowed(f"makes a map with the flags {asked.flags:#x}")
        self._maps += 1
        self._map_bytes += bytes_of(asked, cpus or _cpus())
        if self._maps > MOST_MAPS or self._map_bytes > MOST_MAP_BYTES:
            raise TooMuch(f"makes maps of more than {MOST_MAP_BYTES >> 20} MB, or more than {MOST_MAPS} of them")

    def types(self, size: int) -> None:
        """Count types (BTF) of so many bytes."""
        self._types += 1
        if self._types > MOST_TYPES or size > _MOST_TYPE_BYTES:
            raise TooMuch(f"has types of more than {_MOST_TYPE_BYTES >> 20} MB")

    def program(self, asked: ProgramAsked) -> None:
        """Count an attempt to load a program."""
        self._loads += 1
        is_probe = asked.kind in _PROBES and asked.instructions <= _PROBE_INSTRUCTIONS
        if asked.kind not in KINDS and not is_probe:
            raise OSError(22, "")  # libbpf tries the kernel by others, too
        if self._loads > MOST_LOADS or not 0 < asked.instructions <= MOST_INSTRUCTIONS:
            raise TooMuch(f"has more than {MOST_INSTRUCTIONS:,} instructions, or more than {MOST_LOADS} programs")
        if asked.flags & ~_PROGRAM_FLAGS or asked.interface or asked.attach_to or asked.attach_to_program:
            raise NotAllowed("is a program for something else than an interface of its node")
        if asked.attach_type not in _ATTACH_TYPES:
            raise NotAllowed(f"is to be attached by the type {asked.attach_type}")
        for size, count in ((asked.function_bytes, asked.function_count), (asked.line_bytes, asked.line_count)):
            if size > _MOST_RECORD_BYTES or count > _MOST_RECORDS:
                raise TooMuch("brings along too much about its lines")


def bytes_of(asked: MapAsked, cpus: int) -> int:
    """Return how much memory a map takes, about, and at least."""
    if asked.kind == bpf.RING_BUFFER:
        return asked.entries
    copies = cpus if asked.kind in bpf.PER_CPU else 1
    each = -(-asked.key_bytes // 8) * 8 + -(-asked.value_bytes // 8) * 8 * copies
    return asked.entries * (each + (0 if asked.kind in bpf.FULL_ARRAYS else _ENTRY_BYTES))


def _cpus() -> int:
    from netlab.programs.maps import possible_cpus  # here, as the tests have their own number

    return possible_cpus()
