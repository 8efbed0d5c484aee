"""What goes wrong with XDP in a lab, counted in the kernel: programs at its tracepoints, and maps, pinned in the lab.

The pins are all that holds them, so they go with the lab's BPF file system. `xdp_error_code` has the programs, and
`xdp_reasons` says in words what the numbers mean.
"""

import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from netlab import paths
from netlab.errors import HostError
from netlab.programs import bpf, kernel_numbers
from netlab.programs import xdp_error_code as code
from netlab.programs.map_reader import entries
from netlab.programs.maps import Map

NODES, CPUMAPS, COUNTS, RING = "nodes", "cpumaps", "counts", "ring"
_BYTES = "latin-1"  # each byte is a letter, as a name may have any
_NUMBER = struct.Struct("=I")
_MOST_NODES, _MOST_COUNTS, _RING_BYTES = 4096, 4096, 1 << 16


class Error(NamedTuple):
    """What is counted together: the place of the node in the record, and what has failed, as in xdp_error_code.KEY."""

    node: int
    kind: int
    extra: int
    code: int
    number: int
    interface: str
    target: str


class Event(NamedTuple):
    """An error that was told: so many frames, at this time (CLOCK_MONOTONIC); the detail as the program gave it."""

    error: Error
    ns: int
    frames: int
    detail: int


class Counted(NamedTuple):
    """How many frames an error has taken so far, and the detail of the last one."""

    frames: int
    detail: int


def open_all(folder: str) -> None:
    """Count errors from now on, in the nodes that `add_node` adds; HostError if this kernel cannot, with nothing left.

    `folder` is the lab's, and a BPF file system is mounted in it.
    """
    try:
        _try(folder)
    except OSError:
        kernel_numbers.forget()  # what is kept of them may have misled us
        try:
            _try(folder)
        except OSError as error:
            raise HostError(f"this kernel does not let netlab count it: {error}") from error


def _try(folder: str) -> None:
    try:
        _open_all(folder, kernel_numbers.numbers(tuple(code.TRACEPOINTS), code.FIELDS))
    except OSError:
        shutil.rmtree(paths.xdp_errors(folder), ignore_errors=True)
        raise


def _open_all(folder: str, numbers: kernel_numbers.Numbers) -> None:
    with ExitStack() as held:

        def hold(fd: int) -> int:
            return held.enter_context(bpf.Object(fd)).fd

        maps = code.Maps(
            hold(_table(NODES, _NUMBER.size, _NUMBER.size, _MOST_NODES)),
            hold(_table(CPUMAPS, _NUMBER.size, _NUMBER.size, _MOST_NODES)),
            hold(_table(COUNTS, code.KEY.size, code.COUNT.size, _MOST_COUNTS)),
            hold(bpf.create_map(bpf.RING, (0, 0, _RING_BYTES), "make a ring", name=f"netlab_{RING}")),
        )
        links = {}
        for name in code.TRACEPOINTS:
            what = f"count what {name} tells"
            loaded = hold(
                bpf.load_program(
                    code.program(name, maps, numbers),
                    what,
                    name=name,
                    attach_type=bpf.ATTACH_TRACEPOINT,
                    kind=bpf.TRACING,
                    attach_to=numbers[name],
                )
            )
            links[name] = hold(bpf.attach_to_tracepoint(loaded, what))
        place = paths.xdp_errors(folder)
        os.mkdir(place, 0o700)
        for name, fd in ((NODES, maps.nodes), (CPUMAPS, maps.cpumaps), (COUNTS, maps.counts), (RING, maps.ring)):
            bpf.pin(fd, f"{place}/{name}")
        for name, fd in links.items():
            bpf.pin(fd, f"{place}/{name}")


def _table(name: str, key_bytes: int, value_bytes: int, entries_at_most: int) -> int:
    sizes = (key_bytes, value_bytes, entries_at_most)
    return bpf.create_map(bpf.HASH, sizes, "make a map", flags=bpf.NO_PREALLOC, name=f"netlab_{name}")


def is_there(folder: str) -> bool:
    """Say whether a lab's errors are counted."""
    return os.path.exists(f"{paths.xdp_errors(folder)}/{COUNTS}")


def add_nodes(folder: str, namespaces: Mapping[int, str]) -> None:
    """Count what happens in these nodes, too: files of network namespaces, by the places of nodes in the record."""
    with Map.open(f"{paths.xdp_errors(folder)}/{NODES}") as nodes:
        for place, path in namespaces.items():
            nodes.set(_NUMBER.pack(os.stat(path).st_ino & 0xFFFFFFFF), _NUMBER.pack(place))


def add_cpumaps(folder: str, node: int, numbers: Sequence[int]) -> None:
    """Count what happens on the way to CPUs, too: through CPU maps of this node, by the kernel's numbers of them."""
    with Map.open(f"{paths.xdp_errors(folder)}/{CPUMAPS}") as maps:
        for number in numbers:
            maps.set(_NUMBER.pack(number), _NUMBER.pack(node))


def counts(folder: str) -> dict[Error, Counted]:
    """Return what was counted so far; nothing in a lab where nothing is."""
    if not is_there(folder):
        return {}
    with Map.open(f"{paths.xdp_errors(folder)}/{COUNTS}") as found:
        return dict(_counted(found))


def _counted(found: Map) -> Iterator[tuple[Error, Counted]]:
    for entry in entries(found):
        frames, _, _, detail = code.COUNT.unpack(entry.values[0])
        yield error_of(entry.key), Counted(frames, detail)


def error_of(key: bytes) -> Error:
    """Return a key of the map of counts as its fields."""
    node, kind, extra, error, number, interface, target = code.KEY.unpack(key)
    return Error(node, kind, extra, error, number, _text(interface), _text(target))


def key_of(error: Error) -> bytes:
    """Return the key by which an error is counted."""
    return code.KEY.pack(*error[:-2], error.interface.encode(_BYTES), error.target.encode(_BYTES))


def event_of(data: bytes) -> Event:
    """Return what is in the ring as its fields."""
    *_, ns, frames, detail = code.EVENT.unpack(data)
    return Event(error_of(data[: code.KEY.size]), ns, frames, detail)


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode(_BYTES)
