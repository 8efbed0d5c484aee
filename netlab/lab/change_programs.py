"""The programs of a change: new ones are compiled before anything changes, others are renewed, moved or removed.

A program is renewed as `reload` does it, with its maps. If they have other shapes now, it is made anew: its pins are
put aside, so that they can come back if the change fails.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files, syscalls
from netlab.lab import reload, xdp_watch
from netlab.lab.standing import Standing
from netlab.plan.attach_program import AttachProgram
from netlab.plan.dependencies import program
from netlab.plan.difference import Difference, stay_loaded
from netlab.plan.steps import CreateNode, Step
from netlab.programs import attachment, loader, pinned
from netlab.programs.build import Refused
from netlab.programs.maps import LoadedProgram
from netlab.record import lab_folder, noted_pins

Say = Callable[[str], None]


def of(steps: Iterable[object]) -> list[AttachProgram]:
    """Return the steps that attach programs."""
    return [step for step in steps if isinstance(step, AttachProgram)]


def pins_of(folder: str, step: AttachProgram) -> str:
    """Return the folder of a program's pins."""
    return paths.passing_pins(folder, step.node) if step.for_peer else paths.pins(folder, step.key)


class Programs:
    """The programs that a change makes, renews and removes. `lab` is as it is to be.

    `anew` are the keys of programs that cannot be renewed. The constructor touches nothing.
    """

    def __init__(
        self, lab: Standing, change: Difference, anew: Collection[str], job: Callable[[AttachProgram, str], loader.Job]
    ) -> None:
        self.lab, self.folder = lab, lab.record.folder
        self._job = job
        stay = stay_loaded(change.left)
        fresh = [step for step in of(change.do) if program(step) not in stay]
        before = {program(step): step for step in of(change.undo) if program(step) not in stay}
        made = {step.node for step in change.do if isinstance(step, CreateNode)}
        may_stay = {thing for thing, step in before.items() if not step.for_peer and step.key not in anew}
        self.renewed = [step for step in fresh if program(step) in may_stay and step.node not in made]
        kept = {program(step) for step in self.renewed}
        self.fresh = [step for step in fresh if program(step) not in kept and not self._is_there(step, before)]
        self.gone = [step for thing, step in before.items() if thing not in kept]
        self.detached = [*of(change.undo)]
        self.has_events = False
        self._compilations: dict[AttachProgram, loader.Compilation] = {}
        self._renewals: dict[AttachProgram, reload.Renewal] = {}
        self._undo = ExitStack()

    def _is_there(self, step: AttachProgram, before: Collection[object]) -> bool:
        """Say whether a pass program was pinned outside of any plan, by a `reload` that needed it."""
        return step.for_peer and program(step) not in before and os.path.exists(pins_of(self.folder, step))

    def prepare(self, lock: int, say: Say) -> list[str]:
        """Compile all that is needed, before anything changes.

        Return the keys of programs that cannot be renewed, as their maps have other shapes now; if there are any, call
        `end`, and begin again.
        """
        refused = []
        if self.fresh or self.renewed:
            self._make_ready()
        programs = dict(self.lab.record.programs())
        for step in self.renewed:
            self._renewals[step] = reload.begun(self.lab, step.key, programs[step.key], (), lock)
        for step in self.fresh:
            _remove_pins(_staged(pins_of(self.folder, step)))
            job = self._job(step, _staged(pins_of(self.folder, step)))
            loader.start(job, lock, register=partial(self._compilations.__setitem__, step))
        for step, renewal in self._renewals.items():
            try:
                renewal.compilation.pinned()
            except NetlabError:
                refused.append(step.key)
        for compilation in self._compilations.values():
            compilation.pinned()
        notes = [*self._compilations.values(), *(each.compilation for each in self._renewals.values())]
        if not refused:
            for note in dict.fromkeys(note for each in notes for note in each.pinned().notes):
                say(f"netlab: note: {note}")
        return refused

    def _make_ready(self) -> None:
        """Make what a lab with programs has beside them, if this lab had none."""
        from netlab.supervise import trace

        lab_folder.mount_file_systems(self.folder)
        for name in (paths.PROGRAMS, paths.LAYOUTS):
            files.ensure_folder(f"{self.folder}/{name}", files.FOR_GROUP)
        if not os.path.isdir(trace.instance(self.folder, self.lab.record.lab)):
            trace.open_instance(self.folder, self.lab.record.lab)

    def take_off(self, before: Standing) -> None:
        """Detach what is gone, and what is to be made anew; put the pins of these aside."""
        for step in self.detached:
            if step not in self._renewals:
                _detach(before, step, [pins_of(self.folder, step)])
        for step in self.gone:
            pins = pins_of(self.folder, step)
            self._move(pins, _aside(pins))

    def put_in(self) -> None:
        """Put the pins of new programs in their place."""
        known = noted_pins.read(self.folder)
        for step, compilation in self._compilations.items():
            pins, loaded = pins_of(self.folder, step), compilation.pinned()
            self._move(_staged(pins), pins)
            name = os.path.basename(pins)
            if name in known:
                self._undo.callback(noted_pins.note, self.folder, {name: known[name]})
            else:
                self._undo.callback(noted_pins.forget, self.folder, name)
            noted_pins.note(self.folder, {name: loaded.noted()})
            xdp_watch.add_cpumaps(self.lab.record, step.node, loaded.cpumaps)
            self.has_events |= loaded.has_events
            if not step.for_peer:
                self._keep_source(paths.source(self.folder, step.key, step.program.path), compilation.text)
            compilation.kill()

    def renew(self, before: Standing) -> None:
        """Replace builds by others, and take them off interfaces that are no longer theirs."""
        old = {program(step): step for step in self.detached}
        for step, renewal in self._renewals.items():
            given_up = set(old[program(step)].interfaces) - set(step.interfaces)
            if given_up:
                _detach(before, old[program(step)]._replace(interfaces=tuple(given_up)), [renewal.pins])
            loaded = renewal.compilation.pinned()
            xdp_watch.add_cpumaps(self.lab.record, step.node, loaded.cpumaps)
            self.has_events |= loaded.has_events
            reload.swapped(self._undo, self.folder, renewal)

    def _move(self, pins: str, to: str) -> None:
        """Give a program's pins another place, with what says how its maps are laid out."""
        _remove_pins(to)
        for one, other in ((pins, to), (paths.layouts(pins), paths.layouts(to))):
            if os.path.exists(one):
                os.rename(one, other)
                self._undo.callback(_rename_back, other, one)

    def _keep_source(self, path: str, text: bytes) -> None:
        if os.path.exists(path):
            self._undo.callback(files.write, path, files.read(path), 0o640)
        else:
            self._undo.callback(files.remove, path)
        files.write(path, text, 0o640)

    def finish(self) -> None:
        """Remove what is left of programs that are gone: the change has come to its end."""
        self._undo.pop_all()
        self.end()
        keys = {key for key, _ in self.lab.record.programs()}
        for step in self.gone:
            pins = pins_of(self.folder, step)
            _remove_pins(_aside(pins))
            if not os.path.exists(pins):
                noted_pins.forget(self.folder, os.path.basename(pins))
            if not step.for_peer and step.key not in keys:
                files.remove(paths.source(self.folder, step.key, step.program.path))
            shared = paths.shared_pins(pins, step.node)
            left = self.lab.record.nodes[step.node].programs if step.node in self.lab.record.nodes else ()
            pinned.remove_strays(shared, [each.pins for each in left])

    def back_out(self) -> None:
        """Have builds and pins as they were; what is attached, `attach_all` puts back."""
        self._undo.close()
        self.end()

    def end(self) -> None:
        """End the compilers, and remove what only they have needed. May be called twice."""
        for step, compilation in self._compilations.items():
            compilation.kill()
            _remove_pins(_staged(pins_of(self.folder, step)))
        for renewal in self._renewals.values():
            renewal.end()


