"""A process of its own that makes the rooms of untrusted nodes, and leaves each to the room's first process.

It has one thread, so that it may fork into new PID namespaces. It gets a job, and says a line for each room, when that
stands: its first process. A room is given up if whoever has asked for it ends before he has taken note of that.

    stdin     the job, as a line of JSON; then a line when all rooms are known
    stdout    for each node a line of JSON: its name, and the first process of its room
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from netlab.kernel import confinement, pids, syscalls
from netlab.runtime.room_mounts import Room

_READ_BYTES = 1 << 20
_STAY = ["netlab-room", "infinity"]


def main() -> None:
    """Make the rooms of the job, each in its turn."""
    job = json.loads(_line())
    syscalls.libc()
    ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    hears, stays = os.pipe()  # closed when this process ends: then who is not told to stay ends
    waiting = []
    for node in job["nodes"]:
        says, tells = os.pipe()
        syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            os.close(stays)
            _become(job, node, tells, hears)
        syscalls.setns(ours, syscalls.CLONE_NEWPID)
        os.close(tells)
        with open(says, "rb") as answer:
            said = answer.read()
        if said != b"made":
            sys.exit(f"{node['name']}: {said.decode(errors='replace') or 'its first process has ended'}")
        waiting.append(pid)
        print(json.dumps([node["name"], pid, pids.start_ticks(pid)]), flush=True)
    if _line():
        os.write(stays, b"s" * len(waiting))


def _line() -> bytes:
    """Return the next line of the input, empty if whoever should write it has ended."""
    found = b""
    while not found.endswith(b"\n"):
        part = os.read(0, _READ_BYTES)
        if not part:
            return b""
        found += part
    return found


def _become(job: Mapping[str, Any], node: Mapping[str, Any], tells: int, hears: int) -> NoReturn:
    """In the first process of a room: make it, and then do nothing but bury who ends in it."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so the kernel buries them; a new program inherits that
        for group in node["groups"]:
            with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
                file.write("0")
        network = os.open(node["netns"], os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(network)
        kinds = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWCGROUP
        syscalls.unshare(kinds)
        syscalls.sethostname(node["name"])
        os.umask(0o022)
        Room(job, node).make()
        for fd, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
            null = os.open(os.devnull, flags)
            os.dup2(null, fd)
            os.close(null)
        os.write(tells, b"made")
        os.close(tells)
        if os.read(hears, 1):
            confinement.confine(0)
            os.execve("/usr/bin/sleep", _STAY, {"PATH": "/usr/bin"})
    except Exception as error:  # noqa: BLE001 - whoever waits is told
        with suppress(OSError):
            os.write(tells, str(error).encode())
    finally:
        os._exit(1)
