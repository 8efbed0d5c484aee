"""Kills, pauses and resumes processes of a lab that stands, by its supervisor."""

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netlab.errors import NetlabError
from netlab.kernel.kill import signal_name
from netlab.lab.process_changes import keys
from netlab.record.model import LabRecord
from netlab.supervise import talk

_State = Mapping[str, Any]


def interfere(record: LabRecord, do: str, words: Sequence[str], number: int, say: Callable[[str], None]) -> None:
    """Do `kill`, with the signal `number`, `pause` or `resume` with each process that is meant.

    What is so already, and what does not run, is said. UsageError if there is no such process, before anything is
    changed. Of several processes of a node, those that do not run are not meant.
    """
    called = {word: keys(record, word) for word in words}
    with talk.to(record.folder) as supervisor:
        states = supervisor.states()
        running = {word: [key for key in found if talk.runs(states[key])] for word, found in called.items()}
        for key in dict.fromkeys(key for word, found in called.items() for key in running[word] or found):
            said = _idle(do, states[key]) or _done(supervisor, do, key, number)
            say(f"netlab: {record.lab}: {key} {said}")


def _idle(do: str, state: _State) -> str:
    """Return why there is nothing to do with a process, "" if there is something."""
    if not talk.runs(state) or "pid" not in state:
        return "does not run"
    if (do == "pause") == (state["state"] == "paused") and do != "kill":
        return "is paused already" if do == "pause" else "is not paused"
    return ""


def _done(supervisor: talk.Talk, do: str, key: str, number: int) -> str:
    """Do it, and return what was done; it may have ended by itself meanwhile."""
    try:
        if do == "kill":
            supervisor.kill(key, number)
            return "killed" if number == signal.SIGKILL else f"got {signal_name(number)}"
        (supervisor.pause if do == "pause" else supervisor.resume)(key)
    except NetlabError:
        if "pid" in (now := supervisor.states()[key]) and talk.runs(now):
            raise
        return "does not run"
    return f"{do}d"
