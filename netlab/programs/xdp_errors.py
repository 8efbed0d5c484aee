"""What goes wrong with XDP in a lab, counted in the kernel: programs at its tracepoints, and maps, pinned in the lab.

The pins are all that holds them, so they go with the lab's BPF file system. `xdp_error_code` has the programs, and
`xdp_reasons` says in words what the numbers mean.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from netlab import paths
from netlab.errors import HostError
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, kernel_numbers
from netlab.programs import xdp_error_code as code
from netlab.programs.maps import Map

_MAPS = NODES, CPUMAPS, COUNTS, RING = "nodes", "cpumaps", "counts", "ring"
_BYTES = "latin-1"  # each byte is a letter, as a name may have any
_NUMBER = struct.Struct("=I")
_MOST_NODES, _MOST_COUNTS, _RING_BYTES = 4096, 4096, 1 << 16


_T = TypeVar("_T")


class Error(NamedTuple):
    """What is counted together: the place of the node in the record, and what has failed, as in xdp_error_code.KEY."""

    node: int
    kind: int
    extra: int
    code: int
    number: int
    interface: str
    target: str


class Report(NamedTuple):
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
    _twice(partial(_open_all, folder))


def count_on_the_way(folder: str) -> ExitStack:
    """Count also what is lost after a redirect that went well, until the result is closed; HostError as above.

    This is not for all time: the kernel then runs a program for each bunch of frames, whether any was lost or not.
    """
    return _twice(partial(_count_on_the_way, folder))


def _twice(work: Callable[[kernel_numbers.Numbers], _T]) -> _T:
    """Return what the work returns; if the kernel refuses it, what is kept of its numbers may have been misleading."""
    wanted = tuple(code.TRACEPOINTS), code.FIELDS
    try:
        return work(kernel_numbers.numbers(*wanted))
    except OSError:
        kernel_numbers.forget()
    try:
        return work(kernel_numbers.numbers(*wanted))
    except OSError as error:
        raise HostError(f"this kernel does not let netlab count it: {error}") from error


def _open_all(folder: str, numbers: kernel_numbers.Numbers) -> None:
    place = paths.xdp_errors(folder)
    with ExitStack() as held:
        made = (
            _table(NODES, _NUMBER.size, _NUMBER.size, _MOST_NODES),
            _table(CPUMAPS, _NUMBER.size, _NUMBER.size, _MOST_NODES),
            _table(COUNTS, code.KEY.size, code.COUNT.size, _MOST_COUNTS),
            bpf.create_map(bpf.RING_BUFFER, (0, 0, _RING_BYTES), "make a ring", name=f"netlab_{RING}"),
        )
        maps = code.Maps(*(held.enter_context(bpf.Object(fd)).fd for fd in made))
        links = {name: held.enter_context(_attached(name, maps, numbers)) for name in code.OF_ERRORS}
        os.mkdir(place, 0o700)
        try:
            for name, fd in zip(_MAPS, maps, strict=True):
                bpf.pin(fd, f"{place}/{name}")
            for name, link in links.items():
                bpf.pin(link.fd, f"{place}/{name}")
        except OSError:
            _clear(place)
            raise


def _clear(place: str) -> None:
    for name in os.listdir(place):
        os.unlink(f"{place}/{name}")
    os.rmdir(place)


def _count_on_the_way(folder: str, numbers: kernel_numbers.Numbers) -> ExitStack:
    with ExitStack() as held, ExitStack() as opened:
        pins = (f"{paths.xdp_errors(folder)}/{name}" for name in _MAPS)
        maps = code.Maps(*(opened.enter_context(Map.open(pin)).fd for pin in pins))
        for name in code.ON_THE_WAY:
            held.enter_context(_attached(name, maps, numbers))
        return held.pop_all()


def _attached(name: str, maps: code.Maps, numbers: kernel_numbers.Numbers) -> bpf.Object:
    """Return the program for a tracepoint at work, which it is as long as this is held or pinned."""
    what, instructions = f"count what {name} tells", code.program(name, maps, numbers)
    kind, attach_type = bpf.TRACING, bpf.ATTACH_TRACEPOINT
    fd = bpf.load_program(instructions, what, name=name, attach_type=attach_type, kind=kind, attach_to=numbers[name])
    with bpf.Object(fd) as loaded:
        return bpf.Object(bpf.attach_to_tracepoint(loaded.fd, what))


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


def renumber(folder: str, places: Mapping[int, int]) -> None:
    """Give nodes other places: what was counted goes with them, and with nodes that have none it is gone.

    No node is known afterwards: `add_nodes` adds them.
    """
    pins = paths.xdp_errors(folder)
    with Map.open(f"{pins}/{NODES}") as nodes:
        for key in list(nodes.keys()):
            nodes.delete(key)
    with Map.open(f"{pins}/{CPUMAPS}") as maps:
        for number in list(maps.keys()):
            place = _NUMBER.unpack(maps.get(number))[0]
            maps.delete(number)
            if place in places:
                maps.set(number, _NUMBER.pack(places[place]))
    if any(old != new for old, new in places.items()):
        _renumber_counts(f"{pins}/{COUNTS}", places)


def _renumber_counts(pin: str, places: Mapping[int, int]) -> None:
    with Map.open(pin) as found:
        known = {key: found.get(key) for key in list(found.keys())}
        for key in known:
            found.delete(key)
        for key, value in known.items():
            error = error_of(key)
            if error.node in places:
                found.set(key_of(error._replace(node=places[error.node])), value)


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
    from netlab.programs.map_reader import entries

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


def report_of(data: bytes) -> Report:
    """Return what is in the ring as its fields."""
    *_, ns, frames, detail = code.EVENT.unpack(data)
    return Report(error_of(data[: code.KEY.size]), ns, frames, detail)


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode(_BYTES)
