"""The rooms of untrusted nodes: what runs in one sees and reaches little but its own node (ADR 36).

A room is a set of namespaces, like a container's, with a first process that only buries others. A process enters it
as it enters a container, and is then confined. The kernel ends everything in a room with its first process.
"""

import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NoReturn

from netlab import assets, paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import files, kill, pids
from netlab.record import mark, shapes
from netlab.record.model import LabRecord, LimitsRecord
from netlab.record.notes import ProcessId
from netlab.runtime import room_copy
from netlab.runtime.base import Place
from netlab.topology.model import OwnFiles
from netlab.topology.trust import CAPABILITIES

FOLDER_BYTES = 64 << 20  # that a node can write
_FIRST_USER = 0x70000000  # no range of systemd's, and no user of any distribution
_BOOT = "import sys; sys.path.append(sys.argv[1]); from netlab.runtime.room_child import main; main()"
_MOST_PROCESSES = 4096  # of a lab
_PATIENCE_S = 10.0  # for the kernel to end all in a room
Groups = Mapping[str, Sequence[str]]  # the folders of control groups, by node
_ALWAYS = ("NET_BIND_SERVICE", "NET_RAW")  # of CAPABILITIES


def user_of(netns: str) -> int:
    """Return the number of the user who is alone in a node: that of its network namespace, on top of _FIRST_USER.

    No two nodes of this machine have the same, so none can use up what the kernel grants to each user.
    """
    return _FIRST_USER | os.stat(netns).st_ino & 0x0FFFFFFF


class Rooms:
    """The rooms of one lab. Constructing it touches nothing."""

    def __init__(self, record: LabRecord) -> None:
        self._record = record
        self._folder = record.folder
        self._beside = os.path.dirname(record.topology)

    def make(self, nodes: Sequence[str], own: Mapping[str, OwnFiles], netns: Mapping[str, str], groups: Groups) -> None:
        """Make the rooms of these nodes, whose network namespaces are at `netns`; `groups` are each one's.

        HostError if this host cannot confine, NetlabError if a room cannot be made.
        """
        if not nodes:
            return
        self._check_own()
        files.ensure_folder(f"{self._folder}/{paths.ROOM_BASE}", files.FOR_OWNER)
        self.refresh()
        job = {
            "mark": mark.mark(self._record.lab),
            "base": f"{self._folder}/{paths.ROOM_BASE}",
            "etc": f"{self._folder}/{paths.ETC}",
            "shown": list(self._shown()),
            "nodes": [self._job(node, own.get(node, OwnFiles()), netns[node], groups.get(node, ())) for node in nodes],
        }
        self._run(job, len(nodes))

    def refresh(self) -> None:
        """Show the rooms the topology's folder as it is now."""
        if not self._beside:
            return
        if wrong := room_copy.problem(self._beside):
            raise NetlabError(f"{self._record.topology} cannot be taken as untrusted: {wrong}")
        copy = f"{self._folder}/{paths.SHOWN}"
        if os.path.isdir(copy):
            _empty(copy)
        else:
            files.make_folder(copy, files.FOR_ALL)
        room_copy.copy(self._beside, copy)

    def total(self) -> LimitsRecord:
        """Return what all rooms of the lab may use together: half of this host's memory, and so many processes."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        return LimitsRecord(memory=memory, pids=_MOST_PROCESSES)

    def place(self, node: str, groups: Sequence[str], more: Sequence[str] = ()) -> Place:
        """Return how a process enters a node's room, with these control groups; `more` are capabilities beside its own.

        NetlabError if the room is gone.
        """
        first = self.known().get(node)
        if not first or not pids.is_alive(*first):
            lab = self._record.lab
            raise NetlabError(f"the room of {node} has ended: netlab down --lab {lab} and up make it anew")
        said = (*self._record.nodes[node].capabilities, *more)
        wanted = tuple(name for name in CAPABILITIES if name in (*_ALWAYS, *said))
        user = user_of(f"{self._folder}/{paths.NETNS}/{node}")
        return Place(*first, wanted, user, tuple(groups))

    def known(self) -> dict[str, ProcessId]:
        """Return the first process of each room, by node, as far as that is written down."""
        try:
            found = files.load(f"{self._folder}/{paths.ROOMS}")
            return {node: shapes.read(ProcessId, first) for node, first in found.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def broken(self, nodes: Sequence[str]) -> list[tuple[str, str]]:
        """Return which rooms have ended, as (node, in words)."""
        known = self.known()
        ended = (node for node in nodes if node not in known or not pids.is_alive(*known[node]))
        return [(node, "its room has ended, and with it all that ran there") for node in ended]

    def _note(self, first: Mapping[str, ProcessId]) -> None:
        known = {node: one._asdict() for node, one in {**self.known(), **first}.items()}
        files.write(f"{self._folder}/{paths.ROOMS}", json.dumps(known), 0o644)

    def _job(self, node: str, own: OwnFiles, netns: str, groups: Sequence[str]) -> dict[str, object]:
        return {
            "name": node,
            "label": paths.label_of(node),
            "netns": netns,
            "user": user_of(netns),
            "groups": [*_lab_group(self._folder), *groups],
            "size": FOLDER_BYTES,
            "private": [(each.path, each.mode) for each in own.folders],
            "files": [(each.path, each.mode, b64encode(each.content).decode()) for each in own.files],
        }

    def _shown(self) -> "list[tuple[str, str]]":
        """Return the folders of this host that are seen in every room: by their paths there, and where they are."""
        found = [(self._beside, f"{self._folder}/{paths.SHOWN}")] if self._beside else []
        found += [(each, each) for each in (paths.PACKAGE, assets.folder("roles"))]
        return found if sys.base_prefix == "/usr" else [*found, (sys.base_prefix, sys.base_prefix)]

    def _check_own(self) -> None:
        """Raise HostError if netlab's own files could not be read in a room."""
        for path in (paths.PACKAGE, paths.PACKAGE + "/role.py", assets.folder("roles")):
            if not os.stat(path).st_mode & 0o004:
                raise HostError(f"{path} can be read by root only, and so by no untrusted role: chmod -R a+rX {path}")

    def _run(self, job: Mapping[str, object], count: int) -> None:
        """Have this many rooms made by a process of its own, and note their first processes."""
        argv = [sys.executable, "-IS", "-c", _BOOT, paths.IMPORTED_FROM]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as maker:
            try:
                _tell(maker, json.dumps(job))
                first = dict(islice(_answers(maker), count))
                if len(first) < count:
                    self._give_up(maker)
                self._note(first)
                _tell(maker, "known")
            except BaseException:
                maker.kill()
                raise

    def _give_up(self, maker: "subprocess.Popen[bytes]") -> NoReturn:
        why = maker.stderr.read().decode(errors="replace").strip() if maker.stderr else ""
        problem = why.rpartition("\n")[2] or "whoever made them has ended"
        raise NetlabError(f"cannot make the rooms of {self._record.lab}: {problem}")


