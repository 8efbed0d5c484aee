"""In the supervisor: the control group of one command. Every process that it has started is in it, also daemons."""

import os
import signal
from contextlib import suppress

from netlab import paths
from netlab.kernel import cgroups, clone, pids
from netlab.kernel.files import read
from netlab.kernel.kill import open_pidfd
from netlab.runtime import entry
from netlab.runtime.base import Place


def of_process(process: str, place: Place | None, given: str = "") -> "Group | None":
    """Return the group of a process, by its key: at the path `given`, or else below its container's or the lab's group.

    None if there is no group of version 2 to make it in.
    """
    name = process.replace("/", ".")
    try:
        above = "" if given or not place or place.user else entry.unified_group(place)
        lab = "" if given or above else os.fsdecode(read(paths.GROUP))
    except OSError:
        return None
    path = given or (f"{above}/{paths.MARK}{name}" if above else f"{lab}/{name}")
    return Group(path) if os.path.exists(f"{os.path.dirname(path)}/cgroup.controllers") else None


class Group:
    """A group of version 2, made when it is first needed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_entered = False  # by a process that was started

    def fork(self, place: Place | None) -> int:
        """Fork, into a container's PID namespace if there is one; return as os.fork. The child is in the group.

        If the group cannot be made or entered, the child runs without it: processes that it leaves are then not found.
        """
        try:
            with suppress(FileExistsError):
                os.mkdir(self.path, mode=0o755)
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return entry.fork(place) if place else os.fork()
        self.is_entered = True
        try:
            return entry.fork(place, lambda: self._fork(fd)) if place else self._fork(fd)
        finally:
            os.close(fd)

    def _fork(self, fd: int) -> int:
        try:
            return clone.fork_into(fd)
        except OSError:
            pid = os.fork()
            if pid == 0:
                self._write("cgroup.procs", b"0")  # this process
            return pid

    def members(self) -> list[int]:
        """Return the processes in the group, the oldest first; zombies are in none."""
        return sorted(cgroups.members([self.path]), key=pids.start_ticks)

    def signal(self, number: int) -> bool:
        """Send a signal to all in the group; say whether there was anybody."""
        if number == signal.SIGKILL:
            self._write("cgroup.kill", b"1")  # since Linux 5.14
        found = self.members()
        for pid in found:
            if (pidfd := open_pidfd(pid)) >= 0:
                with suppress(ProcessLookupError, PermissionError):
                    if pid in cgroups.members([self.path]):  # once more, because the pidfd now holds the id
                        signal.pidfd_send_signal(pidfd, number)
                os.close(pidfd)
        return bool(found)

    def freeze(self) -> bool:
        """Freeze all in the group, and all that they start; say whether there was anybody, and it could be done."""
        return bool(self.members()) and self._write("cgroup.freeze", b"1")

    def thaw(self) -> None:
        """Let all in the group go on, and all that will be in it."""
        self._write("cgroup.freeze", b"0")

    def remove(self) -> None:
        """Remove the group, unless a process is left in it. The container's engine would not do it if it was killed."""
        with suppress(OSError):
            os.rmdir(self.path)

    def _write(self, name: str, data: bytes) -> bool:
        """Write into a file of the group, and say whether that was possible."""
        with suppress(OSError):
            fd = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                return os.write(fd, data) == len(data)
            finally:
                os.close(fd)
        return False
