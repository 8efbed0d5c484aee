"""Only one command at a time changes a lab: the lock beside its folder."""

import errno
import fcntl
import os
import time
from _thread import get_ident
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import files, progress

_LOCK_POLL_S = 0.02
_PATIENCE_S = 60.0
_held: dict[int, "Lock"] = {}  # the last lock of the host that each thread has taken


class Lock:
    """A file that can be locked by whoever has opened it; it is removed with the lab."""

    def __init__(self, root: str, path: str) -> None:
        self.root = root
        self.path = path
        self._file: FileIO | None = None  # closes once, whenever an interrupt comes

    @property
    def fd(self) -> int:
        """The descriptor of the file; -1 if it is not open."""
        return -1 if self._file is None or self._file.closed else self._file.fileno()

    def acquire(self, lab: str, patience_s: float, waiting: Callable[[], None]) -> None:
        """Wait for the lock; see `store.locked`, also for when NetlabError is raised."""
        told = False
        patience = progress.Patience(lambda: progress.of_holders(self.path), patience_s)
        look_at = time.monotonic() + patience.pause_s
        while not self._try(lab):
            if not told:
                waiting()
                told = True
            if time.monotonic() > look_at:
                if patience.is_over():
                    raise NetlabError(f"another netlab command is still changing the lab {lab}")
                look_at = time.monotonic() + patience.pause_s
            self._close()
            time.sleep(_LOCK_POLL_S)

    def release(self, is_kept: bool) -> None:
        """Release the lock; also safe if an interrupt came before it was acquired."""
        with suppress(BlockingIOError, FileNotFoundError):
            if self.fd >= 0 and not is_kept and self._is_ours():
                os.unlink(self.path)  # while it is held: whoever waits for it then sees that the file is another one
        if not is_kept:
            self._remove_empty_root()
        self._close()

    def _try(self, lab: str) -> bool:
        """Lock it without waiting; False if another process has it, or has just removed it."""
        try:
            self._file = FileIO(self._open())
            return self._is_ours()
        except (BlockingIOError, FileNotFoundError):
            return False
        except PermissionError as error:
            raise HostError(f"cannot lock the lab {lab}: {error}") from None

    def _open(self) -> int:
        """Open the file, for root alone: whoever can open a file can lock it, and so make others wait."""
        files.ensure_folder(self.root, files.FOR_ALL)
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _is_ours(self) -> bool:
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(self.fd), os.stat(self.path))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _remove_empty_root(self) -> None:
        try:
            os.rmdir(self.root)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EBUSY, errno.ENOENT, errno.ENOTDIR):
                raise


@contextmanager
def of_host(lab: str) -> Iterator[int]:
    """Hold, for a lab, the lock of what labs share of this host: networks, forwarding; yields its descriptor."""
    me = get_ident()
    if me in _held:  # an interrupt may have cut its release short: we would wait for ourselves
        _held[me].release(is_kept=False)
    lock = _held[me] = Lock(paths.LABS, paths.host_lock())
    try:
        lock.acquire(lab, _PATIENCE_S, lambda: None)
        yield lock.fd
    finally:
        lock.release(is_kept=False)
