"""Lets the programs of a lab tell of each packet: its bytes before and after, the verdict, and the reason.

Each program is loaded once more, in a wrapper (`verdict_code`), which takes the places of the one that it wraps: at
hooks, and in maps of programs. It is pinned where `reload` pins a new build. So whatever was cut off here is mended
like a reload that was cut off: by the next `reload`, `apply` or `capture` of the program, or `down`.
"""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files, signals, syscalls
from netlab.lab import reload
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.programs import attachment, bpf, kept_code, map_reuse, pinned, verdict_code
from netlab.programs.build import Refused
from netlab.programs.maps import LoadedProgram, Map
from netlab.record import changing, layouts, noted_pins, store
from netlab.record.model import ProgramRecord
from netlab.topology.hooks import EGRESS

RING_BYTES = 1 << 24
Say = Callable[[str], None]


class Teller(NamedTuple):
    """A function that tells: its place in a list has its number. `reasons` are the names of reasons by map and number.

    `leaves` says that it sees frames as they leave by an interface.
    """

    key: str
    function: str
    hook: str
    leaves: bool
    reasons: tuple[Mapping[int, str], ...]

    @property
    def node(self) -> str:
        """The node that it is on."""
        return paths.node_of(self.key)


class Telling:
    """Functions that tell into one ring buffer; the constructor makes the maps, which live as long as this."""

    def __init__(self, most: int) -> None:
        self.ring = Map(bpf.create_map(bpf.RING_BUFFER, (0, 0, RING_BYTES), "make a ring buffer"))
        self.scratch = Map.create(bpf.PERCPU_ARRAY, 4, verdict_code.SCRATCH_BYTES, most)
        self.tellers: list[Teller] = []
        self.places: dict[str, int] = {}  # of pins, by the key of the program: the number of their folder

    def lost(self) -> list[int]:
        """Return how many packets of each teller had no room in the ring."""
        return [
            sum(
                verdict_code.STATE.unpack_from(value)[0]
                for value in self.scratch.get_per_cpu(struct.pack("=I", number))
            )
            for number in range(len(self.tellers))
        ]

    def changed(self, lab: Standing) -> list[str]:
        """Return the keys of programs that tell no more, as a reload or a change has put in others."""
        programs = dict(lab.record.programs())
        return [key for key, place in self.places.items() if _place(programs[key]) != place]


@contextmanager
def of(lab: Standing, keys: Sequence[str], say: Say) -> Iterator[Telling]:
    """Let these programs tell, by their keys, while the block runs; then all is as before.

    NetlabError, with nothing changed, if others let them tell, or a program cannot be wrapped.
    """
    with _alone(lab), ExitStack() as held:
        telling = Telling(max(1, sum(len(_told(lab, key)) for key in keys)))
        held.callback(take_out, lab, keys, say)
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
            telling.places[key] = _place(programs[key])
        undo.pop_all()


def take_out(lab: Standing, keys: Sequence[str], say: Say) -> None:
    """Have programs as they were before `put_in`; does nothing where that is so, or if the lab is gone."""
    programs = dict(lab.record.programs())
    with signals.waiting(), suppress(FileNotFoundError):
        if lab.record.lab in store.labs():
            with store.locked(lab.record.lab, waiting=lambda: _say_waiting(lab, say)):
                for key in keys:
                    _put_back(lab, key, programs[key])


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
        made, teller = _loaded(folder, name, number, names, telling)
    except (NetlabError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        others = "without --verdicts, or at other nodes, packets can be captured"
        raise NetlabError(f"{key}: {program.name} cannot tell of its packets: {why}; {others}") from None
    telling.tellers.append(teller._replace(key=key, hook=program.hook, leaves=teller.leaves or program.hook == EGRESS))
    return made


def _loaded(
    folder: str, name: str, number: int, names: Mapping[int, Mapping[int, str]], telling: Telling
) -> tuple[int, Teller]:
    """Load a function in its wrapper; return its descriptor, and what is known of it by itself."""
    kind, code = kept_code.read(paths.code(folder), number)
    if verdict_code.uses_functions(code.code):
        raise NetlabError("it gives functions to the kernel (bpf_loop, timers), which netlab cannot wrap")
    held: list[bpf.Object] = []
    instructions, descriptors = kept_code.opened(code.code, held)
    counted = [each for each in descriptors if each in names]
    tap = verdict_code.Tap(telling.scratch.fd, telling.ring.fd, len(telling.tellers))
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


def _place(program: ProgramRecord) -> int:
    """Return the number of the folder with what tells of a program; 0 if it is gone."""
    with suppress(FileNotFoundError):
        return os.stat(paths.program_pins(paths.successor_pins(program.pins))).st_ino
    return 0
