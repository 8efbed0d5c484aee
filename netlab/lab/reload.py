"""Replaces programs of a node by new builds of their sources, under traffic, and keeps the maps.

A new build is compiled and loaded beside the old one, with the maps that are there, and pinned in a folder of its
own. Only then do pins, entries of maps and attached programs change, each without a gap. If one fails, all are undone.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from netlab import paths
from netlab.errors import HostError, NetlabError, explain
from netlab.kernel import files, signals, syscalls
from netlab.lab import happenings, pass_programs, xdp_watch
from netlab.lab.program_job import is_trusted
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.programs import attachment, build, loader, map_reuse, pinned
from netlab.programs.maps import LoadedProgram, Map
from netlab.record import changing, named, noted_pins, store
from netlab.record.model import LabRecord, ProgramRecord
from netlab.supervise import talk
from netlab.topology import dialect
from netlab.topology.hooks import XDP
from netlab.words import count, few

Say = Callable[[str], None]
Define = tuple[tuple[str, str | int], ...]


class Renewal(NamedTuple):
    """A program that is being replaced: the folder of its pins, and the one of the new build's, which is compiled.

    `earlier` are the kernel's numbers of what is pinned of it.
    """

    key: str
    program: ProgramRecord
    compilation: loader.Compilation
    pins: str
    fresh: str
    netns: str
    earlier: frozenset[int]

    def end(self) -> None:
        """End the compiler, and remove what only the reload needs."""
        self.compilation.kill()
        with suppress(FileNotFoundError):
            shutil.rmtree(self.fresh)
        files.remove(paths.successor_layouts(self.pins))
        files.remove_halves(paths.successor_layouts(self.pins))


class _Maps(NamedTuple):
    """How many maps a new build has kept, and how many are new; whether one is for events."""

    kept: int
    made: int
    has_events: bool


def reload(lab: str, called: str, define: Define, say: Say) -> None:
    """Compile the present source of a program, and replace the old build by the new one.

    `called` is NODE, for all programs of a node, or NODE/NAME; all are replaced or none. `define` overrides constants
    of the topology, for this reload only. Every map is kept under its name, with its entries. A signal that comes too
    late to undo the reload reaches the caller when it is done. Raises NetlabError, and the old programs go on
    unchanged, if a source does not compile, the kernel refuses a program, or a map would need another shape;
    UsageError if there is no such program, or no source.
    """
    waiting = f"netlab: waiting for another command to leave the lab {lab}"
    with signals.raising() as comes_too_late, store.locked(lab, waiting=lambda: say(waiting)) as lock:
        began = time.monotonic()
        standing = Standing.read(lab)
        if not store.is_complete(lab):
            raise NetlabError(f"{lab} is not whole: netlab down --lab {lab} removes it")
        if what := changing.problem(standing.record.folder):
            raise NetlabError(f"{lab}: {what}: netlab apply goes on, netlab down --lab {lab} removes it")
        programs = named.programs(standing.record, called)
        key, program = next(iter(programs.items()))  # all are of one node
        shared = paths.shared_pins(program.pins, paths.node_of(key))
        pinned.remove_strays(shared, [each.pins for each in standing.record.nodes[paths.node_of(key)].programs])
        with _no_new_names(shared):
            renewed = _replaced(standing, programs, define, lock, say, comes_too_late)
        if any(each.has_events for each in renewed.values()):
            _read_events(standing.record.folder, say)
        after = f"after {time.monotonic() - began:.2f} s"
        for key, program in programs.items():
            kept, made, _ = renewed[key]
            what = f"{program.name} renewed on {few(program.interfaces)} {after}; {count(kept, 'map')} kept"
            say(f"netlab: {lab}: {paths.node_of(key)}: {what}{f', {made} new' if made else ''}")
        told = {"programs": [*programs], "define": dict(define)}
        text = f"{few([*programs])} reloaded"
        happenings.write_down(standing.record.folder, "reloaded", paths.node_of(key), text, data=told)


def _read_events(folder: str, say: Say) -> None:
    """Let what reads events see the maps of a new build, and their types."""
    try:
        with talk.to(folder) as supervisor:
            supervisor.ask("look")
    except NetlabError as error:
        say(f"netlab: note: events of the new build are not read: {error}")


@contextmanager
def _no_new_names(folder: str) -> Iterator[None]:
    """If the reload fails, remove the maps that it has added in the folder of maps that a node's programs share."""
    before = os.listdir(folder) if os.path.exists(folder) else None
    try:
        yield
    except BaseException:
        with suppress(FileNotFoundError):
            for name in set(os.listdir(folder)).difference(before or ()):
                os.unlink(f"{folder}/{name}")
            if before is None:
                os.rmdir(folder)
        raise


