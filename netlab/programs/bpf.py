"""The system call bpf(2), its constants, and the descriptors that it returns.

Attribute layouts are those of `union bpf_attr`; this and all numbers are in include/uapi/linux/bpf.h.
"""

import ctypes
import os
import struct
from types import TracebackType
from typing import Self

from netlab.errors import HostError
from netlab.named_tuple import NamedTuple

_SYSCALL_NUMBER = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
# enum bpf_cmd
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD, OBJ_PIN, OBJ_GET = range(8)
PROG_ATTACH, PROG_DETACH = 8, 9
TEST_RUN, PROG_NEXT_ID, MAP_NEXT_ID, PROG_BY_ID, MAP_BY_ID, OBJ_INFO, PROG_QUERY = range(10, 17)
TRACEPOINT_OPEN = 17  # BPF_RAW_TRACEPOINT_OPEN
BTF_LOAD, BTF_BY_ID, MAP_POP = 18, 19, 21  # MAP_POP is BPF_MAP_LOOKUP_AND_DELETE_ELEM
MAP_LOOKUP_BATCH, MAP_UPDATE_BATCH, ENABLE_STATS = 24, 26, 32
SCHED_CLS, XDP, TRACING = 3, 6, 26  # enum bpf_prog_type
ATTACH_TRACEPOINT, ATTACH_DEVMAP, ATTACH_CPUMAP = 23, 33, 35  # enum bpf_attach_type: BPF_TRACE_RAW_TP, BPF_XDP_DEVMAP …
# enum bpf_map_type, by the names that bcc has for them
MAP_TYPES = (
    *("unspecified", "hash", "array", "prog", "perf_output", "percpu_hash", "percpu_array", "stacktrace"),
    *("cgroup_array", "lru_hash", "lru_percpu_hash", "lpm_trie", "array_of_maps", "hash_of_maps", "devmap", "sockmap"),
    *("cpumap", "xskmap", "sockhash", "cgroup_storage", "reuseport_array", "percpu_cgroup_storage", "queue", "stack"),
    *("sk_storage", "devmap_hash", "struct_ops", "ringbuf", "inode_storage", "task_storage"),
)
HASH, ARRAY, PROG_ARRAY, LRU_HASH, ARRAY_OF_MAPS, HASH_OF_MAPS, DEVMAP, DEVMAP_HASH, CPUMAP = map(
    MAP_TYPES.index,
    ("hash", "array", "prog", "lru_hash", "array_of_maps", "hash_of_maps", "devmap", "devmap_hash", "cpumap"),
)
MAPS_OF_MAPS = (ARRAY_OF_MAPS, HASH_OF_MAPS)
DEVMAPS = (DEVMAP, DEVMAP_HASH)
PERF_ARRAY, RING_BUFFER = map(MAP_TYPES.index, ("perf_output", "ringbuf"))
EVENTS = (PERF_ARRAY, RING_BUFFER)  # maps without entries: programs put events into them, and readers take them out
OF_DESCRIPTORS = (PROG_ARRAY, PERF_ARRAY, MAP_TYPES.index("cgroup_array"))  # keys and values are of four bytes
PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, LPM_TRIE, QUEUE, STACK, XSKMAP = map(
    MAP_TYPES.index, ("percpu_hash", "percpu_array", "lru_percpu_hash", "lpm_trie", "queue", "stack", "xskmap")
)
PER_CPU = (PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH)
QUEUES = (QUEUE, STACK)  # maps without keys
ARRAYS = (ARRAY, PERCPU_ARRAY, PROG_ARRAY, ARRAY_OF_MAPS, DEVMAP, CPUMAP)  # a key is a number below max_entries
FULL_ARRAYS = (ARRAY, PERCPU_ARRAY)  # every key is there, and none can be deleted
BATCHED = (HASH, ARRAY, LRU_HASH, LPM_TRIE, PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH)  # one call reads many entries
ANY, LOCK = 0, 4  # flags of a lookup or an update: BPF_ANY, BPF_F_LOCK
NO_PREALLOC, RDONLY_PROG = 1, 1 << 7  # BPF_F_NO_PREALLOC and BPF_F_RDONLY_PROG, of a map
LIVE_FRAMES = 2  # BPF_F_TEST_XDP_LIVE_FRAMES, of a test run
_REPLACE = 4  # BPF_F_REPLACE, of an attachment
_MOST_ATTACHED = 64  # BPF_MPROG_MAX
_COUNT_AT = 24  # in union bpf_attr, after a query
NAME_BYTES = 15  # without the final zero

