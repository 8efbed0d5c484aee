"""Compiles and loads a program that nobody trusts, in a room: a process without privilege, files and network.

    the loader's child (root)                       the room (`room_inside`): nobody's, in namespaces of its own
      starts it, answers its bpf(2) (`gate`)  ◀───▶  compiles by bcc or clang, loads by libbpf, explains errors
      takes maps and programs over, pins them

docs/adr/0035-rooms.md says what it keeps out, and how.
"""

import json
import os
import re
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from netlab import paths
from netlab.kernel import enclosing, files, syscalls
from netlab.kernel.seccomp import Listener
from netlab.named_tuple import NamedTuple
from netlab.programs import bpf, build, failures, outside, room_inside
from netlab.programs.build import Build, Refused
from netlab.programs.diagnostics import Source, shown
from netlab.programs.gate import Gate
from netlab.programs.gate_pins import Pins
from netlab.programs.loader import Order
from netlab.record import layouts, mark, shapes
from netlab.topology.document.tree import printable

_FIRST_USER = 1_900_000_000  # numbers that no system gives to users or containers; one for each room
_MOST_ANSWER = 1 << 25
_GRACE_S, _SLOWEST = 60, 10  # how long a room may take on the clock: this, and so many times its CPU time
_NAME = re.compile(r"\w{1,255}")

_MAY = {
    "outside": "what nobody trusts may use packets and its own maps, and nothing else",
    "build": "that is not for what nobody trusts",
}


class _Answer(NamedTuple):
    """What a room has loaded, by the numbers of its descriptors, and the text of what is known of its maps."""

    entry: str
    maps: dict[str, int]
    programs: dict[str, int]
    notes: tuple[str, ...]
    layouts: str


class _Refusal(NamedTuple):
    """Why a room has loaded nothing: the kind of failure, the message, and what the message calls the program."""

    error: str
    text: str
    shown: str = ""


def load(order: Order, text: bytes, note: Callable[[str], None]) -> Build:
    """Compile and load a program in a room; Refused if that fails."""
    job = order.job
    shared = paths.shared_pins(job.successor_of or job.pin_folder, paths.node_of(job.key))
    files.ensure_folder(shared, files.FOR_OWNER)
    room = _Room(order, text, shared)
    try:
        answer = room.answer()
        if isinstance(answer, _Refusal):
            raise room.refused(answer)
        for each in answer.notes:
            note(printable(each))
        return room.taken_over(answer)
    finally:
        room.close()
        with suppress(OSError):  # it has pins
            os.rmdir(shared)


class _Room:
    """A room and its gate."""

    def __init__(self, order: Order, text: bytes, shared: str) -> None:
        self._order, self._text, self._said = order, text, b""
        job = order.job
        earlier = paths.map_pins(job.successor_of) if job.successor_of else ""
        self._pins = Pins(shared, earlier, paths.pin_lock(job.work_folder))
        self._lab_node = f"{mark.printed(job.lab)}/{job.key}"  # which the room could not find out
        user = _FIRST_USER + os.getpid()
        self._answers, answer_in = os.pipe()
        go_out, self._go = os.pipe()
        syscalls.unshare(syscalls.CLONE_NEWPID)  # for the child, which is the first process there
        self._pid = os.fork()
        if not self._pid:
            room_inside.run(order, text, user, shared, answer_in, go_out)
        os.close(answer_in)
        os.close(go_out)
        self._gate: Gate | None = None
        self._listener = -1
        self._until = time.monotonic() + _GRACE_S + _SLOWEST * order.limits.cpu_s

    def answer(self) -> _Answer | _Refusal:
        """Answer the room's calls until it has answered itself; Refused if it ends before."""
        first = self._line()
        if first.isdigit():
            self._open_gate(int(first))
            first = self._line()
        found = json.loads(first)
        try:
            return shapes.read(_Refusal, found, is_part=True) if "error" in found else shapes.read(_Answer, found)
        except (ValueError, TypeError) as error:
            raise Refused("plain", f"its room has given an answer that is none: {error}") from None

    def _open_gate(self, number: int) -> None:
        room = os.pidfd_open(self._pid)
        try:
            self._listener = enclosing.descriptor_of(room, number)
        finally:
            os.close(room)
        self._gate = Gate(self._pid, Listener(self._listener), self._pins, self._lab_node)
        os.write(self._go, b"\n")

    def _line(self) -> bytes:
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        if self._listener >= 0:
            poll.register(self._listener, select.POLLIN)
        while b"\n" not in self._said:
            ready = dict(poll.poll(max(self._until - time.monotonic(), 0) * 1000))
            if not ready:
                raise Refused(
                    "limit", f"takes too long to compile and load: {self._order.limits.cpu_s:g} s of CPU time"
                )
            if self._gate and ready.get(self._listener, 0) & select.POLLIN:
                self._gate.serve()
            elif self._answers in ready:
                self._hear()
        line, _, self._said = self._said.partition(b"\n")
        return line

    def _hear(self) -> None:
        text = os.read(self._answers, 1 << 16)
        if not text:
            raise self._ended()
        self._said += text
        if len(self._said) > _MOST_ANSWER:
            raise Refused("plain", "has more to tell of its maps than fits")

    def _ended(self) -> Refused:
        """Return why a room has ended without an answer."""
        status, used = self._reap()
        order = self._order
        if used >= order.limits.cpu_s:
            status = -signal.SIGPROF
        os.chdir(order.here)
        job, talk = order.job, build.talk()
        source = Source(job.path, shown(job.path), tuple(self._text.decode(errors="replace").splitlines()))
        refusal = failures.as_refusal(failures.crashed(job, status, talk, source, order.limits), job)
        if reached := outside.reached(talk, job.path, [job.folder or os.path.dirname(job.path)]):
            return Refused("said-outside", f"{refusal.text}\n{reached}")
        return refusal

    def refused(self, answer: _Refusal) -> Refused:
        """Return the error of a room; what the gate has refused is the reason, if it has refused anything."""
        if self._gate and self._gate.refused:
            why = self._gate.refused
            return Refused(f"said-{why.kind}", f"{answer.shown}: {why}: {_MAY[why.kind]}")
        return Refused(answer.error, answer.text)

    def taken_over(self, answer: _Answer) -> Build:
        """Return what a room has loaded, with descriptors of this process; and write down what is known of it."""
        if not self._gate or answer.entry not in answer.programs:
            raise Refused("plain", "its room has loaded nothing")
        for name in (*answer.maps, *answer.programs):
            if not _NAME.fullmatch(name):
                raise Refused("plain", f"has a map or a program called {name[:80]!r}: expected a name of C")
        if answer.layouts:
            known = shapes.read(layouts.Layouts, json.loads(answer.layouts))
            files.ensure_folder(os.path.dirname(self._order.job.layouts), files.FOR_GROUP)
            layouts.write(self._order.job.layouts, known)
        maps = {name: self._gate.room.map(fd) for name, fd in answer.maps.items()}
        programs = {name: self._gate.room.program(fd) for name, fd in answer.programs.items()}
        loaded = self._gate.loaded
        return Build(answer.entry, maps, programs, lambda name: loaded[bpf.program_id(programs[name])])

    def close(self) -> None:
        """End the room; its processes, mounts and network go with it."""
        self._reap()
        if self._gate:
            self._gate.close()
        self._pins.close()
        for fd in (self._answers, self._go, self._listener):
            if fd >= 0:
                os.close(fd)

    def _reap(self) -> tuple[int, float]:
        """End the room's processes; return the exit status and the CPU time that they have used."""
        if not self._pid:
            return 0, 0.0
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        _, status, used = os.wait4(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