def attach_all(lab: Standing, steps: Sequence[Step], say: Say) -> None:
    """Attach each program of these steps to each of its interfaces where it is not attached yet."""
    known = noted_pins.read(lab.record.folder)
    for step in of(steps):
        pins = pins_of(lab.record.folder, step)
        with LoadedProgram.open(paths.program_pin(pins, known[os.path.basename(pins)].entry)) as loaded:
            attach = partial(_attach_missing, loaded, step)
            if done := syscalls.inside(lab.runtime.netns_path(step.node), attach):
                where = ", ".join(done)
                what = f"{step.program.name} attached to {where} ({step.program.where})"
                say(f"netlab: {lab.record.lab}: {step.node}: {what}")


def _attach_missing(loaded: LoadedProgram, step: AttachProgram) -> list[str]:
    there = attachment.numbers(step.interfaces, step.program.hook, step.program.mode)
    missing = [name for name in step.interfaces if loaded.id not in there.get(name, ())]
    try:
        attachment.attach(loaded.fd, missing, step.program.hook, step.program.mode)
    except Refused as refusal:
        raise NetlabError(f"{step.key}: {step.program.name} {refusal.text}") from None
    return missing


def clear(lab: Standing, steps: Sequence[Step], stay: Collection[object]) -> None:
    """Undo these steps as far as they are done, after a change that was cut off: programs that stay are detached."""
    folder = lab.record.folder
    for step in of(steps):
        pins = pins_of(folder, step)
        everywhere = [pins, _staged(pins), _aside(pins)]
        _detach(lab, step, [*everywhere, *map(paths.successor_pins, everywhere)])
        if program(step) not in stay:
            for each in everywhere:
                _remove_pins(each)
            noted_pins.forget(folder, os.path.basename(pins))
            if not step.for_peer:
                files.remove(paths.source(folder, step.key, step.program.path))


def _detach(lab: Standing, step: AttachProgram, places: Sequence[str]) -> None:
    """Take what is pinned in these places off the interfaces of a step, if both are there."""
    netns = lab.runtime.netns_path(step.node)
    own = set()
    for pin in (pin for place in places for pin in pinned.functions(place).values()):
        with LoadedProgram.open(pin) as loaded:
            own.add(loaded.id)
    if not own or not os.path.exists(netns):
        return
    hook = step.program.hook, step.program.mode

    def take_off() -> None:
        there = attachment.numbers(step.interfaces, *hook)
        others = {name: [each for each in found if each not in own] for name, found in there.items()}
        attachment.put_back(others, *hook)

    with suppress(OSError):  # the namespace has just gone
        syscalls.inside(netns, take_off)


def _staged(pins: str) -> str:
    """Return where a new program is pinned until it takes its place; no name begins with this sign."""
    above, name = os.path.split(pins)
    return f"{above}/+{name}"


def _aside(pins: str) -> str:
    """Return where the pins of a program are that is gone, until the change has come to its end."""
    above, name = os.path.split(pins)
    return f"{above}/-{name}"


def _remove_pins(pins: str) -> None:
    shutil.rmtree(pins, ignore_errors=True)
    files.remove(paths.layouts(pins))


def _rename_back(now: str, before: str) -> None:
    with suppress(FileNotFoundError):
        os.rename(now, before)
