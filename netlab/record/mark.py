"""Whose is it? A lab's mark: its name and its PID namespace, as labs of one name in two containers are two labs.

The kernel gives the number of a namespace that is gone to another one, and a trace instance outlives the container that
was killed. So the mark also says when the namespace's first process was started, except on the host, whose is always
the first.
"""

import os
from functools import cache

from netlab import paths
from netlab.kernel.pids import PID_NAMESPACE, start_ticks

_FIRST = 0xEFFFFFFC  # the number of the host's own, PROC_PID_INIT_INO of the kernel's proc_ns.h


def mark(lab: str) -> str:
    """Return the mark: the name of a lab's control group and trace instance, and the source of its folder's mount."""
    number = os.stat(PID_NAMESPACE).st_ino
    return f"{paths.MARK}{lab}.{number}" if number == _FIRST else f"{paths.MARK}{lab}.{number}-{start_ticks(1)}"


def marked(name: str) -> str:
    """Return the lab whose mark this is, "" if it cannot be a lab of ours."""
    lab = name.removeprefix(paths.MARK).rpartition(".")[0]
    return lab if lab and name == mark(lab) else ""


@cache  # what stays in a room has no /proc to look at
def printed(lab: str) -> str:
    """Return the lab's name in the kernel's trace, which is one for all: NAME, or NAME.N in a container."""
    number = os.stat(PID_NAMESPACE).st_ino
    return lab if number == _FIRST else f"{lab}.{number & 0xFFFFFF:x}"
