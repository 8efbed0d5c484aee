"""What netlab could leave behind on a machine, and whether it has.

    with nothing_left():
        ...

It looks at everything that this process can see of the machine. So if others make namespaces, programs or mounts there
at the same time, these look like leaks. `machine` looks only at what namespaces do not separate.
"""

import glob
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import syscalls
from netlab.programs import bpf
from netlab.record import mark

Snapshot = dict[str, set[str]]

_NEXT_ID = {"program": bpf.PROG_NEXT_ID, "map": bpf.MAP_NEXT_ID}
_BY_ID = {"program": bpf.PROG_BY_ID, "map": bpf.MAP_BY_ID}
_NAME = {"program": bpf.PROG_NAME_AT, "map": bpf.MAP_NAME_AT}
_POLL_S = 0.02
# Of these, nobody else's may be removed either. Of the others, some go by themselves.
_NAMES = {f"name in {folder}": folder for folder in (paths.RUN_NETNS, paths.ETC_NETNS)}
_STAYS = (*_NAMES, "link of the host", "netlab mount")


def snapshot() -> Snapshot:
    """Return everything that a lab could leave behind and that is there now: descriptions, by kind."""
    mounts = _mounts()
    return {
        **{what: set(listed(folder)) for what, folder in _NAMES.items()},
        "netlab mount": {f"{kind} on {point}" for kind, point, line in mounts if "netlab" in line},
        "link of the host": {name for _, name in socket.if_nameindex()},
        "BPF object": set(_bpf_held()),
        "namespace of this process": {link for _, link in _descriptors("self") if link.startswith(("net:", "mnt:"))},
        "trace instance": {name for name in _trace_instances() if mark.marked(name)},
        "cgroup": set(_cgroups([point for kind, point, _ in mounts if kind in ("cgroup", "cgroup2")])),
        "process": set(_processes()),
        "file": set(_files()),
    }


def machine() -> Snapshot:
    """Return what is there on the whole machine that no namespace separates or removes."""
    return {
        "BPF program": set(_bpf_objects("program")),
        "BPF map": set(_bpf_objects("map")),
        "trace instance": {name for name in _trace_instances() if name.startswith("netlab")},
        "cgroup": {group for kind, point, _ in _mounts() if kind.startswith("cgroup") for group in _cgroups([point])},
        "file": set(glob.glob("/tmp/*netlab*")),  # noqa: S108 - looks, writes nothing
    }


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """Return a sentence for each thing that is new, and for each that should still be there.

    The own folder of a lab that stood before is ignored: it has written logs since, for example.
    """
    stood = tuple(f"{what}/" for what in before["file"] if os.path.dirname(what) == paths.LABS)
    new = {kind: {what for what in after[kind] - before[kind] if not what.startswith(stood)} for kind in after}
    left = [f"left behind: {kind} {what}" for kind in new for what in sorted(new[kind])]
    return left + [
        f"taken away: {kind} {what}"
        for kind in _STAYS
        for what in sorted(before.get(kind, set()) - after.get(kind, set()))
    ]


def settled(before: Snapshot, deadline_s: float = 30.0, looks: Callable[[], Snapshot] = snapshot) -> list[str]:
    """Return the difference between then and now, as soon as there is none, or at the deadline.

    The kernel frees namespaces and programs later than the calls that remove them return.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        left = difference(before, looks())
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_POLL_S)


@contextmanager
def nothing_left(deadline_s: float = 30.0) -> Iterator[None]:
    """AssertionError, with a line for each thing, if the block leaves anything behind, or takes anything away.

    What goes by itself has `deadline_s` seconds for it.
    """
    before = snapshot()
    yield
    if left := settled(before, deadline_s):
        raise AssertionError("\n".join(left))


def listed(folder: str) -> list[str]:
    """Return the names in a folder; none if it does not exist, or if we may not read it."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _mounts() -> list[tuple[str, str, str]]:
    """Return each mount as its type, its mount point and its whole line."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split()
            found.append((words[words.index("-") + 1], words[4], line))
    return found


def _trace_instances() -> list[str]:
    """Return the names of the kernel's trace instances, whether or not a tracefs is mounted anywhere."""
    try:
        tracefs = syscalls.open_file_system("tracefs")
    except OSError:  # not allowed
        return []
    try:
        return listed(f"/proc/self/fd/{tracefs}/instances")
    finally:
        os.close(tracefs)


def _files() -> Iterator[str]:
    """Yield the files of labs, and files named netlab* in folders for temporary files."""
    for folder, folders, names in os.walk(paths.LABS):
        yield from (os.path.join(folder, name) for name in [*folders, *names])
        folders[:] = [name for name in folders if name != "tracing"]  # it has thousands of the kernel's own files
    for folder in {tempfile.gettempdir(), "/run", "/dev/shm", "/var/tmp"}:  # noqa: S108 - looks, writes nothing
        yield from glob.glob(f"{glob.escape(folder)}/*netlab*")


def _cgroups(mounts: list[str]) -> Iterator[str]:
    for mount in mounts:
        for folder, names, _ in os.walk(mount):
            yield from (os.path.join(folder, name) for name in names if name.startswith("netlab"))


def _processes() -> Iterator[str]:
    """Yield processes that look like netlab's, or are in another network namespace; not this one and its ancestors."""
    own = os.readlink("/proc/self/ns/net")
    line = set(_ancestors())
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in line:
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
                if command and ("netlab" in command or os.readlink(f"/proc/{name}/ns/net") != own):
                    yield f"{name}: {command[:200]}"
            except OSError:  # it has ended, or we may not look
                continue


def _ancestors() -> Iterator[int]:
    process = os.getpid()
    while process:
        yield process
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            process = int(file.read().rpartition(")")[2].split()[1])


def _descriptors(process: str) -> Iterator[tuple[str, str]]:
    """Yield number and target of each descriptor of a process; none if it ends, or if we may not look."""
    for number in listed(f"/proc/{process}/fd"):
        with suppress(OSError):
            yield number, os.readlink(f"/proc/{process}/fd/{number}")


def _bpf_held() -> Iterator[str]:
    """Yield each BPF object that a process holds. Others end with the mount, interface or object that holds them."""
    for process in filter(str.isdecimal, os.listdir("/proc")):
        for number, link in _descriptors(process):
            if link.startswith("anon_inode:bpf"):
                yield f"{link.partition(':')[2]} {number} of process {process}"


def _bpf_objects(kind: str) -> Iterator[str]:
    """Yield the id and the name of every map, XDP or tc program; nothing if that is not allowed.

    Programs of other types are not netlab's: for example, systemd loads some at any time.
    """
    number = 0
    while True:
        about = bpf.attributes("III", number, 0, 0)
        try:
            bpf.call(_NEXT_ID[kind], about, f"look for a {kind}")
        except (OSError, NetlabError):  # there is no other, or we may not look, or cannot
            return
        (number,) = struct.unpack_from("=I", about, 4)
        info = _bpf_info(kind, number)
        if kind == "map" or struct.unpack_from("=I", info)[0] in (bpf.XDP, bpf.SCHED_CLS):
            name = info[_NAME[kind] :].partition(b"\0")[0].decode(errors="replace")
            yield f"{number} {name}".rstrip()


def _bpf_info(kind: str, number: int) -> bytes:
    """Return struct bpf_prog_info or bpf_map_info; zeros if the object is gone."""
    try:
        with bpf.Object(bpf.open_by_id(_BY_ID[kind], number, f"open a {kind}")) as found:
            return bpf.info(found.fd)
    except OSError:
        return bytes(_NAME[kind] + 1)
