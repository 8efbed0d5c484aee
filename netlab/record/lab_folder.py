"""A lab's folder: a private tmpfs with all that the lab owns; made, and removed with what is mounted in it."""

import errno
import os
import re
import time

from netlab import paths
from netlab.errors import HostError, UsageError
from netlab.kernel import files
from netlab.record import store
from netlab.record.model import LabRecord

_SIZE = r"[1-9][0-9]{0,9}[kmgKMG%]?"
_DEFAULT_SIZE = "20%"  # of memory; it is a limit, and takes nothing before it is used


def size() -> str:
    """Return how much memory a lab's folder may take, for mount(8): NETLAB_SIZE, or a fifth; or UsageError."""
    wanted = os.environ.get(paths.SIZE_VARIABLE)
    if not wanted:
        return _DEFAULT_SIZE
    if not re.fullmatch(_SIZE, wanted):
        raise UsageError(f"{paths.SIZE_VARIABLE} is {wanted!r}: expected a size, such as 512M, 2G or 20% (of memory)")
    return wanted


def create(record: LabRecord, with_programs: bool) -> None:
    """Make the lab's folder and write the record; `with_programs` adds a BPF file system and a tracefs.

    `clock_offset_ns` is set to the offset of this moment.
    """
    from netlab.kernel import syscalls
    from netlab.record import mark

    lab, folder, room = record.lab, paths.folder_of(record.lab), size()
    try:
        files.ensure_folder(paths.LABS, files.FOR_ALL)
        files.make_folder(folder, files.FOR_ALL)
        # Files in it get the group of the folder.
        syscalls.mount(mark.mark(lab), folder, "tmpfs", data=f"mode=2755,gid={_group()},size={room}")
        store.write(record._replace(clock_offset_ns=time.time_ns() - time.monotonic_ns()))
        for name, mode in ((paths.NETNS, files.FOR_ALL), (paths.ETC, files.FOR_ALL), (paths.LOGS, files.FOR_GROUP)):
            files.make_folder(f"{folder}/{name}", mode)
        if with_programs:
            mount_file_systems(folder)
    except PermissionError as error:
        raise HostError(f"cannot make {folder}: {error}; netlab needs root and CAP_SYS_ADMIN") from None


def mount_file_systems(folder: str) -> None:
    """Mount what a lab with programs needs, unless that was done before: a BPF file system, and a tracefs."""
    from netlab.kernel import syscalls

    # A BPF file system is open to everybody by default. There is one tracefs: its modes are the host's.
    for source, name, kind, options in (
        ("bpf", paths.BPF, "bpf", "mode=0700"),
        ("tracefs", paths.TRACING, "tracefs", ""),
    ):
        files.ensure_folder(f"{folder}/{name}", files.FOR_OWNER)
        if os.path.ismount(f"{folder}/{name}"):
            continue
        try:
            syscalls.mount(source, f"{folder}/{name}", kind, data=options)
        except OSError as error:
            raise HostError(f"cannot mount a {kind} file system, which programs need: {error.strerror}") from None


def _group() -> int:
    """Return the group that may read more of a lab than everybody: that of whoever called sudo, or root's."""
    group = os.environ.get("SUDO_GID", "")
    return int(group) if group.isascii() and group.isdigit() else 0


def remove(lab: str) -> bool:
    """Remove the lab's folder with everything mounted in it; False if there was none. Safe at any stage."""
    folder = paths.folder_of(lab)
    if not os.path.isdir(folder):
        return False
    from netlab.kernel import syscalls

    while os.path.ismount(folder):
        syscalls.umount(folder)
    try:
        # The rmdir, not the unmount, removes the copies of these mounts in other mount namespaces.
        os.rmdir(folder)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        import shutil  # somebody has written there after the file system was gone

        shutil.rmtree(folder)
    return True
