"""In the supervisor: requests that interfere with a process that runs: signals, kills, pauses."""

from collections.abc import Callable

from netlab.kernel.kill import signal_name
from netlab.supervise.child import Child
from netlab.supervise.refusal import Refused
from netlab.supervise.telling import Telling


class Interference:
    """Does these requests. `running` returns the process of a name, and refuses one that does not run."""

    def __init__(self, running: Callable[[str], Child], tell: Telling) -> None:
        self._running = running
        self._tell = tell

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process and its group."""
        self._running(name).signal(number)

    def kill(self, name: str, number: int) -> None:
        """Send a signal as `signal` does, and note that somebody has asked for it."""
        child = self._running(name)
        self._tell.note(child, f"asked to kill it by {signal_name(number)}")
        child.signal(number)

    def pause(self, name: str) -> None:
        """Pause a process, with all that it has started."""
        child = self._running(name)
        if child.paused or child.patience:
            raise Refused(f"{name} is paused already" if child.paused else f"{name} is being stopped")
        child.pause()
        self._tell.paused(child)

    def resume(self, name: str) -> None:
        """Let a paused process go on."""
        child = self._running(name)
        if not child.paused:
            raise Refused(f"{name} is not paused")
        child.resume()
        self._tell.resumed(child)
