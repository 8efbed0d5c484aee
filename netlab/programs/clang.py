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
from netlab.programs import build, headers, kernel_header, lab_header
from netlab.programs.build import Refused
from netlab.programs.loader import Job
from netlab.record import mark
from netlab.topology import program_text

INSTALL = "make install-libbpf installs them (on Debian: apt-get install clang libbpf-dev)"
_ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64", "riscv64": "riscv", "s390x": "s390", "ppc64le": "powerpc"}
_NO_HELPERS = re.compile(r"fatal error: 'bpf/bpf_\w+\.h' file not found")
# said of what the first processor of BPF cannot do, which clang takes by itself before version 20
_NEEDS_NEWER = re.compile(
    r"[Uu]nsupported atomic operations?, please use 64 bit version|Invalid usage of the XADD return value"
)
_NEWER = "-mcpu=v3"  # Linux 5.12
_FROM_C, _FROM_TEXT = ("-x", "c", "-"), ("-Qunused-arguments", "-x", "cpp-output", "-")
_HELPERS = "/usr/include/bpf/bpf_helpers.h"  # there: what is missing is another header, or one of a newer libbpf
# A global variable with this name: it is declared at the beginning of a line, as functions are.
_VARIABLE = r"^[A-Za-z_}}][^\n;=()#]*\b{name}\b\s*(?:\[[^]\n]*\]\s*)*(?:(?:SEC|__section)\s*\([^)\n]*\)\s*)?[=;]"


class Options(NamedTuple):
    """What a job's source is compiled with; `text` is what goes into them of netlab's making."""

    compiler: str
    flags: list[str]
    text: bytes


def find() -> str:
    """Return the path of clang; HostError where there is none."""
    newest = sorted(glob.glob("/usr/bin/clang-[0-9]*"), key=lambda path: int(re.sub(r"\D", "", path) or 0))
    found = shutil.which("clang") or next((path for path in reversed(newest) if os.access(path, os.X_OK)), "")
    if not found:
        raise HostError(f"programs of libbpf's dialect are compiled by clang, which is not installed: {INSTALL}")
    return found  # not what it links to, which may tell by its name what it is to be, as ccache does


def options(job: Job, whole: str) -> Options:
    """Return how a source, given with its headers, is compiled."""
    machine = os.uname().machine
    own = os.path.join(assets.folder("bpf"), "libbpf")
    folders = [own, os.path.dirname(job.path), *job.include, os.path.join(own, "bpf")]
    if _needs_types(job, whole):
        folders.append(kernel_header.folder(job.work_folder))
    folders += headers.of_libbpf(whole, [*folders, "/usr/include"], job.work_folder)
    more, of_lab = lab_header.flags(job.lab, job.key, job.path, whole, job.work_folder)
    flags = ["-O2", "-g", "-target", "bpf", "-Werror=implicit-function-declaration", "-fno-color-diagnostics"]
    flags += [f"-D__TARGET_ARCH_{_ARCHITECTURES.get(machine, machine)}"]
    flags += [f'-DLAB_NODE="{mark.printed(job.lab)}/{job.key}"']
    flags += [f"-D{name}={value}" for name, value in macros(job, whole)]
    flags += [f"-I{folder}" for folder in folders]
    if headers.is_kernels(whole):
        flags += [*headers.flags_for(whole), *headers.of_kernel(job.work_folder)]
    flags += [*more, f"-I/usr/include/{machine}-linux-gnu", "-idirafter", "/usr/include/bpf", *job.cflags]
    return Options(find(), flags, of_lab)


def macros(job: Job, whole: str) -> list[tuple[str, str | int]]:
    """Return those constants of a job that are macros, as its source has no global variable of that name."""
    code = program_text.without_comments(whole)
    return [each for each in job.define if not re.search(_VARIABLE.format(name=re.escape(each[0])), code, re.MULTILINE)]


def _needs_types(job: Job, whole: str) -> bool:
    """Say whether a source includes `vmlinux.h`, and there is none that it brings along."""
    name = kernel_header.NAME
    own = (os.path.join(folder, name) for folder in (os.path.dirname(job.path), *job.include))
    return program_text.includes(whole, name) and not any(map(os.path.exists, own))


def preprocessed(job: Job, text: bytes, made: Options, cpu_s: float) -> tuple[bytes, str]:
    """Return a text with its headers and without macros, and the rule for make with the headers that were read.

    The lines that name files are in it, so what is said of it is said of the author's lines.
    """
    return _run(job, [made.compiler, *made.flags, "-E", *_FROM_C], _begin(job) + text, cpu_s)


def compiled(job: Job, text: bytes, made: Options, cpu_s: float, *, is_preprocessed: bool = False) -> tuple[bytes, str]:
    """Return the object that is made of a text, and the rule for make with the headers that were read.

    One that is preprocessed has read its headers before.
    """
    given = _FROM_TEXT if is_preprocessed else _FROM_C
    argv = [made.compiler, *made.flags, "-c", *given]
    text = text if is_preprocessed else _begin(job) + text
    try:
        return _run(job, argv, text, cpu_s)
    except Refused as refusal:
        is_chosen = any(flag.startswith("-mcpu") for flag in job.cflags)
        if is_chosen or refusal.kind != "clang" or not _NEEDS_NEWER.search(build.talk()):
            raise
        return _run(job, [*argv, _NEWER], text, cpu_s)


def _begin(job: Job) -> bytes:
    """Return the line that says where the lines after it are from."""
    return f'# 1 "{_in_c(job.path)}"\n'.encode()


def _run(job: Job, argv: Sequence[str], text: bytes, cpu_s: float) -> tuple[bytes, str]:
    """Return what the compiler makes of a text, and the rule that it has written, if any."""
    place = os.path.join(job.work_folder, str(os.getpid()))
    out, rule = f"{place}.o", f"{place}.d"
    argv = [*argv, "-o", out, "-MD", "-MF", rule, "-MT", "o"]
    try:
        done = subprocess.run(
            argv, input=text, check=False, cwd="/", stdout=2, preexec_fn=partial(_limit, os.getpid(), cpu_s)
        )
        _judge(job, done.returncode, cpu_s)
        with open(out, "rb") as made:
            data = made.read()
        with suppress(FileNotFoundError), open(rule, encoding="utf-8", errors="surrogateescape") as file:
            return data, file.read()
        return data, ""
    finally:
        for path in (out, rule):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _limit(parent: int, cpu_s: float) -> None:
    """Let the compiler die with its parent, and use no more time than it may."""
    syscalls.die_with_parent(parent)
    # SIGXCPU first, at which it removes its temporary files; SIGKILL a second later
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))


def _judge(job: Job, status: int, cpu_s: float) -> None:
    """Refuse what the compiler has not compiled."""
    talk = build.talk()
    if status and _NO_HELPERS.search(talk) and not os.path.exists(_HELPERS):
        raise HostError(f"{job.path} includes headers of libbpf, which are not installed: {INSTALL}")
    if status and _cpu_used_s() > cpu_s:  # by which signal it has ended depends on how long it takes to end
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
    """Return options as they would be in any lab: what the work folder has is made by netlab."""
    return [flag.replace(work_folder, "") for flag in flags]
