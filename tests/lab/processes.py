"""A lab's processes without a lab: a folder, and supervisors that run shell scripts in it."""

import json
import os
from typing import Any

import pytest

from netlab.kernel import cgroups
from netlab.kernel.pids import is_alive, start_ticks
from netlab.supervise import client, identity, lab_cgroup, logs
from netlab.supervise.job import Start
from netlab.testing.waiting import PATIENCE_S, eventually

STAY = "exec sleep 1000"
GRACE_S = 0.3  # from SIGTERM to SIGKILL, of an impatient supervisor
_IMPATIENT = f"from netlab.kernel import kill; kill.GRACE_S = {GRACE_S}; from netlab.supervise"


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make supervisors kill the stubborn soon."""
    boot = identity.SUPERVISOR_BOOT.replace("from netlab.supervise", _IMPATIENT)
    monkeypatch.setattr(client, "SUPERVISOR_BOOT", boot)
    monkeypatch.setattr(identity, "BOOTS", (*identity.BOOTS, boot))


def shell(node: str, script: str, after: tuple[str, ...] = (), *, awaits_ready: bool = True) -> Start:
    return Start(node, ("sh", "-c", script), after=after, awaits_ready=awaits_ready)


class Lab:
    """A lab's folder, and the supervisors that were started for it."""

    def __init__(self, folder: str, name: str = "lab1") -> None:
        self.name = name
        os.mkdir(f"{folder}/logs")
        self.folder = folder
        self.lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        self.events: list[dict[str, Any]] = []
        self.supervisors: list[client.Connection] = []

    def spawn(self) -> client.Connection:
        self.supervisors.append(client.spawn(self.name, self.folder, self.lock))
        return self.supervisors[-1]

    def start(self, *starts: Start, trace: bool = False, deadline_s: float = PATIENCE_S) -> client.Connection:
        supervisor = self.spawn()
        client.start(supervisor, starts, trace, deadline_s, self.events.append)
        return supervisor

    def up(self, *starts: Start, trace: bool = False) -> client.Connection:
        supervisor = self.start(*starts, trace=trace)
        client.keep(supervisor)
        return supervisor

    def state(self, node: str) -> tuple[str, int]:
        found = {one.process: one for one in client.processes(self.folder)}[node]
        return found.state, found.code

    def pid(self, node: str) -> int:
        return {one.process: one.pid for one in client.processes(self.folder)}[node]

    def printed(self, node: str) -> list[str]:
        return [line.text for line in logs.read(self.folder, [node]) if line.stream in ("out", "err")]

    def remembered(self) -> list[tuple[int, int]]:
        """Return every process that was ever started, with its start time."""
        try:
            with open(f"{self.folder}/processes", encoding="utf-8") as file:
                facts = [json.loads(line) for line in file if line.endswith("}\n")]
        except FileNotFoundError:
            return []
        return [(fact["pid"], fact["start_ticks"]) for fact in facts if "start_ticks" in fact]

    def close(self) -> None:
        for supervisor in self.supervisors:
            client.abandon(supervisor)
        os.close(self.lock)
        cgroups.remove(lab_cgroup.find(self.name, self.folder))
        eventually(lambda: not any(is_alive(*one) for one in self.remembered()), "the end of all that was started")


def members(group: int) -> list[int]:
    """Return the processes of a process group that have not ended."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            if os.getpgid(pid) == group and is_alive(pid, start_ticks(pid)):
                found.append(pid)
        except OSError:
            continue
    return found
