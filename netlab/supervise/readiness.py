"""What `up` waits for: every process is there, and none has ended that must not. Pure, except for the clock."""

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from netlab.kernel.kill import signal_name
from netlab.words import count

if TYPE_CHECKING:
    from netlab.supervise.job import Start

# A command prints no READY: it counts as there when it has run for this long.
TRIAL_S = 0.2
_SLACK_S = 2.0  # more time for the supervisor, which itself ends setups that are too slow
NOT_FOLLOWED = "without control groups of version 2, what a command leaves in the background is not followed"


class Readiness:
    """The progress of a lab's processes, from their supervisor's events.

    The supervisor says which process is late: each has `deadline_s` seconds after its start, or its own time. `until`
    is how long to wait for the supervisor, CLOCK_MONOTONIC in seconds. `is_over` says that there is nothing more to
    wait for.
    """

    def __init__(self, starts: Iterable["Start"], deadline_s: float) -> None:
        self.until = time.monotonic() + deadline_s + _SLACK_S
        self.is_over = False
        self._deadline_s = deadline_s
        self._starts = {one.process: one for one in starts}
        self._late: list[str] = []  # those that have not said READY
        self._ends: dict[str, str] = {}  # how those that start again have ended last, until they are ready
        self._trial_end = 0.0  # when the last command that prints no READY counts as there
        self._unfollowed: set[str] = set()  # commands of which nobody sees what goes on in the background
        self._are_here = False

    def hear(self, event: Mapping[str, Any]) -> tuple[str, str] | None:
        """Handle an event; if the lab cannot become complete any more, return the process that failed, and why."""
        process = event.get("process", "")
        match event["kind"]:
            case "setup" | "prepared":
                self._wait_on(self._deadline_s)
            case "started":
                self._hear_start(process, event)
            case "ready":
                self._late.remove(process)
                self._ends.pop(process, None)
            case "complete":
                self._are_here = True
                self.until = self._trial_end
                self.is_over = time.monotonic() >= self._trial_end
            case "failed":
                return process, event["why"]
            case "late":
                return process, event["why"] + self._nor(process, event["why"].split()[0])
            case "exhausted":
                return process, f"has ended again, after {count(event['at_most'], 'restart')}"
            case "exited":
                return self._hear_end(process, event)
        return None

    def _hear_start(self, process: str, event: Mapping[str, Any]) -> None:
        start = self._starts[process]
        if event.get("unfollowed"):
            self._unfollowed.add(process)
        if event["awaits_ready"]:
            self._late.append(process)
            if process not in self._ends:  # a restart gives a process no more time
                self._wait_on(max(start.within, self._deadline_s))
        elif not start.may_exit:
            self._trial_end = event["ns"] / 1e9 + TRIAL_S

    def _hear_end(self, process: str, event: Mapping[str, Any]) -> tuple[str, str] | None:
        """Handle the end of a process. If it starts again by itself, wait for that, or for `exhausted`."""
        was_late = process in self._late
        if was_late:
            self._late.remove(process)
        has_failed = event.get("exit") != 0
        if self._starts[process].restart[0] != "no" and (event.get("again") or has_failed):
            if self._starts[process].awaits_ready:
                self._ends[process] = _how(event)
            return None
        if was_late:
            why = f" ({NOT_FOLLOWED})" if process in self._unfollowed and not has_failed else ""
            return process, f"{_how(event)} before it {self._was_due(process)}{why}"
        if not self._may_end(process, event):
            return process, f"{_how(event)} before the lab was complete{self._allowed(process, event)}"
        return None

    def late(self) -> tuple[str, str] | None:
        """Return which process is late, and why, when the time is over; None if all are there."""
        if self._are_here:
            return None
        for process, how in self._ends.items():
            return process, f"{how} again and again, and never {self._was_due(process)} within {self._deadline_s:g} s"
        if not self._late:
            return "", f"the processes have not all been started within {self._deadline_s:g} s"
        return "", "its supervisor does not say that they are ready, or late: it is stopped?"

    def _was_due(self, process: str) -> str:
        return "was ready" if self._starts[process].ready else "said READY"

    def _wait_on(self, seconds: float) -> None:
        self.until = max(self.until, time.monotonic() + seconds + _SLACK_S)

    def _nor(self, process: str, verb: str) -> str:
        others = [each for each in self._late if each != process]
        return f" (nor {verb} {', '.join(others[:3])}{' …' if others[3:] else ''})" if others else ""

    def _may_end(self, process: str, event: Mapping[str, Any]) -> bool:
        """Say whether a process may end in this way: a role may end when it has done its work."""
        start = self._starts[process]
        is_done = start.is_role and not start.stays and event.get("exit") == 0
        return "signal" not in event and (start.may_exit or is_done)

    def _allowed(self, process: str, event: Mapping[str, Any]) -> str:
        """Return what allows such an end, after all that netlab has seen of it."""
        if "signal" in event:
            return ""
        if event.get("exit"):
            return " (a process that may end needs may_exit: true)"
        if process in self._unfollowed:
            return f" ({NOT_FOLLOWED}: leave out the option that puts it there, or say may_exit: true)"
        nothing = "" if self._starts[process].is_role else "nothing of it goes on in the background; "
        return f" ({nothing}a process that may end needs may_exit: true)"


def _how(event: Mapping[str, Any]) -> str:
    if "exit" in event:
        return f"ended with exit code {event['exit']}"
    if "signal" not in event:
        return "ended in the background"
    return f"was killed by {signal_name(event['signal'])}"
