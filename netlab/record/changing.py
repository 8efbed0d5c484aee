"""The mark of a change of a lab that stands: it is there while `apply` works, and stays if that is cut off."""

import json
import os

from netlab import paths
from netlab.kernel import files, pids
from netlab.named_tuple import NamedTuple
from netlab.record import shapes
from netlab.record.notes import Pid
from netlab.record.shapes import Count


class Changing(NamedTuple):
    """Which process changes a lab, and the file that says what the lab is to be."""

    pid: Pid
    start_ticks: Count
    topology: str


def begin(folder: str, topology: str) -> None:
    """Mark that this process changes the lab with this folder."""
    mine = Changing(os.getpid(), pids.start_ticks(os.getpid()), topology)
    files.write(f"{folder}/{paths.CHANGING}", json.dumps(shapes.plain(mine)))


def end(folder: str) -> None:
    """Remove the mark: the change has come to its end, or is undone."""
    files.remove(f"{folder}/{paths.CHANGING}")


def is_there(folder: str) -> bool:
    """Say whether there is a mark."""
    return os.path.exists(f"{folder}/{paths.CHANGING}")


def problem(folder: str) -> str:
    """Return what the mark says, in words; "" if there is none."""
    try:
        found = shapes.read(Changing, files.load(f"{folder}/{paths.CHANGING}"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):
        return "a change of it was cut off"
    if pids.is_alive(found.pid, found.start_ticks):
        return f"it is being changed to {found.topology} by process {found.pid}"
    return f"the change to {found.topology} was cut off"
