"""Which lab is it? Its name and the process ids that it lives among: labs of one name in two containers are two."""

import os

from netlab import paths
from netlab.kernel.pids import PID_NAMESPACE

_FIRST = 0xEFFFFFFC  # the number of the host's own, PROC_PID_INIT_INO of the kernel's proc_ns.h


def mark(lab: str) -> str:
    """Return what a lab's control group, its trace instance and the source of its folder's mount are called."""
    return f"{paths.MARK}{lab}.{os.stat(PID_NAMESPACE).st_ino}"


def marked(name: str) -> str:
    """Return the lab whose mark this is, "" for none that can be ours."""
    lab = name.removeprefix(paths.MARK).rpartition(".")[0]
    return lab if lab and name == mark(lab) else ""


def printed(lab: str) -> str:
    """Return what a lab is called where the kernel's trace has the prints of all: NAME, or NAME.N in a container."""
    number = os.stat(PID_NAMESPACE).st_ino
    return lab if number == _FIRST else f"{lab}.{number & 0xFFFFFF:x}"
