"""Processes of a lab from Python. `netlab start`, `stop`, `restart`, `kill`, `pause` and `resume` are words for it."""

import signal
from collections.abc import Callable, Sequence

from netlab.record.model import LabRecord

_RESTART_S = 30.0
Note = Callable[[str], None]


class Processes:
    """Some processes of a lab that is up, each as NODE, for all of a node, or NODE/NAME.

    UsageError if there is no such process; then nothing has changed. NetlabError if one does not become ready, or does
    not end; those before it are changed then.
    """

    def __init__(self, lab: LabRecord, names: Sequence[str], note: Note) -> None:
        self._lab = lab
        self._names = names
        self._note = note

    def __repr__(self) -> str:
        return f"<processes {' '.join(self._names)} of lab {self._lab.lab}>"

    def start(self, timeout: float = _RESTART_S) -> None:
        """Start them in the order of `after:`, and wait until they are ready, at most `timeout` seconds for each."""
        self._change("start", timeout)

    def stop(self, timeout: float = _RESTART_S) -> None:
        """Stop them, and wait for their end, at most `timeout` seconds for each."""
        self._change("stop", timeout)

    def restart(self, timeout: float = _RESTART_S) -> None:
        """Stop and start them, each at most `timeout` seconds."""
        self._change("restart", timeout)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to them, with all that they have started."""
        self._interfere("kill", number)

    def pause(self) -> None:
        """Pause them."""
        self._interfere("pause")

    def resume(self) -> None:
        """Let those that are paused go on."""
        self._interfere("resume")

    def _change(self, do: str, timeout: float) -> None:
        from netlab.lab.process_changes import change

        change(self._lab, do, self._names, timeout, self._note)

    def _interfere(self, do: str, number: int = 0) -> None:
        from netlab.lab.interference import interfere

        interfere(self._lab, do, self._names, number, self._note)
