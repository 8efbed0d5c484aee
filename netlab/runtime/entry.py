"""Enters a node: its namespaces, and a container also by its capabilities, environment and root.

A process enters a container in two steps. Its parent forks it into the container's PID namespace (`fork`), because no
process can change its own. It does the rest itself before it executes anything (`join`). So it is its parent's own
child, with its terminal, its pipes and its exit code. For the engine it is a process of the container.
"""

import errno
import os
import select
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from netlab.kernel import commands, signals, syscalls
from netlab.kernel.capabilities import mask
from netlab.kernel.pids import is_alive
from netlab.runtime.base import Entrance, Place

_ROOM_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # noqa: S108 - the room's own
    "USER": "lab",
    "SHELL": "/bin/sh",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_NAMESPACES = ("cgroup", "ipc", "uts", "net", "mnt")  # the mounts last: until then /proc is the host's
_LOOK_S = 10.0


def fork(place: Place, born: Callable[[], int] = os.fork) -> int:
    """Fork into the container's PID namespace; like os.fork, return the child's id, and 0 in the child.

    `born` is what forks. The id is the one that this process sees. Raises OSError, and ProcessLookupError if the
    container has ended.
    """
    own = os.open("/proc/thread-self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        theirs = os.open(f"/proc/{place.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not is_alive(place.pid, place.start_ticks):
                raise ProcessLookupError
            syscalls.setns(theirs, syscalls.CLONE_NEWPID)
        finally:
            os.close(theirs)
        pid = -1
        try:
            pid = born()
        finally:
            if pid:  # the child's PID namespace cannot change any more
                syscalls.setns(own, syscalls.CLONE_NEWPID)
        return pid
    finally:
        os.close(own)


def join(place: Place, folder: str, keeps_group: bool = False) -> dict[str, str]:
    """Let this process, which `fork` has made, enter completely; return the environment there.

    In a room it is then confined.

    With `keeps_group` it stays in its control group of version 2, which is one below the container's, or the container
    is in none. Afterwards it is in `folder`, or in / if the container has no such folder. Raises OSError.
    """
    container = f"/proc/{place.pid}"
    if place.user:
        from netlab.kernel import confinement

        _enter([f"{container}/ns/{name}" for name in _NAMESPACES], place.groups, folder)
        confinement.confine(place.user, place.capabilities)
        return dict(_ROOM_ENVIRONMENT)
    from netlab.kernel import rights

    environment = _environment(container)
    allowed = _bounding(container) | mask(place.capabilities)
    _enter([f"{container}/ns/{name}" for name in _NAMESPACES], _control_groups(place.pid, keeps_group), folder)
    rights.limit_capabilities(allowed)
    return environment


def step_into(entrance: Entrance, folder: str) -> None:
    """Let this process, which has one thread, enter a node with files of its own. Raises OSError.

    Afterwards it is in `folder`, or in / if the node sees no such folder.
    """
    _enter(entrance.namespaces, entrance.groups, folder)


def _enter(paths: Iterable[str], groups: Iterable[str], folder: str) -> None:
    """Let this process enter control groups, then namespaces, given by their files, and a folder, or / without it.

    The namespaces are opened first: inside the first of them the files of the others may not be seen.
    """
    descriptors = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in paths]
    for group in groups:
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")  # 0 means the process that writes it
    for descriptor in descriptors:
        syscalls.setns(descriptor, 0)
        os.close(descriptor)
    try:
        os.chdir(folder)
    except OSError:
        os.chdir("/")


def problem(place: Place, command: str, variables: Mapping[str, str], folder: str) -> str:
    """Return why a command cannot be run in a container from `folder`: "" if it can.

    Signals that end a process wait meanwhile. A container cannot end before its last process was waited for: an undo
    that left this one behind would ask the engine in vain to remove the container.
    """
    what = "room" if place.user else "container"
    with signals.waiting():
        try:
            pid = fork(place)
        except OSError:
            return f"its {what} has ended"
        if pid == 0:
            code = 1
            try:
                environment = {**join(place, folder), **variables}
                code = commands.EXIT_CODES[commands.problem(command, environment)]
            finally:
                os._exit(code)
        code = _exit_code(pid)
    known = {number: words for words, number in commands.EXIT_CODES.items()}
    return known.get(code, f"its {what} cannot be entered")


def _exit_code(pid: int) -> int:
    """Wait for a child and return its exit code; one that takes too long, as by a file system that hangs, is killed."""
    with open(os.pidfd_open(pid), "rb") as ended:
        if not select.select([ended], [], [], _LOOK_S)[0]:
            os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Copies:
    """Writes lines to the output of a container's first process, so that its engine has them.

    It never waits and never raises. If the engine does not take a line in time, the line is dropped.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._descriptors: dict[bytes, int] = {}

    def write(self, stream: bytes, text: bytes) -> None:
        """Write a line to `out` or `err`; a + behind the stream says that the line goes on."""
        end = b"" if stream.endswith(b"+") else b"\n"
        with suppress(OSError):
            os.write(self._descriptor(stream.rstrip(b"+")), text + end)

    def close(self) -> None:
        """Release the container; its engine waits for the end of this output."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def _descriptor(self, stream: bytes) -> int:
        if stream not in self._descriptors:
            path = f"/proc/{self._place.pid}/fd/{1 if stream == b'out' else 2}"
            self._descriptors[stream] = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not is_alive(self._place.pid, self._place.start_ticks):  # the pipe may belong to another process
                self.close()
                raise ProcessLookupError
        return self._descriptors[stream]


def _environment(container: str) -> dict[str, str]:
    with open(f"{container}/environ", encoding="utf-8", errors="surrogateescape") as file:
        return dict(entry.split("=", 1) for entry in file.read().split("\0") if "=" in entry)


def _bounding(container: str) -> int:
    """Return the bounding set of capabilities of a container's first process, as a mask."""
    with open(f"{container}/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd:"))


def unified_group(place: Place) -> str:
    """Return the container's control group of version 2, "" if it is in none; OSError if that cannot be seen here."""
    path = dict(_memberships(place.pid)).get("", "/")
    if path == "/":
        return ""
    if "" not in (mounted := _hierarchies()):
        raise OSError(errno.ENOENT, f"its control group {path} of version 2 is not mounted here")
    return mounted[""] + path


def _control_groups(pid: int, but_unified: bool = False) -> Iterator[str]:
    """Yield the folders of a process's control groups, of either version (cgroups(7)), as they are mounted here.

    With `but_unified`, leave out that of version 2.

    Those that this process is also in are left out. OSError if one cannot be seen from here, because limits would not
    hold without it.
    """
    mounted = _hierarchies()
    ours = dict(_memberships("self"))
    for name, path in _memberships(pid):
        if path == ours.get(name) or (but_unified and not name):
            continue
        if name not in mounted:
            raise OSError(errno.ENOENT, f"its control group {path} of {name or 'version 2'} is not mounted here")
        yield mounted[name] + path


def _hierarchies() -> dict[str, str]:
    """Return where each hierarchy of control groups is mounted whole, by each controller; "" is version 2."""
    mounted: dict[str, str] = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.split()
            kind, _, options = words[words.index("-") + 1 :][:3]
            if kind in ("cgroup", "cgroup2") and words[3] == "/":
                for name in options.split(",") if kind == "cgroup" else ("",):
                    mounted.setdefault(name, words[4])
    return mounted


def _memberships(pid: int | str) -> Iterator[tuple[str, str]]:
    """Yield the first controller of each hierarchy ("" for version 2), and the path of a process's group in it."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            yield controllers.split(",")[0], path
