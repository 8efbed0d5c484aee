"""Limits how many compilers run at once: as many as there are CPUs, in each lab."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from netlab import paths
from netlab.kernel import files


@contextmanager
def take(work_folder: str) -> Iterator[None]:
    """Hold one of the lab's slots, waiting for a free one; the kernel frees it when the process ends."""
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