def _tell(maker: "subprocess.Popen[bytes]", line: str) -> None:
    with suppress(BrokenPipeError):
        if maker.stdin:
            maker.stdin.write(f"{line}\n".encode())
            maker.stdin.flush()


def _answers(maker: "subprocess.Popen[bytes]") -> Iterator[tuple[str, ProcessId]]:
    for line in maker.stdout or ():
        node, pid, ticks = json.loads(line)
        yield node, ProcessId(pid, ticks)


def end(folder: str, nodes: Sequence[str] = ()) -> None:
    """End the rooms of a lab that are noted, or of these nodes, with all that runs there, and wait for that."""
    try:
        noted = files.load(f"{folder}/{paths.ROOMS}")
        firsts = [shapes.read(ProcessId, first) for node, first in noted.items() if not nodes or node in nodes]
    except (OSError, ValueError, AttributeError):
        return  # whatever runs is found by its network
    held = []
    for pid, ticks in firsts:
        descriptor = kill.open_pidfd(pid)
        if descriptor >= 0 and pids.is_alive(pid, ticks):  # asked when the descriptor holds the id
            kill.send(descriptor, signal.SIGKILL)
            held.append(descriptor)
        elif descriptor >= 0:
            os.close(descriptor)
    kill.have_ended(held, _PATIENCE_S)
    for descriptor in held:
        os.close(descriptor)


def _lab_group(folder: str) -> list[str]:
    """Return the lab's own control group, if it has one."""
    try:
        group = os.fsdecode(files.read(f"{folder}/{paths.GROUP}"))
    except OSError:
        return []
    return [group] if group else []


def _empty(folder: str) -> None:
    """Remove what is in a folder, which stays."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            _empty(path)
            os.rmdir(path)
        else:
            os.unlink(path)
