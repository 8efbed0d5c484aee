"""`vmlinux.h`: all types of the running kernel as one header, made from its BTF once for each kernel."""

import ctypes
import fcntl
import glob
import hashlib
import os
from contextlib import suppress
from typing import Any

from netlab import paths
from netlab.errors import HostError
from netlab.kernel import files, syscalls
from netlab.programs import libbpf_calls
from netlab.topology import program_text

NAME = program_text.KERNEL_TYPES
_BTF = "/sys/kernel/btf/vmlinux"
_BEGIN = """\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif
"""
_END = """
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif
#endif
"""


def folder(work_folder: str) -> str:
    """Return the folder with the header. If there is none, make it in the cache, or else in the lab's work folder.

    Several processes may do this at a time. HostError if this kernel has no BTF.
    """
    kernel = hashlib.sha256("\n".join(os.uname()[2:]).encode()).hexdigest()[:16]
    for above in filter(None, (_kept(), work_folder)):
        place = os.path.join(above, f"kernel-{kernel}")
        if os.path.exists(os.path.join(place, NAME)):
            return place
    files.ensure_folder(place := os.path.join(_kept() or work_folder, f"kernel-{kernel}"), files.FOR_OWNER)
    at = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(at, fcntl.LOCK_EX)  # with the lock, any unfinished file is of a process that was killed
        if not os.path.exists(os.path.join(place, NAME)):
            _write(os.path.join(place, NAME))
    finally:
        os.close(at)
    return place


def _kept() -> str:
    """Return the cache's folder; "" if there is none, or if other users than root could change it."""
    path = paths.cache_folder()
    try:
        files.ensure_folder(path, files.FOR_OWNER) if path else None
        return "" if not path or files.problem_around(path) else path
    except (OSError, HostError):
        return ""


def _write(path: str) -> None:
    """Write the header, whole or not at all."""
    for left in glob.glob(f"{glob.escape(path)}.*new"):
        os.unlink(left)
    fresh = f"{path}.new"
    try:
        _write_all(fresh)
        os.replace(fresh, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(fresh)


def _write_all(path: str) -> None:
    libc = syscalls.libc()
    libc.fopen.restype = ctypes.c_void_p
    libc.fputs.argtypes, libc.fclose.argtypes = (ctypes.c_char_p, ctypes.c_void_p), (ctypes.c_void_p,)
    file = libc.fopen(os.fsencode(path), b"we")
    if not file:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    try:
        libc.fputs(_BEGIN.encode(), file)
        _dump(libc, file)
        libc.fputs(_END.encode(), file)
    finally:
        failed = libc.fclose(file)
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def _dump(libc: Any, file: int) -> None:
    """Make libbpf write every type as C; its callback has the signature of vfprintf(3), which does the writing."""
    library = libbpf_calls.library()
    types = library.btf__load_vmlinux_btf()
    if not types:
        raise HostError(f"this kernel, {os.uname().release}, has no types in {_BTF}, of which {NAME} would be made")
    printf = ctypes.cast(libc.vfprintf, ctypes.c_void_p)
    dump = library.btf_dump__new(types, printf, file, None)
    if not dump:
        raise OSError(ctypes.get_errno(), f"{NAME}: {os.strerror(ctypes.get_errno())}")
    try:
        for number in range(1, library.btf__type_cnt(types)):
            libbpf_calls.check(library.btf_dump__dump_type(dump, number), NAME)
    finally:
        library.btf_dump__free(dump)
        library.btf__free(types)
