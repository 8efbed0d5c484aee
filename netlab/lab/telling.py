"""Lets the programs of a lab tell of each packet: its bytes before and after, the verdict, and the reason.

Each program is loaded once more, in a wrapper (`verdict_code`), which takes the places of the one that it wraps: at
hooks, and in maps of programs. It is pinned where `reload` pins a new build. So whatever was cut off here is mended
like a reload that was cut off: by the next `reload`, `apply` or `capture` of the program, or `down`.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from netlab import paths
from netlab.errors import NetlabError, explain
from netlab.kernel import files, signals, syscalls
from netlab.lab import reload, tellers
from netlab.lab.standing import Standing
from netlab.lab.tellers import Teller, Telling
from netlab.programs import attachment, bpf, kept_code, map_reuse, pinned, verdict_code
from netlab.programs.build import Refused
from netlab.programs.maps import LoadedProgram, Map
from netlab.record import changing, layouts, noted_pins, store
from netlab.record.model import ProgramRecord
from netlab.topology.hooks import EGRESS

_MORE = 16  # functions that new builds may have
Say = Callable[[str], None]


@contextmanager
def of(lab: Standing, keys: Sequence[str], say: Say) -> Iterator[Telling]:
    """Let these programs tell, by their keys, while the block runs; then all is as before.

    NetlabError, with nothing changed, if others let them tell, or a program cannot be wrapped.
    """
    with _alone(lab), ExitStack() as held:
        telling = Telling(sum(len(_told(lab, key)) for key in keys) + _MORE)
        telling.places = dict.fromkeys(keys, (0, 0))
        held.callback(take_out, lab, telling, say)
        put_in(lab, keys, telling, say)
        yield telling


def put_in(lab: Standing, keys: Sequence[str], telling: Telling, say: Say) -> None:
    """Let programs tell from now on; if one cannot, none does, and NetlabError says why."""
    programs = dict(lab.record.programs())
    with _locked(lab, say) as comes_too_late, ExitStack() as undo:
        for key in keys:
            reload.clear_up(lab, key, programs[key])
            undo.callback(_put_back, lab, key, programs[key])
            _load(lab, key, programs[key], telling)
        comes_too_late()
        for key in keys:
            _swap(lab, key, programs[key])
            telling.places[key] = tellers.place(programs[key].pins)
        undo.pop_all()


def go_on(lab: Standing, telling: Telling, say: Say) -> Standing | None:
    """Let new builds tell that a reload or a change of the lab has put in, and return the lab as it is now.

    What is no more in the lab, or cannot tell, is said once. None if nothing has changed, or if it is too early: while
    another command changes the lab, or the lab is gone.
    """
    if not telling.changed(lab):
        return None
    name = lab.record.lab
    missed = BlockingIOError, FileNotFoundError, NetlabError
    with suppress(*missed), signals.waiting(), store.locked(name, waiting=_come_later):
        now = Standing.read(name)
        if store.is_complete(name) and not changing.problem(now.record.folder):
            for text in _changes(now, telling):
                say(f"netlab: note: {text}")
            return now
    return None


def _changes(lab: Standing, telling: Telling) -> Iterator[str]:
    """Let programs tell that are new at the nodes of those that told; yield what has come of each change."""
    programs, nodes = dict(lab.record.programs()), {paths.node_of(key) for key in telling.places}
    changed = telling.changed(lab)
    for key in set(changed).difference(programs):
        del telling.places[key]
        yield f"{key} is no more in the lab, so there are no more verdicts of it"
    for key, program in programs.items():
        if key in changed or (paths.node_of(key) in nodes and key not in telling.places):
            yield _renewed(lab, key, program, telling)


def _come_later() -> None:
    raise BlockingIOError


def _renewed(lab: Standing, key: str, program: ProgramRecord, telling: Telling) -> str:
    """Let what is there of a program now tell; return what has come of that."""
    telling.refused.discard(key)
    try:
        reload.clear_up(lab, key, program)
        _load(lab, key, program, telling)
        _swap(lab, key, program)
        said = f"a reload or a change has put in {key} anew: its verdicts go on, and packets that it met meanwhile lack"
    except (NetlabError, OSError) as error:
        _put_back(lab, key, program)
        telling.refused.add(key)
        said = f"no more verdicts of {explain(error)[0].removeprefix('netlab: ')}"
    telling.places[key] = tellers.place(program.pins)
    return said


def take_out(lab: Standing, telling: Telling, say: Say) -> None:
    """Have programs as they were before `put_in`; does nothing where that is so, or if the lab is gone."""
    with signals.waiting(), suppress(FileNotFoundError):
        if lab.record.lab in store.labs():
            with store.locked(lab.record.lab, waiting=lambda: _say_waiting(lab, say)):
                now = Standing.read(lab.record.lab)
                for key, program in now.record.programs():
                    if key in telling.places:
                        _put_back(now, key, program)


def _put_back(lab: Standing, key: str, program: ProgramRecord) -> None:
    with suppress(FileNotFoundError):  # the node is gone
        reload.clear_up(lab, key, program)


@contextmanager
def _alone(lab: Standing) -> Iterator[None]:
    """Hold the file that lets only one process at a time have programs tell; NetlabError if another one has it."""
    path = paths.telling(lab.record.folder)
    with open(
        os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+", encoding="ascii"
    ) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            whose = f"process {file.read().strip() or '?'} reads them already, and only one can: end it, or wait"
            raise NetlabError(f"verdicts of {lab.record.lab}: {whose}") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextmanager
def _locked(lab: Standing, say: Say) -> Iterator[Callable[[], object]]:
    name = lab.record.lab
    with signals.raising() as comes_too_late, store.locked(name, waiting=lambda: _say_waiting(lab, say)):
        if not store.is_complete(name):
            raise NetlabError(f"{name} is not whole: netlab down --lab {name} removes it")
        if what := changing.problem(lab.record.folder):
            raise NetlabError(f"{name}: {what}: netlab apply goes on, netlab down --lab {name} removes it")
        yield comes_too_late


def _say_waiting(lab: Standing, say: Say) -> None:
    say(f"netlab: waiting for another command to leave the lab {lab.record.lab}")


def _load(lab: Standing, key: str, program: ProgramRecord, telling: Telling) -> None:
    """Load what tells of a program, and pin it; functions that see no packets by themselves get another pin."""
    fresh = paths.successor_pins(program.pins)
    files.ensure_folder(paths.program_pins(fresh), files.FOR_OWNER)
    names, told = _reasons(program), _told(lab, key)
    for name, path in pinned.functions(program.pins).items():
        with LoadedProgram.open(path) as original:
            fd = original.fd
            if name in told:
                fd = _wrapped(lab.record.folder, key, name, original.id, program, names, telling)
            try:
                bpf.pin(fd, paths.program_pin(fresh, name))
            finally:
                if fd != original.fd:
                    os.close(fd)


def _told(lab: Standing, key: str) -> list[str]:
    """Return the functions of a program that see packets: the attached one, and those in devmaps and CPU maps."""
    pins = dict(lab.record.programs())[key].pins
    found = [noted_pins.read(lab.record.folder)[os.path.basename(pins)].entry]
    for name, path in pinned.functions(pins).items():
        with LoadedProgram.open(path) as original:
            if name not in found and os.path.exists(kept_code.path(paths.code(lab.record.folder), original.id)):
                found.append(name)
    return found


def _wrapped(
    folder: str,
    key: str,
    name: str,
    number: int,
    program: ProgramRecord,
    names: Mapping[int, Mapping[int, str]],
    telling: Telling,
) -> int:
    """Return the descriptor of a function that tells, and add it to what is known of those."""
    try:
        made, teller = _loaded(folder, name, number, names, telling, telling.number_of(key, name))
    except (NetlabError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        others = "without --verdicts, or at other nodes, packets can be captured"
        raise NetlabError(f"{key}: {program.name} cannot tell of its packets: {why}; {others}") from None
    telling.add(teller._replace(key=key, hook=program.hook, leaves=teller.leaves or program.hook == EGRESS))
    return made


def _loaded(
    folder: str, name: str, number: int, names: Mapping[int, Mapping[int, str]], telling: Telling, place: int
) -> tuple[int, Teller]:
    """Load a function in its wrapper; return its descriptor, and what is known of it by itself."""
    kind, code = kept_code.read(paths.code(folder), number)
    if verdict_code.uses_functions(code.code):
        raise NetlabError("it gives functions to the kernel (bpf_loop, timers), which netlab cannot wrap")
    held: list[bpf.Object] = []
    instructions, descriptors = kept_code.opened(code.code, held)
    counted = [each for each in descriptors if each in names]
    tap = verdict_code.Tap(telling.scratch.fd, telling.ring.fd, place)
    reasons = {descriptors[each]: at for at, each in enumerate(counted)}
    text = verdict_code.wrapped(instructions, tap, kind, code.attach_type, reasons)
    what = f"the kernel refuses {name} with what tells of its packets"
    made = bpf.load_program(text, what, code.terms, name, code.attach_type, kind=kind, flags=code.flags)
    leaves = code.attach_type == bpf.ATTACH_DEVMAP
    return made, Teller("", name, "", leaves, tuple(names[each] for each in counted))


def _reasons(program: ProgramRecord) -> dict[int, dict[int, str]]:
    """Return the names of reasons, by the number of the map that counts them: `reasons`, or one named X_reasons."""
    try:
        known = layouts.read(paths.layouts(program.pins))
    except NetlabError:
        return {}
    found = {}
    for name, path in pinned.maps(program.pins).items():
        numbers = known.enums.get(name.removesuffix("s")) if name.endswith("reasons") else None
        if numbers:
            with Map.open(path) as of_reasons:
                found[of_reasons.id] = {number: text for text, number in numbers.items()}
    return found


def _swap(lab: Standing, key: str, program: ProgramRecord) -> None:
    """Put what tells where the program is: in maps, and at hooks."""
    pins, fresh = program.pins, paths.successor_pins(program.pins)
    before, after = paths.program_pins(pins), paths.program_pins(fresh)
    netns = lab.runtime.netns_path(paths.node_of(key))
    entry = noted_pins.read(lab.record.folder)[os.path.basename(pins)].entry
    syscalls.inside(netns, partial(map_reuse.renew, paths.map_pins(pins), before=before, after=after))
    with LoadedProgram.open(f"{before}/{entry}") as old, LoadedProgram.open(f"{after}/{entry}") as new:
        places = program.interfaces, program.hook, program.mode
        try:
            syscalls.inside(netns, partial(attachment.take_over, new.fd, *places, frozenset([old.id])))
        except Refused as refusal:
            raise NetlabError(f"{key}: {program.name} {refusal.text}") from None
