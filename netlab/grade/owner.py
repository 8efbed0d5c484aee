"""Who grades on this host: a folder that is locked as long as its process lives, and labs that are called after it.

Whoever comes next removes what a killed one has left: its labs, which may stand half built, and its folder.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

from netlab import paths
from netlab.kernel import files
from netlab.lab import bring_up, removal

_LOCK = "lock"
_PREFIX = "grade-"
# Root's alone but for passing through: the processes of a lab find their own files in it, and nobody lists it.
_MODE = 0o711


class Owner:
    """Who grades; it names a lab and a new folder for each play."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._numbers = count(1)

    def place(self) -> tuple[str, str]:
        """Return the name of a lab, and a new folder for what is played in it."""
        number = next(self._numbers)
        folder = f"{_folder(self.name)}/{number}"
        files.make_folder(folder, _MODE)
        return f"{_PREFIX}{self.name}-{number}", folder


@contextmanager
def owning() -> Iterator[Owner]:
    """Yield a new owner, after what dead ones have left was removed."""
    with _turn():
        _sweep(lambda _: None)
        owner = Owner(secrets.token_hex(4))
        files.make_folder(_folder(owner.name), _MODE)
        lock = _lock(owner.name)
    try:
        yield owner
    finally:
        _remove(owner.name)
        if lock is not None:
            os.close(lock)
        with _turn(), suppress(OSError):  # others may grade
            os.rmdir(paths.GRADES)


def sweep(say: Callable[[str], None]) -> None:
    """Remove what was left by those that are dead."""
    if os.path.isdir(paths.GRADES):
        with _turn():
            _sweep(say)
            with suppress(OSError):  # others may grade
                os.rmdir(paths.GRADES)


@contextmanager
def _turn() -> Iterator[None]:
    """Be the only one who looks for the dead, or begins: a folder that is not locked yet looks like a dead one's."""
    while True:
        files.ensure_folder(paths.GRADES, _MODE)
        fd = os.open(paths.GRADES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(paths.GRADES)):
                break
        os.close(fd)  # it was removed while we waited
    try:
        yield
    finally:
        os.close(fd)


def _sweep(say: Callable[[str], None]) -> None:
    for name in files.names(paths.GRADES):
        lock = _lock(name)
        if lock is not None:
            say(f"netlab: removing what a killed `netlab grade` has left ({name})")
            _remove(name)
            os.close(lock)


def _remove(name: str) -> None:
    """Remove the labs of an owner, and then its folder; what cannot be removed now is left to the next one."""
    for lab in removal.labs_with_leftovers():
        if lab.startswith(f"{_PREFIX}{name}-"):
            bring_up.down(lab, lambda _: None)
    shutil.rmtree(_folder(name), ignore_errors=True)


def _lock(name: str) -> int | None:
    """Lock the folder of an owner, and return the descriptor; None if somebody who lives has it."""
    fd = os.open(f"{_folder(name)}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _folder(name: str) -> str:
    return f"{paths.GRADES}/{name}"
