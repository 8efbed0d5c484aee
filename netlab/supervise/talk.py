"""Talks to the supervisor of a lab: sends requests and reads events; docs/supervisor.md has all messages.

As root, in a `with`:

    with talk.to(folder) as supervisor:
        supervisor.restart("w1", deadline_s=20)
        for event in supervisor.events(["line"]):
            ...
"""

import json
import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel.kill import signal_name
from netlab.supervise import schema
from netlab.supervise.readiness import TRIAL_S

ANSWER_S = 10.0  # for an answer; the supervisor answers at once, unless it is stopped
_READ_BYTES = 1 << 16
_TIMEVAL = struct.pack("ll", int(ANSWER_S), 0)
_ENDED = ("exited", "killed", "gone", "not started", "restarting")  # states of a process that does not run

Message = dict[str, Any]


class NotThereError(NetlabError):
    """A process that was asked for does not run, or is not ready."""


def runs(state: Mapping[str, Any]) -> bool:
    """Say whether a process in this state runs, or is about to because somebody has asked for it."""
    return state["state"] not in _ENDED


def waits(state: Mapping[str, Any]) -> bool:
    """Say whether a process in this state starts again by itself in a moment."""
    return bool(state["state"] == "restarting")


class Talk:
    """A connection to the supervisor in a folder."""

    def __init__(self, folder: str, connection: socket.socket) -> None:
        self._who = f"the supervisor in {folder}"
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._rest = b""
        self._came: deque[Message] = deque()  # messages that were read and not returned yet
        self._asked = 0
        self.is_over = False  # the supervisor has closed the connection

    def greet(self) -> Message:
        """Return the first message; NetlabError if its version is not this netlab's."""
        hello = self._next(time.monotonic() + ANSWER_S)
        if hello is None:
            raise self._silent()
        if hello["kind"] == "error":
            raise NetlabError(f"{self._who}: {hello['why']}")
        if hello.get("version") != schema.VERSION:
            raise NetlabError(
                f"{self._who} was started by another netlab and speaks version {hello.get('version')}, expected is"
                f" {schema.VERSION}: netlab down, then up"
            )
        return hello

    def ask(self, do: str, **what: object) -> Message:
        """Return the answer to a request; NetlabError, with the reason, if it is refused, or if no answer comes."""
        answer, before = self._ask(do, **what)
        self._came.extendleft(reversed(before))
        return answer

    def states(self) -> dict[str, Message]:
        """Return the state of each process, by its name."""
        return {one["process"]: one for one in self.ask("state")["processes"]}

    def signal(self, process: str, number: int) -> None:
        """Send a signal to a process and its group."""
        self.ask("signal", process=process, signal=number)

    def kill(self, process: str, number: int) -> None:
        """Send a signal as `signal` does; the log of the process says that somebody has asked for it."""
        self.ask("kill", process=process, signal=number)

    def pause(self, process: str) -> None:
        """Pause a process, with all that it has started."""
        self.ask("pause", process=process)

    def resume(self, process: str) -> None:
        """Let a paused process go on."""
        self.ask("resume", process=process)

    def start(self, process: str, deadline_s: float) -> None:
        """Start a process, and return when it is there: READY, or, if READY is not awaited, started.

        NetlabError if that takes longer than `deadline_s` seconds, or if it ends before.
        """
        self._begin("start", process, deadline_s)

    def restart(self, process: str, deadline_s: float) -> None:
        """Stop a process, if it runs, start it, and return when it is there, as `start` does."""
        self._begin("restart", process, deadline_s)

    def stop(self, process: str, deadline_s: float) -> None:
        """Stop a process, and return when it has ended; NetlabError if it has not ended in time."""
        until = time.monotonic() + deadline_s
        self.ask("watch", kinds=schema.LIFE)
        self._ask("stop", process=process)
        while runs(self.states()[process]):
            self._await(process, ("exited",), until, f"has not ended within {deadline_s:g} s")

    def events(self, kinds: Sequence[str] = schema.KINDS, deadline_s: float = float("inf")) -> Iterator[Message]:
        """Return the events from now on, until the supervisor ends, or the time is over.

        {"kind": "lost", "count": N} is where N events were lost, because they were not read in time.
        """
        self.ask("watch", kinds=[*kinds])
        return self.heard(kinds, deadline_s)

    def heard(self, kinds: Sequence[str], deadline_s: float) -> Iterator[Message]:
        """Return events that come within this time, of kinds that are watched; `is_over` says that no more will."""
        until = time.monotonic() + deadline_s
        while message := self._next(until):
            if message["kind"] in (*kinds, "lost"):
                yield message

    def fileno(self) -> int:
        """Return what can be read when something comes, for those who wait for more than one thing."""
        return self._socket.fileno()

    @property
    def has_come(self) -> bool:
        """Whether there are messages that were read and not returned yet."""
        return bool(self._came)

    def take(self) -> list[Message]:
        """Return the events that are there now, without waiting; `is_over` says that no more will come."""
        if self._poll.poll(0):
            self._read()
        came = [message for message in self._came if message["kind"] in (*schema.KINDS, "lost")]
        self._came.clear()
        return came

    def try_out(self, process: str) -> None:
        """Wait a moment for a command without a sign of readiness to fail; NotThereError if it has ended by then.

        If another request restarts it meanwhile, the new start is the one that counts.
        """
        until = time.monotonic() + TRIAL_S
        while event := self._event(process, ("exited", "started", "failed"), until):
            if event["kind"] == "started":
                until = time.monotonic() + TRIAL_S
            elif event["kind"] == "failed":
                raise NotThereError(f"{process} {event['why']}")
            elif event.get("again"):
                until = time.monotonic() + ANSWER_S
            else:
                raise NotThereError(f"{process} {_ended(event, 'has ended at once')}")

    def _ask(self, do: str, **what: object) -> tuple[Message, list[Message]]:
        """Return the answer to a request, and the messages that came before it."""
        self._asked += 1
        try:
            self._socket.sendall(json.dumps({"do": do, "id": self._asked, **what}).encode() + b"\n")
        except OSError as error:
            self.is_over = isinstance(error, ConnectionError)
            raise self._silent() from None
        before = []
        until = time.monotonic() + ANSWER_S
        while message := self._next(until):
            if message.get("id") != self._asked:
                before.append(message)
            elif message["kind"] == "error":
                raise NetlabError(message["why"])
            else:
                return message, before
        raise self._silent()

    def _begin(self, do: str, process: str, deadline_s: float) -> None:
        until, late = time.monotonic() + deadline_s, f"is not there within {deadline_s:g} s"
        self.ask("watch", kinds=schema.LIFE)
        self._ask(do, process=process)  # it is started after the answer, so what came before does not matter
        event = self._await(process, ("started", "failed"), until, late)
        while event["kind"] == "started" and event["awaits_ready"]:
            event = self._await(process, ("ready", "exited", "late"), until, late)
            if event.get("again"):  # somebody else has asked for that, or it starts again by itself
                event = self._await(process, ("started", "failed"), until, late)
        if event["kind"] in ("failed", "late"):
            raise NotThereError(f"{process} {event['why']}")
        if event["kind"] == "exited":
            raise NotThereError(f"{process} {_ended(event, 'has ended before it was ready')}")

    def _await(self, process: str, kinds: Sequence[str], until: float, late: str) -> Message:
        """Return the next event of a process, of one of these kinds."""
        if event := self._event(process, kinds, until):
            return event
        if time.monotonic() < until:
            raise self._silent()
        why = self.states()[process].get("why")
        raise NotThereError(f"{process} {late}{f': {why}' if why else ''}")

    def _event(self, process: str, kinds: Sequence[str], until: float) -> Message | None:
        """Return the next event of a process, of one of these kinds; None if none comes in time."""
        while message := self._next(until):
            if message["kind"] in kinds and message.get("process") == process:
                return message
        return None

    def _next(self, until: float) -> Message | None:
        """Return the next message; None at the deadline, and when the supervisor has closed the connection."""
        while not self._came:
            left = min(until - time.monotonic(), 1e6)
            if left <= 0 or not self._poll.poll(left * 1000):
                return None
            self._read()
            if self.is_over:
                return None
        return self._came.popleft()

    def _read(self) -> None:
        """Read what has come."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except ConnectionError:
            data = b""
        self.is_over = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._came.extend(json.loads(line) for line in lines)

    def _silent(self) -> NetlabError:
        return NetlabError(f"{self._who} does not answer: it is stopped, or has ended; netlab status says more")


def _ended(event: Message, what: str) -> str:
    """Return the end of a message: how a process has ended."""
    if event.get("asked"):
        return "was stopped meanwhile, as somebody else has asked for that"
    if "exit" in event:
        return f"{what}, by exit code {event['exit']}"
    return f"{what}, by {signal_name(event['signal'])}" if "signal" in event else what


@contextmanager
def to(folder: str) -> Iterator[Talk]:
    """Connect to the supervisor of the lab with this folder; NetlabError if there is none, or if we may not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)  # for connecting, too
        try:
            fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # a socket's name must be short
            try:
                connection.connect(f"/proc/self/fd/{fd}/{paths.SOCKET}")
            finally:
                os.close(fd)
        except FileNotFoundError:
            raise NetlabError(
                f"no supervisor listens in {folder}: its lab is not up, or has neither processes nor programs nor setup"
            ) from None
        except PermissionError:
            raise NetlabError(f"only root may speak to the supervisor in {folder}: use sudo") from None
        except ConnectionRefusedError:
            raise NetlabError(f"the supervisor in {folder} has died; netlab down, then up") from None
        except OSError as error:
            raise NetlabError(f"cannot speak to the supervisor in {folder}: {error.strerror}") from None
        talk = Talk(folder, connection)
        talk.greet()
        yield talk
