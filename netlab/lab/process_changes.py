"""Starts, stops and restarts processes of a lab that stands, by its supervisor."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from netlab.errors import UsageError
from netlab.record import named
from netlab.record.model import LabRecord, ProcessRecord
from netlab.supervise import logs, talk

Say = Callable[[str], None]
_States = Mapping[str, Mapping[str, Any]]
_STOPS_S = 5.0  # for the end of the run before
_DONE = {"start": "started", "restart": "restarted"}


def change(record: LabRecord, do: str, words: Sequence[str], deadline_s: float, say: Say) -> None:
    """Do `start`, `stop` or `restart` with each process that is meant; each may take so many seconds.

    UsageError if there is no such process; NetlabError, with its last lines, if one does not become ready, or does not
    end. Those before it are changed then, those after it are not.
    """
    known = dict(record.processes())
    called = [key for word in words for key in keys(record, word)]  # a mistake is told before anything is changed
    with talk.to(record.folder) as supervisor:
        states = supervisor.states()
        meant = [key for word in words for key in _meant(record, do, word, states)] or called
        for key in _ordered(known, dict.fromkeys(meant), do):
            runs = talk.runs(states[key])
            if do == "start" if runs else do == "stop" and not talk.waits(states[key]):
                doing = f"runs already: process {states[key]['pid']}" if runs else "does not run"
                say(f"netlab: {record.lab}: {key} {doing}")
            elif do == "stop":
                supervisor.stop(key, deadline_s)
                say(f"netlab: {record.lab}: {key} stopped")
            else:
                _start(supervisor, record, do, key, known[key], deadline_s)
                pid = supervisor.states()[key]["pid"]
                say(f"netlab: {record.lab}: {key} {_DONE[do]}: process {pid}")


def _start(
    supervisor: talk.Talk, record: LabRecord, do: str, key: str, process: ProcessRecord, deadline_s: float
) -> None:
    try:
        begin = supervisor.start if do == "start" else supervisor.restart
        begin(key, max(deadline_s, process.ready.within + _STOPS_S) if process.ready else deadline_s)
        if not process.awaits_ready and not process.may_exit:
            supervisor.try_out(key)
    except talk.NotThereError as error:
        raise talk.NotThereError(f"{error}{logs.last_words(record.folder, key)}") from error


def keys(record: LabRecord, word: str) -> list[str]:
    """Return the keys of the processes that NODE, for all of it, or NODE/NAME means; UsageError if there is none."""
    found = named.keys(record, word)
    if not found:
        raise UsageError(f"{word} has neither a role nor a command")
    return found


def _meant(record: LabRecord, do: str, word: str, states: _States) -> list[str]:
    """Return the processes that a word means: of a node with several, those that run, or that `up` would start."""
    found = keys(record, word)
    if not found[1:]:
        return found
    running = [key for key in found if talk.runs(states[key]) or talk.waits(states[key])]
    if do == "stop":
        return running
    known = dict(record.processes())
    return [key for key in found if known[key].autostart or (do == "restart" and key in running)]


def _ordered(known: Mapping[str, ProcessRecord], keys: Mapping[str, object], do: str) -> Sequence[str]:
    """Return processes in the order in which `up` would start them; to be stopped, the other way round."""
    found = [key for key in _after(known, keys) if key in keys]
    return found[::-1] if do == "stop" else found


def _after(known: Mapping[str, ProcessRecord], keys: Iterable[str]) -> Iterator[str]:
    """Yield processes, each after all those that it comes after; `up` has seen that these are no circle."""
    seen: set[str] = set()
    waiting = list(keys)[::-1]
    while waiting:
        key = waiting.pop()
        before = [each for each in known[key].after if each not in seen]
        if key not in seen and before:
            waiting += [key, *before[::-1]]
        elif key not in seen:
            seen.add(key)
            yield key
