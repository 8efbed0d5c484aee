"""Compiles a source of libbpf's dialect to a BPF object, by clang: `make install-libbpf`."""

import glob
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from netlab import assets
from netlab.errors import HostError
from netlab.kernel import syscalls
from netlab.programs import build, kernel_header, lab_header
from netlab.programs.build import Refused
from netlab.programs.loader import Job
from netlab.record import mark
from netlab.topology import program_text

INSTALL = "make install-libbpf installs them (on Debian: apt-get install clang libbpf-dev)"
_ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64", "riscv64": "riscv", "s390x": "s390", "ppc64le": "powerpc"}
_NO_HELPERS = re.compile(r"fatal error: 'bpf/bpf_\w+\.h' file not found")
_HELPERS = "/usr/include/bpf/bpf_helpers.h"  # if it exists, a missing header is another one, or of a newer libbpf
# A global variable with this name: it is declared at the beginning of a line, as functions are.
_VARIABLE = r"^[A-Za-z_}}][^\n;=()#]*\b{name}\b\s*(?:\[[^]\n]*\]\s*)*(?:(?:SEC|__section)\s*\([^)\n]*\)\s*)?[=;]"


class Options(NamedTuple):
    """The compiler's options for a job's source; `text` is that of headers that netlab has made for it."""

    compiler: str
    flags: list[str]
    text: bytes


def find() -> str:
    """Return the path of clang; HostError if it is not installed."""
    newest = sorted(glob.glob("/usr/bin/clang-[0-9]*"), key=lambda path: int(re.sub(r"\D", "", path) or 0))
    found = shutil.which("clang") or next((path for path in reversed(newest) if os.access(path, os.X_OK)), "")
    if not found:
        raise HostError(f"programs of libbpf's dialect are compiled by clang, which is not installed: {INSTALL}")
    return found  # not resolved: a link may go to ccache, which finds out by its own name what to run


def options(job: Job, whole: str) -> Options:
    """Return the options for a job's source; `whole` is the source with its headers."""
    machine = os.uname().machine
    own = os.path.join(assets.folder("bpf"), "libbpf")
    folders = [own, os.path.dirname(job.path), *job.include, os.path.join(own, "bpf")]
    if _needs_types(job, whole):
        folders.append(kernel_header.folder(job.work_folder))
    more, of_lab = lab_header.flags(job.lab, job.key, job.path, whole, job.work_folder)
    flags = ["-O2", "-g", "-target", "bpf", "-Werror=implicit-function-declaration", "-fno-color-diagnostics"]
    flags += [f"-D__TARGET_ARCH_{_ARCHITECTURES.get(machine, machine)}"]
    flags += [f'-DLAB_NODE="{mark.printed(job.lab)}/{job.key}"']
    flags += [f"-D{name}={value}" for name, value in macros(job, whole)]
    flags += [f"-I{folder}" for folder in folders]
    flags += [*more, f"-I/usr/include/{machine}-linux-gnu", "-idirafter", "/usr/include/bpf", *job.cflags]
    return Options(find(), flags, of_lab)


def macros(job: Job, whole: str) -> list[tuple[str, str | int]]:
    """Return the constants of a job that become macros: those without a global variable of the same name."""
    code = program_text.without_comments(whole)
    return [each for each in job.define if not re.search(_VARIABLE.format(name=re.escape(each[0])), code, re.MULTILINE)]


def _needs_types(job: Job, whole: str) -> bool:
    """Say whether a source includes `vmlinux.h`, and does not bring one along."""
    name = kernel_header.NAME
    own = (os.path.join(folder, name) for folder in (os.path.dirname(job.path), *job.include))
    return program_text.includes(whole, name) and not any(map(os.path.exists, own))


def compiled(job: Job, text: bytes, made: Options, cpu_s: float) -> tuple[bytes, str]:
    """Return the object that is compiled from a text, and the make rule with the headers that were read."""
    place = os.path.join(job.work_folder, str(os.getpid()))
    files = [f"{place}.o", f"{place}.d"]
    argv = [made.compiler, *made.flags, "-MD", "-MF", files[1], "-MT", "o", "-x", "c", "-c", "-", "-o", files[0]]
    begin = f'# 1 "{_in_c(job.path)}"\n'.encode()
    try:
        done = subprocess.run(
            argv, input=begin + text, check=False, cwd="/", stdout=2, preexec_fn=partial(_limit, os.getpid(), cpu_s)
        )
        _judge(job, done.returncode, cpu_s)
        with open(files[0], "rb") as made_file, open(files[1], encoding="utf-8", errors="surrogateescape") as rule:
            return made_file.read(), rule.read()
    finally:
        for path in files:
            with suppress(FileNotFoundError):
                os.unlink(path)


def _limit(parent: int, cpu_s: float) -> None:
    """Make the compiler die with its parent, and limit its CPU time."""
    syscalls.die_with_parent(parent)
    # at SIGXCPU the compiler removes its temporary files; SIGKILL follows a second later
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))


def _judge(job: Job, status: int, cpu_s: float) -> None:
    """Raise HostError or Refused if the compiler has failed; `status` is its exit status."""
    talk = build.talk()
    if status and _NO_HELPERS.search(talk) and not os.path.exists(_HELPERS):
        raise HostError(f"{job.path} includes headers of libbpf, which are not installed: {INSTALL}")
    if status and _cpu_used_s() > cpu_s:  # not decided by the signal: SIGKILL comes if it is slow to end at SIGXCPU
        raise Refused("plain", f"takes too long to compile: more than {cpu_s:g} s of CPU time")
    if status < 0:
        raise Refused("clang", f"clang was killed by signal {-status}")
    if status:
        raise Refused("clang", "clang refused it")
    for name, _ in job.define:
        if f"'{name}' macro redefined" in talk:
            raise Refused("redefined", name)


def _cpu_used_s() -> float:
    """Return the CPU time of compilers that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _in_c(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def without_folder(flags: Sequence[str], work_folder: str) -> list[str]:
    """Return options without the work folder's path, so that they are equal in every lab."""
    return [flag.replace(work_folder, "") for flag in flags]
