"""Finds what of a process is not as planned, and says what mends it. Pure."""

from collections.abc import Iterator

from netlab import paths
from netlab.kernel.kill import signal_name
from netlab.lab.node_drift import Problem, anew
from netlab.record.model import ProcessRecord
from netlab.supervise.client import Process
from netlab.words import count


def problems(
    lab: str, folder: str, planned: ProcessRecord, entry: Process, *, is_watched: bool, mend: str
) -> Iterator[Problem]:
    """Yield what is wrong with a node's process; `mend` is what brings back a process that has ended.

    `is_watched` says whether the supervisor is alive. If it is not, lost processes are named with that problem.
    """
    who = f"its process {entry.pid}"
    match entry.state:
        case "not started":
            yield Problem(entry.process, f"{folder}/{paths.PROCESSES} says nothing of its process", anew(lab))
        case "lost" if is_watched:
            yield Problem(entry.process, f"{who} has ended, and nobody has seen how", anew(lab))
        case "stopped":
            yield Problem(entry.process, f"{who} is stopped", f"kill -CONT {entry.pid}")
        case "starting" if entry.late:
            yield Problem(entry.process, f"{who} {entry.late}", f"netlab restart --lab {lab} {entry.process}")
        case "restarting" if is_watched:
            again = f"starts again in a moment (restart {entry.restarts} in a row)"
            yield Problem(entry.process, f"{who} has ended, and {again}", mend)
        case "exited" | "killed" | "gone":
            if what := _of_ended(planned, entry, is_watched):
                yield Problem(entry.process, f"{who} {what}", mend)


def _of_ended(planned: ProcessRecord, entry: Process, is_watched: bool) -> str:
    """Return what is wrong with a process that has ended, "" if nothing is."""
    ending = f"was killed by {signal_name(entry.code)}"
    if entry.state != "killed":
        ending = f"has ended with exit code {entry.code}" if entry.state == "exited" else "has ended in the background"
    if entry.exhausted:
        return f"{ending}, after {count(entry.restarts, 'restart')} in a row, as many as it may have"
    if entry.stopped_by_request and is_watched:
        return "was stopped on request"
    if entry.state == "killed":
        return ending
    if planned.may_exit or (entry.state == "exited" and not entry.code and not planned.stays):
        return ""
    return ending if entry.code or entry.state == "gone" else "has ended, and its role is one that stays"