_ATTR_BYTES = 128
_INFO_BYTES = 256
_MAP_INFO = struct.Struct("=6I16s4x4x16x3I")
_PROG_INFO = struct.Struct("=2I8sII16xQ16x16s112xQQ8xI")
MAP_NAME_AT, PROG_NAME_AT = 24, 64  # where names are in the kernel's information

_MACHINE = os.uname().machine
_libc = ctypes.CDLL(None, use_errno=True)


def call(command: int, attr: "ctypes.Array[ctypes.c_char]", what: str) -> int:
    """Call bpf(2) and return its result; if it fails, OSError has `what`, which says what was tried."""
    if _MACHINE not in _SYSCALL_NUMBER:
        raise HostError(f"netlab does not know the number of bpf(2) on {_MACHINE}")
    result: int = _libc.syscall(_SYSCALL_NUMBER[_MACHINE], command, attr, _ATTR_BYTES)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def attributes(layout: str, *values: int | bytes) -> "ctypes.Array[ctypes.c_char]":
    """Return a `union bpf_attr` that begins with these values, in native order and without padding."""
    attr = ctypes.create_string_buffer(_ATTR_BYTES)
    struct.pack_into("=" + layout, attr, 0, *values)
    return attr


def info(fd: int, begin: bytes = b"") -> bytes:
    """Return the kernel's information on an object: struct bpf_map_info, bpf_prog_info or bpf_btf_info.

    `begin` is the content of the struct before the call: it may have addresses where the kernel writes more.
    """
    room = ctypes.create_string_buffer(begin, _INFO_BYTES)
    call(OBJ_INFO, attributes("IIQ", fd, len(room), ctypes.addressof(room)), "ask about a BPF object")
    return room.raw


def pin(fd: int, path: str) -> None:
    """Pin an object in a BPF file system."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    call(OBJ_PIN, attributes("QII", ctypes.addressof(name), fd, 0), f"cannot pin {path}")


class MapInfo(NamedTuple):
    """The kernel's information on a map; the last three are numbers: of its BTF, and of its key's and value's types."""

    type: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: bytes
    btf: int
    key_type: int
    value_type: int


def map_info(fd: int) -> MapInfo:
    """Return the kernel's information on a map."""
    return MapInfo._make(_MAP_INFO.unpack_from(info(fd)))


class ProgramInfo(NamedTuple):
    """The kernel's information on a program: sizes in bytes, `loaded_ns` since boot, number and time of its runs.

    Runs are counted only while statistics are on (`run_statistics`). `verified` counts the instructions that the
    verifier has processed, 0 if the kernel does not tell.
    """

    type: int
    id: int
    tag: bytes
    jited_bytes: int
    xlated_bytes: int
    loaded_ns: int
    name: bytes
    run_ns: int
    runs: int
    verified: int


def program_info(fd: int) -> ProgramInfo:
    """Return the kernel's information on a program."""
    return ProgramInfo._make(_PROG_INFO.unpack_from(info(fd)))


def program_id(fd: int) -> int:
    """Return the kernel's number of a program."""
    return program_info(fd).id


def run_statistics() -> "Object":
    """Let the kernel count the runs of all programs and their time, for as long as the result is open."""
    return Object(call(ENABLE_STATS, attributes("I", 0), "count what programs run"))


def open_by_id(command: int, number: int, what: str) -> int:
    """Return a descriptor of the object with this number; `command` is MAP_BY_ID, for example."""
    return call(command, attributes("III", number, 0, 0), what)


