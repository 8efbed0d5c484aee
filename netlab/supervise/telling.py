"""In the supervisor: reports what happens to processes: to the file of facts, their logs, and readers of events."""

import time
from collections.abc import Iterable

from netlab.kernel import pids
from netlab.kernel.kill import signal_name
from netlab.supervise import logs, state
from netlab.supervise.child import Child
from netlab.supervise.restarts import Next
from netlab.supervise.stream import Stream


class Telling:
    """Reports what happens to processes; `facts` is the file, which may have no room for a while."""

    def __init__(self, stream: Stream) -> None:
        self.facts = state.Recorder()
        self._stream = stream

    def begun(self, names: Iterable[str]) -> None:
        """Say which processes there will be."""
        self.facts.add(processes=list(names), ns=time.monotonic_ns())

    def forgotten(self, name: str) -> None:
        """Say that there is a process no more."""
        self.facts.add(forgotten=name, ns=time.monotonic_ns())

    def note(self, child: Child, text: str, kind: str = "", **what: object) -> None:
        """Write a note into the log of a process, where readers of the stream see it, too.

        `kind` and `what` are the event that it tells of, as data.
        """
        self._stream.tell_lines(child.name, child.note(text, kind, **what))

    def complete(self) -> None:
        """Say that all are here."""
        self._stream.tell("complete")

    def started(self, child: Child) -> None:
        """Say that a process was started."""
        about = {"pid": child.pid, "awaits_ready": child.awaits_ready}
        began = {"start_ticks": pids.start_ticks(child.pid), "started_ns": child.started_ns}
        self.facts.add(process=child.name, **about, **began, argv=child.argv)
        more = {} if child.is_role or child.is_followed_on else {"unfollowed": True}
        self.note(child, f"{logs.STARTED}{child.pid}", "started", **about, **more)
        self._stream.tell("started", child.started_ns, process=child.name, **about, **more)

    def failed(self, child: Child, why: str) -> None:
        """Say that a process cannot be started."""
        self.note(child, why, "failed", why=why)
        self._stream.tell("failed", process=child.name, why=why)

    def ready(self, child: Child) -> None:
        """Say that a process is ready; its log has that already."""
        now = time.monotonic_ns()
        self.facts.add(process=child.name, pid=child.pid, ready_ns=now)
        self._stream.tell("ready", now, process=child.name, pid=child.pid)

    def late(self, child: Child, why: str) -> None:
        """Say that a process is not ready in its time."""
        now = time.monotonic_ns()
        self.facts.add(process=child.name, pid=child.pid, late_ns=now, why=why)
        self.note(child, why, "late", pid=child.pid, why=why)
        self._stream.tell("late", now, process=child.name, pid=child.pid, why=why)

    def cut(self, child: Child) -> None:
        """Say that a process has printed more than it may; its log has that already."""
        now = time.monotonic_ns()
        self.facts.add(process=child.name, pid=child.pid, cut_ns=now, most=child.may_print)

    def asked_to_stop(self, child: Child) -> None:
        """Say that a request has asked for the end of a process."""
        self.facts.add(process=child.name, pid=child.pid, stop_ns=time.monotonic_ns())
        self.note(child, "asked to stop")

    def paused(self, child: Child) -> None:
        """Say that a request has paused a process."""
        about = {"pid": child.pid, "how": child.paused}
        now = time.monotonic_ns()
        self.facts.add(process=child.name, **about, paused_ns=now)
        self.note(child, "paused", "paused", **about)
        self._stream.tell("paused", now, process=child.name, **about)

    def resumed(self, child: Child) -> None:
        """Say that a paused process goes on."""
        now = time.monotonic_ns()
        self.facts.add(process=child.name, pid=child.pid, resumed_ns=now)
        self.note(child, "resumed", "resumed", pid=child.pid)
        self._stream.tell("resumed", now, process=child.name, pid=child.pid)

    def goes_on(self, child: Child, before: int) -> None:
        """Say that a process has ended, and goes on as another one in the background."""
        about = {"pid": child.pid, "before": before}
        now = time.monotonic_ns()
        self.facts.add(process=child.name, **about, start_ticks=pids.start_ticks(child.pid), followed_ns=now)
        text = f"process {before} has ended, and goes on in the background as process {child.pid}"
        self.note(child, text, "followed", **about)
        self._stream.tell("followed", now, process=child.name, **about)

    def ended(self, child: Child, how: dict[str, int], *, asked: bool, again: bool) -> None:
        """Say how a process has ended, whether a request had `asked` for it, and whether it starts `again`."""
        now = time.monotonic_ns()
        self.facts.add(process=child.name, pid=child.pid, ended_ns=now, **how)
        text = "ended in the background"
        if "exit" in how:
            text = f"exited with code {how['exit']}"
        elif "signal" in how:
            text = f"killed by {signal_name(how['signal'])}"
        more = {key: True for key, holds in (("asked", asked), ("again", again)) if holds}
        self.note(child, text, "exited", pid=child.pid, **how, **more)
        self._stream.tell("exited", now, process=child.name, pid=child.pid, **how, **more)

    def restarting(self, child: Child, following: Next, at_most: int) -> None:
        """Say when an ended process starts again by itself."""
        about = {"count": following.count, "at_most": at_most, "pause_s": following.pause_s}
        now = time.monotonic_ns()
        self.facts.add(process=child.name, pid=child.pid, restart_ns=now, **about)
        text = f"starts again in {following.pause_s:g} s ({following.count} of {at_most} times)"
        self.note(child, text, "restarting", **about)
        self._stream.tell("restarting", now, process=child.name, **about)

    def exhausted(self, child: Child, at_most: int) -> None:
        """Say that an ended process does not start again, because it has reached its number of restarts."""
        now = time.monotonic_ns()
        self.facts.add(process=child.name, pid=child.pid, exhausted_ns=now, at_most=at_most)
        text = f"does not start again: it has {at_most} times in a row, as often as it may"
        self.note(child, text, "exhausted", at_most=at_most)
        self._stream.tell("exhausted", now, process=child.name, at_most=at_most)