def _replaced(
    lab: Standing,
    programs: Mapping[str, ProgramRecord],
    define: Define,
    lock: int,
    say: Say,
    comes_too_late: Callable[[], object],
) -> dict[str, _Maps]:
    """Build all programs, then replace all; return how many maps were kept and made, by the program's key."""
    renewals: list[Renewal] = []
    try:
        for key, program in programs.items():
            renewals.append(begun(lab, key, program, define, lock))
        for each in renewals:
            for note in each.compilation.pinned().notes:
                say(f"netlab: note: {note}")
        transmitting = {each.key for each in renewals if _may_transmit(each)}
        comes_too_late()  # from here on a signal waits until the reload is done, or undone
        with ExitStack() as undo:
            renewed = {}
            for each in renewals:
                if each.key in transmitting:
                    pass_programs.make_ready(undo, lab, paths.node_of(each.key), each.program, lock, say)
                xdp_watch.add_cpumaps(lab.record, paths.node_of(each.key), each.compilation.pinned().cpumaps)
                renewed[each.key] = swapped(undo, lab.record.folder, each)
            undo.pop_all()
    except (NetlabError, OSError) as error:
        has = "the program that it has" if len(programs) == 1 else "the programs that it has"
        as_before = f"nothing was changed; {paths.node_of(next(iter(programs)))} goes on with {has}"
        what, kind = explain(error)[0], type(error) if isinstance(error, NetlabError) else HostError
        raise kind(f"{what.removeprefix('netlab: ')}\nnetlab: {as_before}") from None
    finally:
        for each in renewals:
            each.end()
    return renewed


def begun(lab: Standing, key: str, program: ProgramRecord, define: Define, lock: int) -> Renewal:
    """Clear up what a killed reload may have left, or what tells of packets; then start to compile."""
    netns, fresh = lab.runtime.netns_path(paths.node_of(key)), paths.successor_pins(program.pins)
    clear_up(lab, key, program)
    compilation = loader.start(_job(lab.record, key, program, define, fresh), lock)
    return Renewal(key, program, compilation, program.pins, fresh, netns, _numbers(program.pins))


def _may_transmit(renewal: Renewal) -> bool:
    if renewal.program.hook != XDP:
        return False
    compilation = renewal.compilation
    job = compilation.job
    return dialect.may_transmit(job.path, compilation.text, job.define, job.include, job.cflags)


def swapped(undo: ExitStack, folder: str, renewal: Renewal) -> _Maps:
    """Replace the old build by the new one; `undo` changes it back."""
    pins, program, compilation = renewal.pins, renewal.program, renewal.compilation
    loaded, before = compilation.pinned(), set(os.listdir(paths.map_pins(pins)))
    kept = before - set(_renewed(pins, renewal.fresh))
    _take_over(undo, pins, renewal.fresh, renewal.netns)
    _keep_source(undo, paths.source(folder, renewal.key, program.path), compilation.text)
    noted = noted_pins.read(folder)
    noted_pins.note(folder, {os.path.basename(pins): loaded.noted(before)})
    undo.callback(noted_pins.note, folder, noted)
    layouts = paths.successor_layouts(pins), paths.layouts(pins)
    syscalls.exchange(*layouts)
    undo.callback(syscalls.exchange, *layouts)
    hook = program.hook, program.mode
    attached = syscalls.inside(renewal.netns, partial(attachment.numbers, program.interfaces, *hook))
    undo.callback(syscalls.inside, renewal.netns, partial(attachment.put_back, attached, *hook))
    undo.callback(compilation.kill)  # first, or it could attach the new build after that
    compilation.attach(renewal.netns, program.interfaces, renewal.earlier)
    compilation.finish()
    return _Maps(len(kept.intersection(loaded.maps)), len(set(loaded.maps) - kept), loaded.has_events)


