"""A process and all that it has started: finds them, and stops them or lets them go on."""

import os
import signal
from contextlib import suppress

from netlab.kernel.kill import open_pidfd
from netlab.kernel.pids import family, start_ticks

_MOST_ROUNDS = 100


def members(pid: int) -> dict[int, int]:
    """Return a process, its descendants, and all in the sessions of these, each with its start time.

    Those that have ended are left out.
    """
    known = {each: found for each in map(int, filter(str.isdigit, os.listdir("/proc"))) if (found := family(each))}
    whole: dict[int, int] = {}
    following = [pid] if pid in known else []
    while following:
        whole.update((each, known[each].start_ticks) for each in following)
        near = ((each, about) for each, about in known.items() if each not in whole)
        following = [each for each, about in near if about.parent in whole or about.session in whole]
    return whole


def stop(pid: int) -> dict[int, int]:
    """Stop a process and all that it has started, also those that they start while this goes on; return all."""
    stopped: dict[int, int] = {}
    for _ in range(_MOST_ROUNDS):
        new = {each: ticks for each, ticks in members(pid).items() if stopped.get(each) != ticks}
        if not new:
            break
        _send(new, signal.SIGSTOP)
        stopped.update(new)
    return stopped


def resume(pid: int, stopped: dict[int, int]) -> None:
    """Let a process go on with all that it has started, and all that were stopped: it may have ended before them."""
    _send({**members(pid), **stopped}, signal.SIGCONT)


def _send(whom: dict[int, int], number: int) -> None:
    """Send a signal to processes that are still those that were started at these times."""
    for pid, ticks in whom.items():
        if (pidfd := open_pidfd(pid)) >= 0:
            with suppress(ProcessLookupError, PermissionError):
                if start_ticks(pid) == ticks:
                    signal.pidfd_send_signal(pidfd, number)
            os.close(pidfd)
