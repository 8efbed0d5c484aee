"""Reads the entries of a map, many with each call if the kernel can do that, and no more than the caller needs."""

import ctypes
import errno
import struct
from collections.abc import Iterator
from itertools import islice

from netlab.named_tuple import NamedTuple
from netlab.programs import bpf
from netlab.programs.maps import Map

_ROOM = 1 << 20  # bytes of values in one answer
_LEAST, _MOST = 64, 4096  # entries in one answer
_NO_BATCH = (errno.EINVAL, errno.ENOTSUP, 524)  # 524 is the kernel's own ENOTSUPP
_FIRST_ROOM = 4  # bytes at least, of the position that the kernel returns


class Entry(NamedTuple):
    """A key, and its value on each CPU: one value if the map is not per-CPU."""

    key: bytes
    values: tuple[bytes, ...]


def entries(of: Map) -> Iterator[Entry]:
    """Yield the entries of a map with keys. An entry that is added or removed meanwhile may be there or not."""
    try:
        yield from _by_batches(of)
    except _CannotError:
        yield from _one_by_one(of)


def _one_by_one(of: Map) -> Iterator[Entry]:
    keys = islice(of.keys(), max(of.max_entries, 1))  # if a key is removed meanwhile, the kernel starts from the first
    for key in keys:
        try:
            yield Entry(key, tuple(of.get_per_cpu(key)))
        except KeyError:
            continue


class _CannotError(Exception):
    """The kernel cannot read many entries of this map with one call, or not so few."""


def _by_batches(of: Map) -> Iterator[Entry]:
    """Yield entries by BPF_MAP_LOOKUP_BATCH; _CannotError only before the first of them."""
    if of.type not in bpf.BATCHED:
        raise _CannotError
    width = of.stride * of.cpus if of.is_per_cpu else of.value_size
    count = max(_LEAST, min(_MOST, _ROOM // max(width, 1)))
    keys, values = (ctypes.create_string_buffer(count * size) for size in (of.key_size, width))
    place = ctypes.create_string_buffer(max(of.key_size, _FIRST_ROOM))
    before, done = 0, False
    while not done:
        where = (before, ctypes.addressof(place), ctypes.addressof(keys), ctypes.addressof(values))
        attr = bpf.attributes("QQQQIIQQ", *where, count, of.fd, 0, 0)
        try:
            bpf.call(bpf.MAP_LOOKUP_BATCH, attr, "read entries")
        except FileNotFoundError:  # these are the last
            done = True
        except OSError as error:
            if before or error.errno not in (*_NO_BATCH, errno.ENOSPC):
                raise
            raise _CannotError from None
        before = ctypes.addressof(place)
        (there,) = struct.unpack_from("=I", attr, 32)
        read, found = keys.raw, values.raw
        for at in range(there):
            end = at * width + of.stride * of.cpus
            each = tuple(found[cpu : cpu + of.value_size] for cpu in range(at * width, end, of.stride))
            yield Entry(read[at * of.key_size : (at + 1) * of.key_size], each)
