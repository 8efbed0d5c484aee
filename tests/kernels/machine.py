"""A virtual machine that boots a kernel, sees the host's files, and can change none of them.

virtme-ng puts a copy-on-write layer over the host's file system, with a /run and a /tmp of the machine's own. One
folder is the only way out: what the command prints there comes back line by line.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, NamedTuple

MEMORY = "2G"
# Devices of our own, by their mount tags: the host's files once more, since that of virtme-ng cannot be mounted with a
# cache; and the way out, since virtme-ng's own ports are not always there in time.
FILES, OUT = "host", "out"
LINES, TALK = "lines", "talk"  # the files there: standard output of the command, and its standard error
_SHARE = "-fsdev local,id={tag},path={path},security_model=none{more} -device virtio-9p-pci,fsdev={tag},mount_tag={tag}"
_LOOK_S = 0.2
_TIDY_S = 60  # for who is asked to end
_NEVER = threading.Event()
_TAIL_LINES = 30
_KVM, _CPUS = "/dev/kvm", "/proc/cpuinfo"


class Limits(NamedTuple):
    """How long a machine may run in all, and how long it may say nothing, in seconds; and what ends it at once."""

    whole_s: float
    silence_s: float
    stop: threading.Event = _NEVER


class Ending(NamedTuple):
    """How a machine has ended: why it had to be ended, "" if it shut down; and its last words."""

    problem: str
    words: str


def lacking() -> list[str]:
    """Return what this host lacks for a virtual machine, in words; nothing when it can have one."""
    if os.uname().machine != "x86_64":
        return [f"no virtual machine for {os.uname().machine}"]
    needed = {
        "qemu-system-x86_64": "qemu-system-x86",
        "depmod": "kmod",
        "busybox": "busybox-static",
        "file": "file",
    }
    found = [f"no {command} (Debian's {package})" for command, package in needed.items() if not _which(command)]
    return found if os.path.exists(_vng()) else [*found, "no virtme-ng (PyPI's virtme-ng)"]


def has_kvm() -> bool:
    """Say whether the processor itself can run the machine; a /dev/kvm without that is there on some hosts too."""
    with open(_CPUS, encoding="utf-8") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    return os.access(_KVM, os.R_OK | os.W_OK) and bool({"vmx", "svm"} & set(flags))


def run(image: str, command: Sequence[str], limits: Limits, hear: Callable[[str], None], cpus: int = 1) -> Ending:
    """Boot a kernel image, run a command as root there, hand each line that it prints to `hear`, and shut down.

    Whether the command has succeeded is for itself to say: virtme-ng does not always hand its exit code on.
    """
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryFile() as console:
        for name in (LINES, TALK):
            open(f"{out}/{name}", "wb").close()
        argv = [sys.executable, _vng(), "--run", image, "--user", "root", "--memory", MEMORY, "--cpus", str(cpus)]
        argv += ["--verbose", f"--qemu-opts={_shares(out)}", *(() if has_kvm() else ("--disable-kvm",))]
        process = subprocess.Popen(
            [*argv, "--", shlex.join(command)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            cwd="/",
            env={**os.environ, "PATH": _path()},
            start_new_session=True,
        )
        with open(f"{out}/{LINES}", "rb") as lines:
            problem = _followed(process, lines, limits, hear, signal.SIGKILL)
        return Ending(problem, f"{_tail(console)}\n{_tail_of(f'{out}/{TALK}')}")


def run_here(command: Sequence[str], folder: str, limits: Limits, hear: Callable[[str], None]) -> Ending:
    """Run a command in a folder of this host as `run` does in a machine; what it says on stderr is shown as it comes.

    It is interrupted before it is killed, so that it can tidy up what it has made.
    """
    with tempfile.NamedTemporaryFile() as out, open(out.name, "rb") as lines:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, cwd=folder, start_new_session=True)
        problem = _followed(process, lines, limits, hear, signal.SIGINT)
        return Ending(problem, f"    exit code {process.returncode}")


def _followed(
    process: "subprocess.Popen[bytes]",
    lines: IO[bytes],
    limits: Limits,
    hear: Callable[[str], None],
    ask: signal.Signals,
) -> str:
    """Hear a session out, and leave nothing of it; returns what went wrong."""
    try:
        return _listened(process, lines, limits, hear)
    finally:
        _signal(process.pid, ask)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TIDY_S)
        _signal(process.pid, signal.SIGKILL)
        process.wait()


def _shares(out: str) -> str:
    """Return qemu's options for the two devices."""
    files = _SHARE.format(tag=FILES, path="/", more=",readonly=on,multidevs=remap")
    return f"{files} {_SHARE.format(tag=OUT, path=out, more='')}"


def _listened(
    process: "subprocess.Popen[bytes]", stream: IO[bytes], limits: Limits, hear: Callable[[str], None]
) -> str:
    """Hear a machine out, until its process has ended; returns why that was given up."""
    begun = last = time.monotonic()
    text = b""
    while True:
        has_ended = process.poll() is not None  # before the last look at what it has said
        more = stream.read()
        *lines, text = (text + more).split(b"\n")
        for line in lines:
            hear(line.decode(errors="replace"))
        now = time.monotonic()
        last = now if more else last
        if has_ended:
            return ""
        if now > begun + limits.whole_s:
            return f"it was not done after {limits.whole_s:.0f} s"
        if now > last + limits.silence_s:
            return f"it said nothing for {limits.silence_s:g} s"
        if limits.stop.wait(_LOOK_S):
            return "it was ended"


def _signal(session: int, number: signal.Signals) -> None:
    """Tell whatever is left of a machine: all of it is in one session."""
    with suppress(ProcessLookupError):
        os.killpg(session, number)


def _tail(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"    {line.rstrip()}" for line in lines[-_TAIL_LINES:])


def _tail_of(path: str) -> str:
    with open(path, "rb") as file:
        return _tail(file)


def _vng() -> str:
    return os.path.join(os.path.dirname(sys.executable), "vng")


def _which(command: str) -> str | None:
    return shutil.which(command, path=_path())


def _path() -> str:
    """Return where commands are looked for: first beside the interpreter, for virtme-ng's own, last root's."""
    return ":".join([os.path.dirname(sys.executable), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
