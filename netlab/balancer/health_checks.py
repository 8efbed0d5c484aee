"""Checks the health of backends again and again, by a UDP question or a command, and tells the program.

A backend whose checks fail is excluded. One that is excluded, or has refused a request, is readmitted when its checks
succeed. Without checks, a backend that has refused is tried again after some seconds.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from netlab.balancer.healer import Healer, Readmission
from netlab.balancer.layout import Entry
from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple

REFUSED_S = 5.0  # after which a backend that has refused is tried again, without checks
_WHEN = {Readmission.AT_ONCE: "again", Readmission.WITH_REPORT: "with its next report"}
_TRIED = {
    Readmission.AT_ONCE: f"is tried again after {REFUSED_S:g} s",
    Readmission.WITH_REPORT: f"gets requests {_WHEN[Readmission.WITH_REPORT]}",
}
_MAPPED = bytes(10) + b"\xff\xff"


class Check(Protocol):
    """A check under way."""

    def outcome(self) -> bool | None:
        """Return whether the backend is well; None while the check is not over."""

    def end(self) -> None:
        """Give the check up."""


Start = Callable[[Entry], Check]


class Rule(NamedTuple):
    """A check every `interval_s` seconds; `rise` good ones in a row make a backend well, `fall` bad ones ill."""

    interval_s: float
    rise: int
    fall: int


class Question:
    """A UDP packet to a backend: the backend is well if it answers with anything."""

    def __init__(self, entry: Entry, port: int, data: bytes) -> None:
        address = address_of(entry)
        self._socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._is_sent = True
        try:
            self._socket.connect((address, port))
            self._socket.send(data)
        except OSError:
            self._is_sent = False

    def outcome(self) -> bool | None:
        """Return True if an answer has come."""
        try:
            self._socket.recv(1)
        except BlockingIOError:
            return None if self._is_sent else False
        except OSError:  # the backend's kernel says that nobody listens
            return False
        return True

    def end(self) -> None:
        """Close the socket."""
        self._socket.close()


class Command:
    """A shell line, with the backend as $NAME and $ADDRESS: the backend is well if its exit code is 0."""

    def __init__(self, entry: Entry, line: str) -> None:
        about = {"NAME": entry.name, "ADDRESS": address_of(entry)}
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            env={**os.environ, **about},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that `end` kills also what it has started
            preexec_fn=_unblocked,  # noqa: PLW1509 - the role has no threads
        )

    def outcome(self) -> bool | None:
        """Return whether the exit code is 0; None while it runs."""
        code = self._process.poll()
        return None if code is None else code == 0

    def end(self) -> None:
        """Kill it, with all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()


def _unblocked() -> None:
    """Unblock signals: the role blocks those that it waits for, and a child inherits that."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def address_of(entry: Entry) -> str:
    """Return a backend's address: IPv4 if it has one."""
    if any(entry.ipv4):
        return socket.inet_ntop(socket.AF_INET, entry.ipv4.removeprefix(_MAPPED))
    return socket.inet_ntop(socket.AF_INET6, entry.ipv6)


def question(port: int, text: str) -> Start:
    r"""Return what starts a UDP question. Escapes such as \xNN are bytes; NetlabError if one is no byte."""
    try:
        data = text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise NetlabError(f"health_with: {text!r} has a backslash that begins no byte ({error})") from None
    return lambda entry: Question(entry, port, data)


def command(line: str) -> Start:
    """Return what starts a shell line."""
    return lambda entry: Command(entry, line)


class _Backend:
    """What is known of one backend's health."""

    def __init__(self) -> None:
        self.check: Check | None = None
        self.due_s = self.began_s = 0.0
        self.row = 0  # how many outcomes in a row were good; below zero: how many were bad
        self.was_absent = False
        self.trouble = ""  # why its last check could not begin

    def note(self, is_well: bool) -> None:
        self.row = max(self.row, 0) + 1 if is_well else min(self.row, 0) - 1
        if self.check:
            self.check.end()
        self.check = None


class Checks:
    """Checks all backends, each on its own; never waits."""

    def __init__(self, healer: Healer, start: Start, rule: Rule) -> None:
        self._healer, self._start, self._rule = healer, start, rule
        self._known: dict[str, _Backend] = {}

    def look(self) -> list[str]:
        """Note the outcomes, and start the checks that are due; return a line for each change."""
        there, said = {entry.name: entry for entry in self._healer.backends().values()}, []
        absent = self._healer.absent()
        for name in [name for name in self._known if name not in there]:
            self._forget(name)
        for name, entry in there.items():
            known = self._known.setdefault(name, _Backend())
            if known.was_absent is not (name in absent):  # the program has changed it: earlier outcomes do not count
                known.was_absent, known.row = name in absent, 0
            said += self._go_on(known, entry)
            if name in absent and known.row >= self._rule.rise and (when := self._healer.readmit(entry)):
                said.append(f"health: {name} is well, and gets requests {_WHEN[when]}")
            elif name not in absent and -known.row >= self._rule.fall and self._healer.exclude(entry):
                said.append(f"health: {name} is ill, and gets no requests")
        return said

    def end(self) -> None:
        """Give all checks up."""
        for name in list(self._known):
            self._forget(name)

    def _go_on(self, known: _Backend, entry: Entry) -> list[str]:
        """Note the outcome of a check, and begin the next one if it is due; return lines to print."""
        now = time.monotonic()
        outcome = known.check.outcome() if known.check else None
        if outcome is not None:
            known.note(outcome)
        elif known.check and now >= known.began_s + self._rule.interval_s:
            known.note(False)
        if known.check or now < known.due_s:
            return []
        known.began_s, known.due_s = now, now + self._rule.interval_s
        return self._begin(known, entry)

    def _begin(self, known: _Backend, entry: Entry) -> list[str]:
        """Begin a check. If this node has no room for it, that is a bad one; other backends are still checked."""
        before, known.trouble = known.trouble, ""
        try:
            known.check = self._start(entry)
        except OSError as error:
            known.note(False)
            known.trouble = error.strerror or str(error)
        if known.trouble in ("", before):
            return []
        return [f"health: {entry.name} cannot be checked, which is a bad check: {known.trouble}"]

    def _forget(self, name: str) -> None:
        if check := self._known.pop(name).check:
            check.end()


class Patience:
    """Readmits backends that have refused, after REFUSED_S seconds; used where there are no checks."""

    def __init__(self, healer: Healer) -> None:
        self._healer = healer
        self._since: dict[str, float] = {}

    def look(self) -> list[str]:
        """Readmit those whose time is over; return a line for each."""
        absent, now = self._healer.absent(), time.monotonic()
        self._since = {name: self._since.get(name, now) for name in absent}
        over = [name for name, since in self._since.items() if now >= since + REFUSED_S]
        there = {entry.name: entry for entry in self._healer.backends().values()} if over else {}
        tried = {name: self._healer.readmit(there[name]) for name in over if name in there}
        return [f"refused: {name} {_TRIED[when]}" for name, when in tried.items() if when]

    def end(self) -> None:
        """Do nothing: no check is under way."""
