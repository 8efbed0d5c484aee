"""Entries of maps that lead to an interface: the kernel removes them with it, and here they are kept and put back."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

from netlab.programs import bpf
from netlab.programs.maps import Map

_NUMBER_BYTES = 4
_DEVMAPS = (bpf.DEVMAP, bpf.DEVMAP_HASH)

Entry = tuple[int, str, str]  # the kernel's number of a map; key and value as hexadecimal text


def leading_to(index: int, folders: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries of devmaps that lead to an interface, of maps pinned in these folders and of maps in them."""
    for folder in folders:
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            with Map.open(f"{folder}/{name}") as found:
                yield from _leading_to(index, found)


def _leading_to(index: int, found: Map) -> Iterator[Entry]:
    if found.type not in (*bpf.MAPS_OF_MAPS, *_DEVMAPS):
        return
    for key in list(found.keys()):
        try:
            value = found.get(key)
        except KeyError:
            continue
        number = int.from_bytes(value[:_NUMBER_BYTES], sys.byteorder)
        if found.type in _DEVMAPS:
            if number == index:
                yield found.id, key.hex(), value.hex()
        else:
            with Map.by_id(number) as inner:
                yield from _leading_to(index, inner)


def put_back(entries: Iterable[Entry]) -> None:
    """Put entries back, in the namespace of the interface; one whose map is gone is left out."""
    for number, key, value in entries:
        with suppress(OSError), Map.by_id(number) as found:
            data = bytes.fromhex(value)
            program = int.from_bytes(data[_NUMBER_BYTES:], sys.byteorder)
            if not program:
                found.set(bytes.fromhex(key), data)
                continue
            with bpf.Object(bpf.open_by_id(bpf.PROG_BY_ID, program, f"open the program {program}")) as opened:
                found.set(bytes.fromhex(key), data[:_NUMBER_BYTES] + opened.fd.to_bytes(_NUMBER_BYTES, sys.byteorder))
