"""Which process is it? Its id goes to another process one day; its id and its start time together do not.

And which lab is it? Its name and the process ids that it lives among: labs of one name in two containers are two.
"""

import os

from netlab import reading, shapes

# How the supervisor is started: the rest of its command line is where netlab is, and the lab's folder.
SUPERVISOR_BOOT = "import sys; sys.path.append(sys.argv[1]); from netlab.supervisor import main; main(*sys.argv[2:])"

_MARK = "netlab."
_PID_NAMESPACE = "/proc/self/ns/pid"
_FIRST = 0xEFFFFFFC  # the number of the host's own, PROC_PID_INIT_INO of the kernel's proc_ns.h


def mark(lab: str) -> str:
    """Return what a lab's control group, its trace instance and the source of its folder's mount are called."""
    return f"{_MARK}{lab}.{os.stat(_PID_NAMESPACE).st_ino}"


def marked(name: str) -> str:
    """Return the lab whose mark this is, "" for none that can be ours."""
    lab = name.removeprefix(_MARK).rpartition(".")[0]
    return lab if lab and name == mark(lab) else ""


def printed(lab: str) -> str:
    """Return what a lab is called where the kernel's trace has the prints of all: NAME, or NAME.N in a container."""
    number = os.stat(_PID_NAMESPACE).st_ino
    return lab if number == _FIRST else f"{lab}.{number & 0xFFFFFF:x}"


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 if there is none, or none that we may see."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def parent(pid: int) -> int:
    """Return the id of a process's parent; 0 if there is none, or none that we may see."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def is_alive(pid: int, ticks: int) -> bool:
    """Say whether the process that was started at that time has not ended; a zombie has.

    Where /proc hides other users' processes, a process of that id counts as the one.
    """
    if fields := _stat(pid):
        return int(fields[19]) == ticks and fields[0] not in (b"Z", b"X")
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def is_ours(pid: int) -> bool:
    """Say whether a process is root's, or whoever's we are, by all of its user ids.

    One that a user has started from a setuid file is not: what it was called with is the user's choice.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            uids = next((line.split()[1:] for line in file if line.startswith(b"Uid:")), [])
    except OSError:
        return False
    return bool(uids) and {int(uid) for uid in uids} <= {0, os.geteuid()}


def is_stopped(pid: int) -> bool:
    """Say whether a process has been stopped, by a signal or by who traces it, and so does nothing."""
    fields = _stat(pid)
    return bool(fields) and fields[0] in (b"T", b"t")


def find_supervisor(folder: str) -> tuple[int, int]:
    """Return the process id of a lab's supervisor and its start time, zeros where there is none.

    Where that does not say it any more, it is known by its command line.
    """
    return noted_supervisor(folder) or next(iter(supervisors(folder)), (0, 0))


def noted_supervisor(folder: str) -> tuple[int, int] | None:
    """Return what the lab's folder says of its supervisor, None where it says nothing, or nothing that could be."""
    try:
        me = reading.load(f"{folder}/supervisor")
    except (OSError, ValueError):
        return None
    return (me["pid"], me["start_ticks"]) if shapes.fits(me, shapes.PROCESS) else None


def supervisors(folder: str) -> list[tuple[int, int]]:
    """Return every supervisor that was started for this folder, as process id and start time.

    They are known by their command lines, word for word: where a folder was removed by hand and made anew, that of
    the lab before may still run. One of another container, whose folder of this name is another, is none of them; nor
    is a process of another user, who may give it any command line.
    """
    wanted = [b"-c", SUPERVISOR_BOOT.encode(), os.fsencode(folder)]
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb", buffering=0) as file:
                    words = file.read().split(b"\0")[:-1]
                is_one = [*words[2:4], *words[5:]] == wanted and is_ours(int(name))
                if is_one and os.path.samefile(f"/proc/{name}/ns/pid", _PID_NAMESPACE):
                    found.append((int(name), start_ticks(int(name))))
            except OSError:  # it has ended
                continue
    return found


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on (proc(5)); the name before them may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
