"""Replaces the program of a node by a new build of its source, under traffic, and keeps the maps.

The new build is compiled and loaded beside the old one, with the maps that are there, and pinned in a folder of its
own. Only then does anything change: pins, entries of maps, what is attached, each without a gap; what fails is undone.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from netlab import paths
from netlab.errors import HostError, NetlabError, UsageError, explain
from netlab.kernel import files, signals, syscalls
from netlab.lab import pass_programs
from netlab.lab.standing import Standing
from netlab.programs import bcc, loader, map_reuse
from netlab.record import store
from netlab.record.model import LabRecord, ProgramRecord
from netlab.topology import program_text
from netlab.words import count, few

Say = Callable[[str], None]
Define = tuple[tuple[str, str | int], ...]


def reload(lab: str, node: str, define: Define, say: Say) -> None:
    """Compile the source of a node's program as it is now, and let the new build take the place of the old one.

    `define` overrides constants of the topology, this time. Every map that is there is kept, with what is in it, under
    its name. A signal that comes too late to undo it reaches the caller when it is done. Raises NetlabError, with the
    old program going on as if nothing had been, when the source does not compile, the kernel refuses the program, or a
    map would need another shape; UsageError when there is no program, or no source.
    """
    waiting = f"netlab: waiting for another command to leave the lab {lab}"
    with signals.raising() as comes_too_late, store.locked(lab, waiting=lambda: say(waiting)) as lock:
        began = time.monotonic()
        standing = Standing.read(lab)
        program = store.node_of(standing.record, node).program
        if not store.is_complete(lab):
            raise NetlabError(f"{lab} is not whole: netlab down --lab {lab} removes it")
        if not program:
            raise UsageError(f"{node} has no program")
        kept, made = _replaced(standing, node, program, define, lock, say, comes_too_late)
        where, new = few(program.interfaces), f", {made} new" if made else ""
        what = f"{program.name} renewed on {where} after {time.monotonic() - began:.2f} s"
        say(f"netlab: {lab}: {node}: {what}; {count(kept, 'map')} kept{new}")


def _replaced(
    lab: Standing,
    node: str,
    program: ProgramRecord,
    define: Define,
    lock: int,
    say: Say,
    comes_too_late: Callable[[], object],
) -> tuple[int, int]:
    """Build and swap; return how many maps were kept, and how many are new."""
    folder, pins = lab.record.folder, lab.record.nodes[node].pins
    netns = lab.runtime.netns_path(node)
    fresh = paths.successor_pins(pins)
    if os.path.exists(fresh):
        _clear_up(pins, fresh, netns)
    compilation = loader.start(_job(lab.record, node, program, define, fresh), lock)
    try:
        loaded = compilation.pinned()
        for note in loaded.notes:
            say(f"netlab: note: {note}")
        text = compilation.text.decode(errors="replace")
        transmits = program_text.may_transmit(program.path, text, compilation.job.define)
        comes_too_late()  # whatever would end us: from here on it is done, or undone, before we end
        kept = set(os.listdir(paths.map_pins(pins)))
        with ExitStack() as undo:
            if transmits:
                pass_programs.make_ready(undo, lab, node, program, lock, say)
            _take_over(undo, pins, fresh, netns)
            _keep_source(undo, paths.source(folder, node), compilation.text)
            noted = store.pins(folder)
            store.note_pins(folder, {os.path.basename(pins): loaded.noted(kept)})
            undo.callback(store.note_pins, folder, noted)
            layouts = paths.successor_layouts(pins), paths.layouts(pins)
            syscalls.exchange(*layouts)
            undo.callback(syscalls.exchange, *layouts)
            compilation.attach(netns, program.interfaces)
            compilation.finish()
            undo.pop_all()
    except (NetlabError, OSError) as error:
        as_before = f"nothing was changed; {node} goes on with the program that it has"
        what, kind = explain(error)[0], type(error) if isinstance(error, NetlabError) else HostError
        raise kind(f"{what.removeprefix('netlab: ')}\nnetlab: {as_before}") from None
    finally:
        compilation.kill()
        with suppress(FileNotFoundError):
            shutil.rmtree(fresh)
        with suppress(FileNotFoundError):
            os.unlink(paths.successor_layouts(pins))
    return len(kept.intersection(loaded.maps)), len(set(loaded.maps) - kept)


def _clear_up(pins: str, fresh: str, netns: str) -> None:
    """Remove what a reload that was killed has left; maps may hold programs of either of its builds."""
    if os.path.exists(paths.program_pins(fresh)):
        syscalls.inside(
            netns,
            lambda: map_reuse.renew(
                paths.map_pins(pins), before=paths.program_pins(fresh), after=paths.program_pins(pins)
            ),
        )
    shutil.rmtree(fresh)


def _job(record: LabRecord, node: str, program: ProgramRecord, define: Define, fresh: str) -> loader.Job:
    """Return what the loader needs to know, all of it as it was when the lab was built, but for `define`."""
    about = record.nodes[node]
    known = store.pins(record.folder).get(os.path.basename(about.pins))
    return loader.Job(
        record.lab,
        node,
        program.path,
        pin_folder=fresh,
        work_folder=f"{record.folder}/{paths.COMPILER}",
        function=program.function or (known.entry if known and bcc.is_for_something_else(known.entry) else ""),
        mode=program.mode,
        define=tuple({**program.define, **dict(define)}.items()),
        builtins=(("MTU", max(interface.mtu for interface in about.interfaces.values())),),
        layouts=paths.successor_layouts(about.pins),
        successor_of=about.pins,
    )


def _take_over(undo: ExitStack, pins: str, fresh: str, netns: str) -> None:
    """Let the pins be those of the new build, and the entries of maps that hold programs, too."""
    for name in sorted(set(os.listdir(paths.map_pins(fresh))) - set(os.listdir(paths.map_pins(pins)))):
        os.rename(paths.map_pin(fresh, name), paths.map_pin(pins, name))
        undo.callback(os.unlink, paths.map_pin(pins, name))
    programs, others = paths.program_pins(pins), paths.program_pins(fresh)
    syscalls.exchange(others, programs)
    undo.callback(syscalls.exchange, others, programs)
    undo.callback(syscalls.inside, netns, lambda: map_reuse.renew(paths.map_pins(pins), before=programs, after=others))
    syscalls.inside(netns, lambda: map_reuse.renew(paths.map_pins(pins), before=others, after=programs))


def _keep_source(undo: ExitStack, path: str, text: bytes) -> None:
    """Keep the source that was compiled, in the place of the one before."""
    undo.callback(files.write, path, files.read(path), 0o640)
    files.write(path, text, 0o640)
