"""The instructions of loaded programs, kept by the kernel's numbers of these, as the kernel gives none back to load.

`capture --verdicts` loads them again, in a wrapper. A file has a line of JSON, and then the instructions, in which maps
are named by their numbers.
"""

import errno
import json
import os
from contextlib import suppress

from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, instructions

_MODE = 0o600


class Instructions(NamedTuple):
    """A program as it is kept: its code, in which maps have the kernel's numbers, licence, attach type, flags."""

    code: bytes
    terms: bytes
    attach_type: int = 0
    flags: int = 0


def numbered(code: bytes) -> bytes:
    """Return code that names maps by descriptors of this process, with the kernel's numbers of these maps."""
    places = dict(instructions.maps_named(code))
    numbers = {fd: bpf.map_info(fd).id for fd in set(places.values())}
    return instructions.with_descriptors(code, {at: numbers[fd] for at, fd in places.items()})


def keep(folder: str, program: int, kind: int, what: Instructions) -> None:
    """Keep the instructions of a loaded program, by its descriptor, in a folder."""
    files.ensure_folder(folder, files.FOR_OWNER)
    about = {"kind": kind, "terms": what.terms.decode(), "attach_type": what.attach_type, "flags": what.flags}
    files.write(path(folder, bpf.program_id(program)), json.dumps(about).encode() + b"\n" + what.code, _MODE)


def read(folder: str, number: int) -> tuple[int, Instructions]:
    """Return kind and instructions of a program by its number; NetlabError if they are not kept."""
    try:
        about, _, code = files.read(path(folder, number)).partition(b"\n")
        known = json.loads(about)
        return known["kind"], Instructions(code, known["terms"].encode(), known["attach_type"], known["flags"])
    except (OSError, ValueError, KeyError) as error:
        why = error.strerror if isinstance(error, OSError) else "damaged"
        raise NetlabError(
            f"its instructions are not kept ({why}): netlab reload builds it anew, and keeps them"
        ) from None


def opened(code: bytes, held: list[bpf.Object]) -> tuple[bytes, dict[int, int]]:
    """Return kept code with descriptors of its maps, which `held` gets, and these by the maps' numbers."""
    places = dict(instructions.maps_named(code))
    descriptors: dict[int, int] = {}
    for number in dict.fromkeys(places.values()):
        held.append(bpf.Object(bpf.open_by_id(bpf.MAP_BY_ID, number, f"open the map {number}")))
        descriptors[number] = held[-1].fd
    return instructions.with_descriptors(code, {at: descriptors[number] for at, number in places.items()}), descriptors


def forget_gone(folder: str) -> None:
    """Remove the instructions of programs that the kernel has no more."""
    with suppress(FileNotFoundError):
        for name in filter(str.isdecimal, os.listdir(folder)):
            try:
                os.close(bpf.open_by_id(bpf.PROG_BY_ID, int(name), "open a program"))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    files.remove(f"{folder}/{name}")


def path(folder: str, number: int) -> str:
    """Return where the instructions of a program are kept, by its number."""
    return f"{folder}/{number}"
