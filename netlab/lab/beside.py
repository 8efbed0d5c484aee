"""Work that `up` does beside its main thread, such as what waits for the kernel."""

import threading
from collections.abc import Callable


class Beside(threading.Thread):
    """Work done in a thread of its own; `result` waits for it and raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Do the work; a thread's own method."""
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - carried to `result`
            self._error = error

    def result(self) -> None:
        """Wait for the end of the work; raises what it raised."""
        self.join()
        if self._error:
            raise self._error
