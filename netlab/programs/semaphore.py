"""Whose turn it is to compile: no more processes at a time than there are CPUs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from netlab import paths
from netlab.kernel import files


@contextmanager
def turn(work_folder: str) -> Iterator[None]:
    """Wait until fewer processes than CPUs compile for this lab; the kernel ends a turn with its process."""
    files.ensure_folder(work_folder, files.FOR_OWNER)
    mode = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW
    locks = [os.open(paths.compile_lock(work_folder, n), mode, 0o600) for n in range(os.cpu_count() or 1)]
    for fd in locks:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            continue
    else:
        fcntl.flock(locks[os.getpid() % len(locks)], fcntl.LOCK_EX)
    yield
    for fd in locks:
        os.close(fd)
