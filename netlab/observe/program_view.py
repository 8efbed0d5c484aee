"""The programs of a lab: where they are, how large, since when, and what their runs take."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack

from netlab import paths
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, pinned
from netlab.programs.maps import LoadedProgram
from netlab.record import named, noted_pins, store
from netlab.record.model import LabRecord
from netlab.topology.hooks import XDP

_INSTRUCTION_BYTES = 8


class Runs(NamedTuple):
    """How often a program has run in so many seconds, and how many nanoseconds a run took; None if it never ran."""

    seconds: float
    runs: int
    ns_per_run: float | None


class ProgramView(NamedTuple):
    """A loaded program of a node.

    `interfaces` are () for one that is in a map, or that user space runs. `mode` is that of XDP, "" at other hooks.
    `since` is in seconds of the epoch. The kernel counts `runs` and `run_ns` only while statistics are on; `measured`
    is what it has counted for us.
    """

    node: str
    program: str
    function: str
    interfaces: tuple[str, ...]
    hook: str
    mode: str
    id: int
    instructions: int
    verified: int
    xlated_bytes: int
    jited_bytes: int
    since: float
    runs: int
    run_ns: int
    measured: Runs | None = None


class _Place(NamedTuple):
    """Where a program is pinned, and what is known of it."""

    path: str
    node: str
    program: str
    function: str
    interfaces: tuple[str, ...]
    hook: str
    mode: str


def read(lab: LabRecord, called: str = "", measure_s: float = 0) -> list[ProgramView]:
    """Return all programs of a lab, or those that NODE or NODE/NAME means.

    With `measure_s`, count for so many seconds what they run. UsageError if there is no such node or program.
    """
    with ExitStack() as opened:
        found = [(place, opened.enter_context(LoadedProgram.open(place.path))) for place in _places(lab, called)]
        if not measure_s:
            return [_view(place, bpf.program_info(program.fd)) for place, program in found]
        opened.enter_context(bpf.run_statistics())
        before, began = [bpf.program_info(program.fd) for _, program in found], time.monotonic()
        time.sleep(measure_s)
        views = []
        for (place, program), earlier in zip(found, before, strict=True):
            now = bpf.program_info(program.fd)
            runs, run_ns = now.runs - earlier.runs, now.run_ns - earlier.run_ns
            measured = Runs(round(time.monotonic() - began, 3), runs, round(run_ns / runs, 1) if runs else None)
            views.append(_view(place, now)._replace(measured=measured))
        return views


def _places(lab: LabRecord, called: str) -> Iterator[_Place]:
    """Yield what nodes carry: their own programs, and the one that only passes, for programs at other ends of links."""
    known = noted_pins.read(lab.folder)
    if called:
        store.node_of(lab, paths.node_of(called))
    only = dict(named.programs(lab, called)) if "/" in called else None
    for node in [paths.node_of(called)] if called else lab.nodes:
        for key, program in lab.programs_of(node):
            if only is None or key in only:
                noted = known.get(os.path.basename(program.pins))
                for name, path in pinned.functions(program.pins).items():
                    where = program.interfaces if noted and name == noted.entry else ()
                    yield _Place(path, node, program.name, name, where, program.hook, program.mode)
        passing = pinned.functions(paths.passing_pins(lab.folder, node)) if only is None else {}
        where = tuple(name for name, port in lab.nodes[node].interfaces.items() if port.passes)
        yield from (_Place(path, node, "pass", name, where, XDP, "native") for name, path in passing.items())


def _view(place: _Place, info: bpf.ProgramInfo) -> ProgramView:
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - info.loaded_ns / 1e9
    return ProgramView(
        place.node,
        place.program,
        place.function,
        place.interfaces,
        place.hook,
        place.mode,
        info.id,
        info.xlated_bytes // _INSTRUCTION_BYTES,
        info.verified,
        info.xlated_bytes,
        info.jited_bytes,
        round(time.time() - since_boot, 3),
        info.runs,
        info.run_ns,
    )
