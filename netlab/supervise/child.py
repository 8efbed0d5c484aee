"""One process of a lab, as the supervisor that starts it sees it: its pipes, its log, its end."""

import json
import os
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from netlab import role
from netlab.kernel import pids, process_tree, syscalls
from netlab.named_tuple import NamedTuple
from netlab.runtime import entry
from netlab.runtime.base import Entrance, Place
from netlab.supervise import logs
from netlab.supervise.pipe import OLDEST_NS, Pipe, Printed, told
from netlab.supervise.signs import of as readiness_of

if TYPE_CHECKING:
    from netlab.supervise.group import Group

_STAMP = 24  # bytes that each line takes in its log besides its text
FROZEN, STOPPED = "frozen", "stopped"  # how a process is paused
_ENDS = {"exit": "exited", "signal": "killed"}
_TO_DEFAULT = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD),  # as they were for `up`
    *(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores these
)


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Inherited(NamedTuple):
    """Settings that a child gets as they were before the supervisor changed them for itself."""

    umask: int
    nofile: tuple[int, int]


class Child:
    """A process of a node, started once: its command, and its state.

    `here` says that processes with `after:` this one may start: it is ready or, if that is not awaited, was started. An
    ended process is reaped only when its pipes are closed. Until then the kernel gives its id, which is also that of
    its process group, to no other process, so what it left running can be signalled safely. `patience` is when the next
    step of stopping it is due (CLOCK_MONOTONIC in seconds), 0 if it is not being stopped. `killed` says that SIGKILL
    was the last step. `paused` says that a request has paused it: by its control group, or else by SIGSTOP.

    Every process that a command starts is also in a control group. If the command ends, and others are left there, it
    goes on in the background: `pid` is then the oldest of these, `is_followed` is set, and its exit code is not known.
    """

    def __init__(self, start: dict[str, Any], log: logs.Writer, shows: bool = True) -> None:
        self._start = start
        self.name: str = start["process"]
        self.argv: list[str] = start["argv"]
        self.env: dict[str, str] = start["env"]
        self.awaits_ready: bool = start["awaits_ready"]
        self.ready = readiness_of(start)
        self.is_role: bool = start.get("runs_role", False) or self.ready.is_said
        when, at_most = start.get("restart") or ("no", 0)
        self.restart: tuple[str, int] = (when, at_most)
        self.stays: bool = start.get("stays", False)
        self.cwd: str = start["cwd"]
        self.place = Place(*map(_fixed, start["place"])) if start["place"] else None
        entrance = start.get("entrance")
        self.entrance = Entrance(*map(tuple, entrance)) if entrance else None
        self.pid = 0
        self.started_ns = 0
        self.here = False
        self.end: dict[str, int] = {}  # its exit code, or the signal that has killed it, or that nobody has seen how
        self.is_followed = False
        self.reaped = False
        self.patience = 0.0
        self.killed = False
        self.paused = ""  # FROZEN or STOPPED
        self._stopped: dict[int, int] = {}  # by SIGSTOP, with their start times
        self.pipes: dict[int, Pipe] = {}
        self._log = log
        self._copies = entry.Copies(self.place) if self.place and not self.place.user and shows else None
        self._group: Group | None = None
        # Of what nobody vouches for, more than its log holds would only be work for the host.
        self.may_print = log.limit if self.place and self.place.user else 0
        self._printed = 0

    def successor(self) -> "Child":
        """Return the same process, not started yet, which continues the same log."""
        return Child(self._start, self._log)

    def beside(self, argv: Sequence[str], log: logs.Writer) -> "Child":
        """Return another process in the same node; it has no group, and readers of the stream do not get its lines."""
        about = {"argv": argv, "awaits_ready": False, "runs_role": False, "is_grouped": False}
        return Child({**self._start, **about}, log, shows=False)

    def start(self, inherited: Inherited) -> int:
        """Start the process and return its pidfd; OSError if the machine has no room for it."""
        (out, out_end), (err, err_end) = pipes = os.pipe(), os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            supervisor = os.getpid()
            self.started_ns = time.monotonic_ns()
            self.pid = self._fork()
            if self.pid == 0:
                self._become(out_end, err_end, supervisor, inherited)
            pidfd = self._watched()
            self.pipes = {out: Pipe(b"out", self.is_role), err: Pipe(b"err")}
            return pidfd
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for reading, writing in pipes:
                os.close(writing)
                os.set_blocking(reading, False)
                if not self.pid:
                    os.close(reading)

    def take(self, fd: int, data: bytes) -> tuple[bool, list[bytes]]:
        """Record the data of one of the pipes; no data is the pipe's end.

        Return whether this has shown that the process is ready, and the lines that were written to the log.
        """
        now, ready, entries = time.monotonic_ns(), False, []
        for ns, stream, text in self.pipes[fd].take(data, self._log.latest, now):
            shown = told(stream, text)
            is_sign = not self.here and not ready and self.ready.shown_by(*shown)
            if not (is_sign and self.ready.is_said):
                entries.append(b"%d %s %s\n" % (ns, stream, text))
            if is_sign:
                ready = True
                entries.append(logs.entry(ns, "note", "ready", {"kind": "ready", "pid": self.pid}))
            self._log.latest = ns
            if self._copies:
                self._copies.write(*shown)
        if entries:
            self._log.write(now, b"".join(entries))
        return ready, entries

    def prints_too_much(self, data: bytes) -> bool:
        """Count what it has printed, and say whether that is more than it may."""
        if self.may_print:
            self._printed += len(data) + _STAMP * data.count(b"\n")
        return self._printed > self.may_print

    def note(self, text: str, kind: str = "", **values: object) -> list[bytes]:
        """Write a line of the supervisor's own into the log, and return the log's new lines.

        `kind` and `values` are the event that the line tells of, as in `schema`.
        """
        record = json.dumps({"kind": kind, **values}).encode() if kind else b""
        stream = f"note={len(record)}" if kind else "note"
        return self.record([Printed(time.monotonic_ns(), stream, text.encode() + record)])

    def record(self, lines: Sequence[Printed]) -> list[bytes]:
        """Write lines of another process into the log, and return the log's new lines; their times do not go back."""
        now, entries = time.monotonic_ns(), []
        for ns, stream, text in lines:
            self._log.latest = min(max(ns, now - OLDEST_NS, self._log.latest), now)
            entries.append(b"%d %s %s\n" % (self._log.latest, stream.encode(), text))
        self._log.write(now, b"".join(entries))
        return entries

    def state(self, is_startable: bool) -> dict[str, object]:
        """Return the state of the process, as a message has it; `is_startable` says that it is about to be started."""
        known: dict[str, object] = {"process": self.name, "awaits_ready": self.awaits_ready}
        if not self.pid:
            return {**known, "state": "starting" if is_startable else "not started"}
        known |= {"pid": self.pid, "started_ns": self.started_ns}
        if self.end:
            word = next((word for key, word in _ENDS.items() if key in self.end), "gone")
            return {**known, "state": word, **({} if word == "gone" else self.end)}
        if self.patience:
            return {**known, "state": "stopping"}
        if self.paused:
            return {**known, "state": "paused"}
        return {**known, "state": "stopped" if pids.is_stopped(self.pid) else "running" if self.here else "starting"}

    def signal(self, number: int) -> None:
        """Send a signal to the process and its process group; for a command, to every process in its control group."""
        if (self._group and self._group.signal(number)) or self.reaped:
            return
        with suppress(PermissionError):
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:  # it has not made its group yet
                os.kill(self.pid, number)  # it is not reaped, so the id is still its own

    def pause(self) -> None:
        """Stop the process and all that it has started, until `resume`."""
        if self._group and self._group.freeze():
            self.paused = FROZEN
        else:
            self._stopped = process_tree.stop(self.pid)
            self.paused = STOPPED

    def resume(self) -> None:
        """Let the process go on, if it was paused, and all that it has started."""
        if self.paused == FROZEN and self._group:
            self._group.thaw()
        elif self.paused:
            process_tree.resume(self.pid, self._stopped)
        self.paused = ""

    def _watched(self) -> int:
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
            raise

    @property
    def is_grouped(self) -> bool:
        """Whether it has a control group, in which every process that it has started is found."""
        return self._group is not None

    @property
    def is_followed_on(self) -> bool:
        """Whether a process that it leaves in the background would be found."""
        return self._group is not None and self._group.is_entered

    def left(self) -> list[int]:
        """Return the running processes of a command, the oldest first."""
        return self._group.members() if self._group else []

    def may_run_on(self) -> bool:
        """Say whether processes of it run although the one that was started has ended."""
        return (self.is_followed and not self.end) or bool(self.left())

    def leave_group(self) -> None:
        """Leave the group to the next run of the process: no process of this run is in it."""
        self._group = None

    def go_on_as(self, pid: int) -> None:
        """From now on stand for another process, in the background: the one that was started has ended."""
        if not self.reaped:
            os.waitpid(self.pid, 0)
        self.pid, self.end, self.is_followed, self.reaped = pid, {}, True, True

    def result(self) -> dict[str, int]:
        """Return how an ended process has ended: its code as `exit`, the number of a `signal`, or `gone`."""
        if self.is_followed:  # it is not the supervisor's child, which alone would get its exit code
            self.end = {"gone": 1}
            return self.end
        result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        exited, code = (result.si_code == os.CLD_EXITED, result.si_status) if result else (True, 0)
        self.end = {"exit" if exited else "signal": code}
        return self.end

    def reap(self) -> None:
        """Reap an ended process, and remove its group if that is empty."""
        if not self.reaped:
            os.waitpid(self.pid, 0)
        self.reaped = True
        if self._group:
            self._group.remove()
        if self._copies:
            self._copies.close()

    def _fork(self) -> int:
        """Fork. A command gets a control group of its own, in which even a daemon with a new session is found."""
        if self._start.get("is_grouped"):
            from netlab.supervise import group

            self._group = group.of_process(self.name, self.place, self._start["group"])
        if self._group:
            return self._group.fork(self.place)
        return entry.fork(self.place) if self.place else os.fork()

    def _become(self, out: int, err: int, supervisor: int, inherited: Inherited) -> NoReturn:
        """In the new process: leave everything of the supervisor behind, and run the program."""
        try:
            os.setsid()
            for number in _TO_DEFAULT:
                signal.signal(number, signal.SIG_DFL)
            syscalls.die_with_parent(0 if self.place else supervisor)  # in a container, a parent outside has no id
            resource.setrlimit(resource.RLIMIT_NOFILE, inherited.nofile)
            os.umask(inherited.umask)
            for fd, standard in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
                os.dup2(fd, standard)
            environment: Mapping[str, str] = os.environ
            if self.place:
                environment = entry.join(self.place, self.cwd, self.is_followed_on)
            elif self.entrance:
                entry.step_into(self.entrance, self.cwd)
            else:
                os.chdir(self.cwd)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            # Otherwise a role in Python would keep its lines, and READY, until it has printed 8 KB.
            stamped = {role.STAMPED: "1"} if self.is_role else {}
            os.execvpe(self.argv[0], self.argv, {"PYTHONUNBUFFERED": "1", **environment, **self.env, **stamped})
        except OSError as error:
            os.write(err, os.fsencode(f"cannot run {self.argv[0]}: {error.strerror}\n"))
        finally:
            os._exit(127)