def clear_up(lab: Standing, key: str, program: ProgramRecord) -> None:
    """Put a program back where another build of it is, and remove that, if it is pinned in the successor's folder.

    A reload that was killed has left that, or it tells of packets (`telling`): maps and hooks may hold either.
    """
    pins, fresh = program.pins, paths.successor_pins(program.pins)
    folder, netns = lab.record.folder, lab.runtime.netns_path(paths.node_of(key))
    if not os.path.exists(fresh):
        return
    if os.path.exists(paths.program_pins(fresh)):
        syscalls.inside(netns, lambda: _take_hooks(folder, program, _numbers(fresh)))
        syscalls.inside(
            netns,
            lambda: map_reuse.renew(
                paths.map_pins(pins), before=paths.program_pins(fresh), after=paths.program_pins(pins)
            ),
        )
    shutil.rmtree(fresh)


def _take_hooks(folder: str, program: ProgramRecord, earlier: frozenset[int]) -> None:
    """Let what is pinned of a program be attached in the places of those with these numbers."""
    known = noted_pins.read(folder).get(os.path.basename(program.pins))
    pin = pinned.functions(program.pins).get(known.entry if known else "")
    if pin:
        with LoadedProgram.open(pin) as current:
            attachment.take_over(current.fd, program.interfaces, program.hook, program.mode, earlier)


def _numbers(pins: str) -> frozenset[int]:
    """Return the kernel's numbers of the programs that are pinned in a folder."""
    found = set()
    for pin in pinned.functions(pins).values():
        with LoadedProgram.open(pin) as program:
            found.add(program.id)
    return frozenset(found)


def _job(record: LabRecord, key: str, program: ProgramRecord, define: Define, fresh: str) -> loader.Job:
    """Return the loader's job: everything as it was when the lab was built, except for `define`."""
    known = noted_pins.read(record.folder).get(os.path.basename(program.pins))
    mtus = [interface.mtu for interface in record.nodes[paths.node_of(key)].interfaces.values()]
    return loader.Job(
        record.lab,
        key,
        program.path,
        pin_folder=fresh,
        work_folder=f"{record.folder}/{paths.COMPILER}",
        function=program.function or (known.entry if known and build.is_for_something_else(known.entry) else ""),
        mode=program.mode,
        define=tuple({**program.define, **dict(define)}.items()),
        builtins=(("MTU", max(mtus)),),
        layouts=paths.successor_layouts(program.pins),
        successor_of=program.pins,
        dialect=program.dialect,
        include=program.include,
        cflags=program.cflags,
        map_sizes=tuple(program.map_sizes.items()),
        hook=program.hook,
        event_types=tuple(program.event_types.items()),
        untrusted=record.untrusted and not is_trusted(program.path, (*program.define.items(), *define), program.cflags),
        folder=os.path.dirname(record.topology),
        code=paths.code(record.folder),
    )


def _take_over(undo: ExitStack, pins: str, fresh: str, netns: str) -> None:
    """Replace pins, and programs in entries of maps, by those of the new build."""
    for name in sorted(set(os.listdir(paths.map_pins(fresh))) - set(os.listdir(paths.map_pins(pins)))):
        os.rename(paths.map_pin(fresh, name), paths.map_pin(pins, name))
        undo.callback(os.unlink, paths.map_pin(pins, name))
    for name in _renewed(pins, fresh):
        pin = paths.map_pin(pins, name), paths.map_pin(fresh, name)
        syscalls.exchange(*pin)
        undo.callback(syscalls.exchange, *pin)
    programs, others = paths.program_pins(pins), paths.program_pins(fresh)
    syscalls.exchange(others, programs)
    undo.callback(syscalls.exchange, others, programs)
    undo.callback(syscalls.inside, netns, lambda: map_reuse.renew(paths.map_pins(pins), before=programs, after=others))
    syscalls.inside(netns, lambda: map_reuse.renew(paths.map_pins(pins), before=others, after=programs))


def _renewed(pins: str, fresh: str) -> list[str]:
    """Return the maps that the new build does not share with the old one, such as maps of constants."""
    names = sorted(set(os.listdir(paths.map_pins(fresh))) & set(os.listdir(paths.map_pins(pins))))
    return [name for name in names if _map_number(pins, name) != _map_number(fresh, name)]


def _map_number(pins: str, name: str) -> int:
    with Map.open(paths.map_pin(pins, name)) as found:
        return found.id


def _keep_source(undo: ExitStack, path: str, text: bytes) -> None:
    """Keep the source that was compiled, instead of the one before."""
    undo.callback(files.write, path, files.read(path), 0o640)
    files.write(path, text, 0o640)