def create_map(
    kind: int,
    sizes: tuple[int, int, int],
    what: str,
    *,
    flags: int = 0,
    inner: int = 0,
    name: str = "",
    types: tuple[int, int, int] = (0, 0, 0),
) -> int:
    """Make a map, and return its descriptor; `sizes` are those of keys and values in bytes, and the most entries.

    `inner` is the descriptor of an example of the maps that a map of maps will contain. `types` are a descriptor of
    BTF, and the numbers of the key's and value's types in it.
    """
    text = name.encode()[:NAME_BYTES]
    return call(MAP_CREATE, attributes("5III16sIIII", kind, *sizes, flags, inner, 0, text, 0, *types), what)


def load_program(
    instructions: bytes,
    what: str,
    terms: bytes = b"GPL",
    name: str = "",
    attach_type: int = 0,
    *,
    kind: int = XDP,
    attach_to: int = 0,
    flags: int = 0,
) -> int:
    """Load a program of a kind (enum bpf_prog_type), without a log; return its descriptor.

    `attach_to` is a type of the kernel's, by its number. `flags` are BPF_F_….
    """
    held, terms_held = ctypes.create_string_buffer(instructions, len(instructions)), ctypes.create_string_buffer(terms)
    text = name.encode()[:NAME_BYTES]
    attr = attributes(
        "IIQQIIQII16sIIIIQIIQII",
        *(kind, len(instructions) // 8, ctypes.addressof(held), ctypes.addressof(terms_held), 0, 0, 0, 0, flags),
        *(text, 0, attach_type, 0, 0, 0, 0, 0, 0, 0, attach_to),
    )
    return call(PROG_LOAD, attr, what)


def attach(program: int, index: int, kind: int, before: int = 0) -> None:
    """Attach a program to an interface of this process's namespace; `kind` is one of enum bpf_attach_type.

    `before` is a descriptor of the program whose place it takes, 0 for none.
    """
    attr = attributes("IIIII", index, program, kind, _REPLACE if before else 0, before)
    call(PROG_ATTACH, attr, "attach a program")


def detach(program: int, index: int, kind: int) -> None:
    """Detach a program from an interface of this process's namespace."""
    call(PROG_DETACH, attributes("III", index, program, kind), "detach a program")


def attached(index: int, kind: int) -> list[int]:
    """Return the numbers of the programs that are attached to an interface, in their order."""
    room = (ctypes.c_uint32 * _MOST_ATTACHED)()
    attr = attributes("IIIIQI", index, kind, 0, 0, ctypes.addressof(room), _MOST_ATTACHED)
    call(PROG_QUERY, attr, "ask what is attached")
    (count,) = struct.unpack_from("=I", attr, _COUNT_AT)
    return list(room[:count])


def attach_to_tracepoint(program: int, what: str) -> int:
    """Let a program of the type TRACING run at its tracepoint, for as long as the returned descriptor is held."""
    return call(TRACEPOINT_OPEN, attributes("QI", 0, program), what)


def load_btf(types: bytes) -> int:
    """Load BTF into the kernel; return its descriptor."""
    held = ctypes.create_string_buffer(types, len(types))
    return call(BTF_LOAD, attributes("QQIII", ctypes.addressof(held), 0, len(types), 0, 0), "load types")


def btf(number: int) -> bytes:
    """Return the BTF with this number, as it was loaded; this takes CAP_SYS_ADMIN."""
    with Object(open_by_id(BTF_BY_ID, number, f"open the types {number}")) as types:
        return btf_of(types.fd)


def btf_of(fd: int) -> bytes:
    """Return the BTF behind a descriptor, as it was given to the kernel."""
    _, size = struct.unpack_from("=QI", info(fd))
    room = ctypes.create_string_buffer(size)
    info(fd, struct.pack("=QI", ctypes.addressof(room), size))
    return room.raw


class Object:
    """A file descriptor of a BPF object, closed at the end of a `with`, or when it is no longer used."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close the descriptor, once."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
