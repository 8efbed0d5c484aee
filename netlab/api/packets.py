"""Packets of a lab from Python."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from netlab.errors import UsageError
from netlab.lab.standing import Standing
from netlab.observe import capturing
from netlab.observe.capture_file import CaptureFile
from netlab.observe.capturing import Lost
from netlab.observe.outlet import Outlet
from netlab.observe.recording import Recording
from netlab.observe.seen import Seen


class Packets:
    """What a capture has seen: `seen` in the order of time, if no file takes them; how many, and what was lost.

    It is whole when the block of the capture is over.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.seen: list[Seen] = []
        self.count = 0
        self.lost: list[Lost] = []

    def begin(self) -> None:
        """Do nothing."""

    def take(self, batch: list[Seen]) -> None:
        """Keep packets."""
        self.seen += batch
        self.count += len(batch)

    def end(self) -> None:
        """Do nothing."""


@contextmanager
def capture(
    lab: Standing, path: str, places: Sequence[str], wanted: str, verdicts: bool, say: Callable[[str], None]
) -> Iterator[Packets]:
    """Capture while the block runs: see api.lab.Lab.capture."""
    chosen, strange = capturing.places(lab.record, places)
    if strange:
        raise UsageError(f"{strange[0]}: expected NODE or NODE:INTERFACE; the lab has {', '.join(lab.record.nodes)}")
    made_filter = capturing.filter_of(lab.record, [wanted] if wanted else [])
    packets = Packets(path)
    fd = _new_file(path) if path else -1
    try:
        with capturing.opened(lab, chosen, made_filter, say, with_verdicts=verdicts) as made:
            file = CaptureFile(made, lambda: Outlet(fd, lambda: True, path)) if path else None
            work = Recording(made, file or packets, say)
            work.start()
            try:
                yield packets
            finally:
                work.stop()
                packets.count = file.packets if file else packets.count
                packets.lost = made.lost()
    finally:
        if fd >= 0:
            os.close(fd)


def _new_file(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise UsageError(f"{path}: expected the name of a new file, and there is one already") from None
    except OSError as error:
        raise UsageError(f"{path}: expected a file that can be made: {error.strerror}") from None
