"""Compiles, loads, pins and attaches one node's programs: a process of its own, which alone carries a compiler.

`loader` starts it. It reads two lines of JSON: the job, and later where to attach. It answers each with one: what
is pinned, or that it is attached; or else `error`, its kind, and `text`. Everything that bcc, clang and libbpf have to
say goes to stderr, where the loader finds what matters.
"""

import errno
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from typing import TextIO, TypeVar

from netlab import paths
from netlab.errors import HostError, NetlabError, reason
from netlab.kernel import files, syscalls
from netlab.programs import attachment, bpf, build, compile_slots, dialects, kept_code, loader
from netlab.programs.build import Build, Refused
from netlab.record import shapes

_T = TypeVar("_T")
_SECOND = (bpf.ATTACH_DEVMAP, bpf.ATTACH_CPUMAP)  # programs that see a packet after the first one


def main() -> None:
    """Do one job, and end without undoing anything: pins and attached programs stay."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and ends this process
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # bcc prints on standard output, too
    order = _line(loader.Order)
    if not order:
        return
    syscalls.die_with_parent(order.parent)
    resource.setrlimit(resource.RLIMIT_DATA, (order.limits.memory, order.limits.memory))
    os.chdir("/")  # bcc looks for headers in the current folder before all others
    try:
        _work(order, answers)
    except Refused as refusal:
        _answer(answers, loader.Refusal(refusal.kind, refusal.text))
    except HostError as error:
        _answer(answers, loader.Refusal("host", str(error)))
    except NetlabError as error:
        _answer(answers, loader.Refusal("plain", str(error)))
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        kind = "host" if error.errno in (errno.EMFILE, errno.ENFILE) else "plain"
        _answer(answers, loader.Refusal(kind, f"{reason(error)}{where}"))
    sys.stderr.flush()
    os._exit(0)  # not sys.exit(): the compiler's destructors take time, and nothing needs them


def _work(order: loader.Order, answers: TextIO) -> None:
    """Load and pin, answer, and attach when the parent has said where."""
    job = order.job
    notes: list[str] = []
    with compile_slots.take(job.work_folder):
        # a Python handler cannot stop the compiler's C++ code: SIGPROF kills the process when its CPU time is used up
        signal.setitimer(signal.ITIMER_PROF, order.limits.cpu_s)
        with open(order.source_fd, "rb") as source:
            loaded = _load(order, source.read(), notes.append)
        _pin(loaded, job.pin_folder)
        _keep_code(loaded, job)
        signal.setitimer(signal.ITIMER_PROF, 0)
    cpumaps = tuple(about.id for about in map(bpf.map_info, loaded.maps.values()) if about.type == bpf.CPUMAP)
    names = tuple(loaded.programs), tuple(loaded.maps)
    _answer(answers, loader.Loaded(loaded.entry, *names, tuple(notes), cpumaps, loaded.has_events))
    if loaded.forget and not select.select([sys.stdin], [], [], 0)[0]:
        loaded.forget()  # free the compiler's memory: the rest of the lab may take long
    where = _line(loader.Place)
    if not where:
        return
    syscalls.setns(os.open(where.netns, os.O_RDONLY | os.O_CLOEXEC))
    program = loaded.programs[loaded.entry]
    attachment.attach(program, where.interfaces, job.hook, job.mode, where.earlier)
    _answer(answers, {"attached": where.interfaces})


def _line(kind: type[_T]) -> _T | None:
    """Return the parent's next line; None if the parent has ended."""
    line = sys.stdin.readline()
    return shapes.read(kind, json.loads(line)) if line.endswith("\n") else None


def _answer(answers: TextIO, answer: object) -> None:
    answers.write(json.dumps(shapes.plain(answer)) + "\n")
    answers.flush()


def _load(order: loader.Order, text: bytes, note: Callable[[str], None]) -> Build:
    """Load a program, in a room if nobody trusts it."""
    if order.job.untrusted:
        from netlab.programs import room

        return room.load(order, text, note)
    return dialects.load(order, text, note)


def _keep_code(loaded: Build, job: loader.Job) -> None:
    """Keep the instructions of what sees packets: the program that is attached, and those in devmaps and CPU maps."""
    if not job.code or not loaded.code:
        return
    kept_code.forget_gone(job.code)
    for name, fd in loaded.programs.items():
        code = loaded.code(name)
        if name == loaded.entry:
            code = code._replace(attach_type=0 if code.attach_type in _SECOND else code.attach_type)
        if name == loaded.entry or code.attach_type in _SECOND:
            kept_code.keep(job.code, fd, build.kind_at(job.hook).number, code)


def _pin(loaded: Build, folder: str) -> None:
    """Pin every map and program; all are pinned or none."""
    pins = {paths.map_pin(folder, name): fd for name, fd in loaded.maps.items()}
    pins |= {paths.program_pin(folder, name): fd for name, fd in loaded.programs.items()}
    done: list[str] = []
    for kind in (paths.map_pins(folder), paths.program_pins(folder)):
        files.ensure_folder(kind, files.FOR_OWNER)
    for path, fd in pins.items():
        try:
            bpf.pin(fd, path)
        except OSError:
            for pinned in done:
                os.unlink(pinned)
            raise
        done.append(path)
