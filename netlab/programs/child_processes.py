"""Starts the process that loads one program: a fork of this process, or a new Python if this one has more threads.

A new Python costs more than the loading of a program from the cache: most of its time is the import of modules that
this process has already.
"""

import faulthandler
import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NoReturn

from netlab import paths
from netlab.named_tuple import NamedTuple

_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from netlab.programs.loader_child import main; main()"


class Ends(NamedTuple):
    """The descriptors that a child gets as 0, 1 and 2, and those that it keeps under their numbers."""

    job: int
    answer: int
    talk: int
    kept: Sequence[int]


def start(ends: Ends, *, fresh: bool = False) -> int:
    """Start a child and return its number; OSError if that cannot be done.

    A `fresh` one has nothing of this process's memory.
    """
    return _forked(ends) if not fresh and _has_one_thread() else _spawned(ends)


def _has_one_thread() -> bool:
    """Say whether a fork is safe: it has no other threads, but their locks, and would wait for them for ever."""
    return len(os.listdir("/proc/self/task")) == 1


def _spawned(ends: Ends) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(ends[:3])]
    # for glibc, a dup2 of a descriptor onto itself means: keep it open across exec
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in ends.kept]
    # without the site module: the child gets the parent's folders of modules
    argv = [sys.executable, "-IS", "-c", _BOOT, *_folders()]
    return os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)


def _forked(ends: Ends) -> int:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # no handler must run in the child
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if not pid:
        _be_child(ends, before)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # this may raise what has come meanwhile
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return pid


def _be_child(ends: Ends, mask: Iterable[int]) -> NoReturn:
    """Do the job in a copy of the parent, with this mask of signals, and end."""
    try:
        _let_go(ends)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        from netlab.programs import loader_child

        loader_child.main()
    except BaseException:  # noqa: BLE001 - nothing of this process may go on in its copy
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(1)


def _let_go(ends: Ends) -> None:
    """Give back what a new Python would not have of the parent's, such as handlers of signals and descriptors."""
    faulthandler.disable()  # it would write into a descriptor that is another file here
    gc.disable()  # a collected file object of the parent would close a number that is in use again
    signal.set_wakeup_fd(-1)
    for each in filter(lambda number: callable(signal.getsignal(number)), signal.valid_signals()):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and ends this process
    sys.path[:] = _folders()
    warnings.simplefilter("ignore")  # the parent may take them for errors
    for number, fd in enumerate(ends[:3]):
        os.dup2(fd, number)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in ends.kept:
            with suppress(OSError):  # the one that lists them
                os.close(fd)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, "r" if not number else "w") for number in range(3))


def _folders() -> list[str]:
    """Return the folders from which the child imports: those of this process, except the current folder."""
    home = paths.IMPORTED_FROM
    with suppress(FileNotFoundError):
        here = os.getcwd()
        return [folder for folder in (*sys.path, home) if folder == home or folder not in ("", here)]
    return [*sys.path, home]
