"""Reads the text of a program that is to be loaded, once, and hands it to the process that loads it."""

import errno
import os
from typing import TYPE_CHECKING

from netlab import assets
from netlab.errors import OutsideError, UsageError
from netlab.kernel import files
from netlab.topology import program_text

if TYPE_CHECKING:
    from netlab.programs.loader import Job


def here() -> str:
    """Return the current folder; "/" if it is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def read(job: "Job") -> bytes:
    """Return the text of a program. It is read only once, so that the text that is kept is the one compiled."""
    try:
        if job.untrusted and not job.path.startswith(os.path.join(assets.folder("bpf"), "")):
            return files.read_below(job.folder or os.path.dirname(job.path), job.path, program_text.MAX_BYTES)
        return files.read(job.path, program_text.MAX_BYTES)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise OutsideError(f"{job.key}: {job.path} is not below {job.folder}, or a link on the way is") from None
        raise UsageError(f"cannot read {job.path}: {error.strerror}") from None


def in_memory(text: bytes) -> int:
    """Return the descriptor of a nameless file with this text."""
    fd = os.memfd_create("netlab-source", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(text)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
