"""Starts the process that loads one program: a new Python, or for an object a copy of this one.

A compiler takes so much longer than Python to start that a new process, which has nothing of this one's, costs little.
An object is loaded in less time than Python needs for its modules, which a copy has.
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from netlab import paths

_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from netlab.programs.loader_child import main; main()"


class Ends(NamedTuple):
    """The descriptors of a child: where it reads its job, answers, and talks; and those that it keeps as they are."""

    job: int
    answer: int
    talk: int
    kept: Sequence[int]


def start(ends: Ends, *, is_object: bool) -> int:
    """Start a child and return its number; OSError if that cannot be done."""
    # a copy has only the thread that makes it, and would wait for ever for what other threads have locked
    is_alone = is_object and len(os.listdir("/proc/self/task")) == 1
    return _copied(ends) if is_alone else _spawned(ends)


def _spawned(ends: Ends) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(ends[:3])]
    # glibc takes a copy onto itself as the order to keep it open across exec
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in ends.kept]
    # without the site module, which has said here already where modules are
    argv = [sys.executable, "-IS", "-c", _BOOT, *_folders()]
    return os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)


def _copied(ends: Ends) -> int:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads it: then nothing is written twice either
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
    """Have nothing of the process that this one is a copy of: its signals, descriptors and streams."""
    gc.disable()  # what it collects may close descriptors, whose numbers others have by now
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
    """Return where the child imports from: where this process does, but not from its current folder."""
    home = paths.IMPORTED_FROM
    with suppress(FileNotFoundError):
        here = os.getcwd()
        return [folder for folder in (*sys.path, home) if folder == home or folder not in ("", here)]
    return [*sys.path, home]
