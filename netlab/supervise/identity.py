"""How a lab's supervisor is started and recognized: by the lab's folder, or by its command line."""

import os

from netlab import paths
from netlab.kernel import files
from netlab.kernel.pids import PID_NAMESPACE, is_ours, start_ticks
from netlab.record import shapes
from netlab.record.notes import ProcessId

# How the supervisor is started; the rest of its command line is where netlab is, and the lab's folder.
_BOOT = "import sys; sys.path.append(sys.argv[1]); from {} import main; main(*sys.argv[2:])"
SUPERVISOR_BOOT = _BOOT.format("netlab.supervise.supervisor")
BOOTS = (SUPERVISOR_BOOT, _BOOT.format("netlab.supervisor"))  # the second is how builds before the rooms started it


def find_supervisor(folder: str) -> tuple[int, int]:
    """Return the process id of a lab's supervisor and its start time, zeros if there is none.

    If the folder's file is lost, the supervisor is recognized by its command line.
    """
    return noted_supervisor(folder) or next(iter(supervisors(folder)), (0, 0))


def noted_supervisor(folder: str) -> tuple[int, int] | None:
    """Return the supervisor that the lab's folder names: process id and start time; None if the file is no use."""
    try:
        return shapes.read(ProcessId, files.load(f"{folder}/{paths.SUPERVISOR}"))
    except (OSError, ValueError):
        return None


def supervisors(folder: str) -> list[tuple[int, int]]:
    """Return every supervisor that was started for this folder, as process id and start time.

    They are recognized by exactly their command line. If a folder was removed by hand and made again, the supervisor of
    the earlier lab may still run. A supervisor in another container is none of them, because its folder of this name is
    another. Nor is a process of another user, who could give it any command line.
    """
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb", buffering=0) as file:
                    words = os.fsdecode(file.read()).split("\0")[:-1]
                if (
                    _is_for(words, folder)
                    and is_ours(int(name))
                    and os.path.samefile(f"/proc/{name}/ns/pid", PID_NAMESPACE)
                ):
                    found.append((int(name), start_ticks(int(name))))
            except OSError:  # it has ended
                continue
    return found


def _is_for(words: list[str], folder: str) -> bool:
    """Say whether this is the command line of a supervisor of a folder."""
    match words:
        case [_, _, "-c", boot, _, place]:
            return boot in BOOTS and place == folder
    return False
