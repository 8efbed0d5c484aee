"""Starts the process that loads one program: a new Python, or for an object a fork of this process.

Compared with a compiler, a new Python costs little. Compared with the loading of an object it costs much: most of its
time is the import of modules that this process has already.
"""

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from netlab import paths
from netlab.named_tuple import NamedTuple

_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from netlab.programs.loader_child import main; main()"


class Ends(NamedTuple):
    """The descriptors that a child gets as 0, 1 and 2, and those that it keeps under their numbers."""

    job: int
    answer: int
    talk: int
    kept: Sequence[int]


def start(ends: Ends, *, is_object: bool) -> int:
    """Start a child and return its number; OSError if that cannot be done."""
    return _forked(ends) if is_object and _has_one_thread() else _spawned(ends)


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
    pid = os.fork()
    if pid:
        return pid
    try:
        _let_go(ends)
        from netlab.programs import loader_child

        loader_child.main()
    except BaseException:  # noqa: BLE001 - nothing of this process may go on in its copy
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(1)


def _let_go(ends: Ends) -> None:
    """Give back the parent's signal handlers, descriptors and streams."""
    faulthandler.disable()  # it would write into a descriptor that is another file here
    gc.disable()  # a collected file object of the parent would close a number that is in use again
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)
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
