"""Finds what of a lab is not as planned, and says for each problem what mends it.

Everything is compared with the lab's record (docs/adr/0011-status-compares.md). Without root, nodes and pins cannot be
read: the rest is compared all the same.
"""

import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from types import ModuleType

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files, pids
from netlab.kernel.syscalls import inside
from netlab.lab import fault_state, node_drift, port_vlans, process_drift, program_drift, snapshot
from netlab.lab.node_drift import Inside, Problem, anew
from netlab.lab.program_drift import NO_PINS, Pins
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.plan import hosts
from netlab.record import changing, noted_pins, store
from netlab.record.model import LabRecord, NodeRecord
from netlab.record.notes import Pinned
from netlab.supervise import client, identity, lab_cgroup, state, trace
from netlab.words import few


class Drift(NamedTuple):
    """What is not as planned.

    `is_whole` says whether nodes were read, too. `lab` is None if its record is damaged. `seen` is what was read in
    each node, None for one that cannot be entered. `down` are the interfaces that were set down, by node.
    """

    problems: tuple[Problem, ...]
    is_whole: bool
    lab: Standing | None
    seen: Mapping[str, Inside | None] = {}
    down: Mapping[str, Collection[str]] = {}


def examine(lab: str) -> Drift:
    """Return what is not as planned in a lab that has a folder. This needs no root, but sees more with it."""
    try:
        record = store.shown(lab)
    except NetlabError as error:
        return Drift((Problem("", str(error), anew(lab)),), False, None)
    return _examined(Standing(record))


def _examined(lab: Standing) -> Drift:
    name = lab.record.lab
    if not store.is_complete(name):
        what = "it is half-built: its `up` has not come to the end, or the file `up` in its folder is gone"
        return Drift((Problem("", what, f"netlab down {name}"),), False, lab)
    if what := changing.problem(lab.record.folder):
        mend = f"netlab apply FILE, with its file or the one before, goes on; netlab down {name} removes it"
        return Drift((Problem("", what, mend),), True, lab)
    outside = tuple(_outside(lab))
    told = {problem.where for problem in outside}
    try:
        inside, found, down = _inside(lab, told)
        if inside:  # read again: a reload may have changed the pins while they were compared
            inside, found, down = _inside(lab, told)
    except PermissionError:
        return Drift(outside, False, lab)
    return Drift((*outside, *inside), True, lab, found, down)


# ---- compared without root -------------------------------------------------------------------------------------------


def _outside(lab: Standing) -> Iterator[Problem]:
    record = lab.record
    broken = lab.runtime.broken(list(record.nodes))
    for node, what in broken:
        yield Problem(node, what, anew(record.lab))
    if links := _links(record):
        yield from links.outside(lab)
    for where, what in (*_in_etc(record), *_files(record)):
        yield Problem(where, what, anew(record.lab))
    yield from _processes(record, {node for node, _ in broken})
    if left := fault_state.left_over(record.folder):
        what = f"faults are in force that no time line restores any more: {few(left)}"
        yield Problem("", what, f"netlab fault restore --lab {record.lab}")


def _links(record: LabRecord) -> ModuleType | None:
    """Return what looks after links that are led through the middle, if there may be any, or that were set down."""
    changed = (f"{record.folder}/{name}" for name in (paths.LINKS, paths.LINKS_DOWN))
    if not record.has_middle and not any(map(os.path.exists, changed)):
        return None
    from netlab.lab import link_drift

    return link_drift


def _in_etc(record: LabRecord) -> Iterator[tuple[str, str]]:
    """Yield the missing ones of the files that nodes see in /etc: for each, where the problem is and what it is."""
    etc = f"{record.folder}/{paths.ETC}"
    if unnamed := _unnamed(record, f"{etc}/hosts"):
        yield "", f"{etc}/hosts {unnamed}"
    for name in hosts.BESIDE:
        if os.path.exists(f"/etc/{name}") and _is_gone(f"{etc}/{name}"):
            yield "", f"{etc}/{name} is gone: nodes see this host's /etc/{name}"


def _files(record: LabRecord) -> Iterator[tuple[str, str]]:
    """Yield what is missing in the lab's folder: for each, where the problem is and what it is."""
    folder = record.folder
    try:
        store.public(record.lab)
    except NetlabError:
        yield "", f"{folder}/{paths.STATUS}, which others than root read, is gone or damaged"
    for key, program in record.programs():
        if _is_gone(source := paths.source(folder, key, program.path)):
            yield key, f"{source}, the source of its program, is gone"
    if any(about.programs for about in record.nodes.values()):
        for name, kind in ((paths.BPF, "BPF file system"), (paths.TRACING, "tracefs")):
            if not os.path.ismount(f"{folder}/{name}"):
                yield "", f"its {kind} is gone: nothing is mounted at {folder}/{name}"
    if record.has_supervisor and state.is_damaged(folder):
        yield "", f"{folder}/{paths.PROCESSES}, where its supervisor writes down what happens, is gone or damaged"


def _is_gone(path: str) -> bool:
    """Say whether there is no such file. If the caller may not read the folder, the file counts as there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _unnamed(record: LabRecord, path: str) -> str:
    """Return what is wrong with the lab's hosts file; "" if it names every address of every node."""
    try:
        lines = files.read(path).decode(errors="replace").splitlines()
    except OSError:
        return "is gone"
    there = {(words[0], name) for line in lines if (words := line.split()) for name in words[1:]}
    for node, about in record.nodes.items():
        for addresses in about.all_addresses().values():
            for address in addresses:
                if (address.partition("/")[0], node) not in there:
                    return f"does not say any more that {node} is {address.partition('/')[0]}"
    return ""


def _processes(record: LabRecord, broken: Collection[str]) -> Iterator[Problem]:
    """Yield what has happened to the supervisor and the nodes' processes; nothing can start in nodes in `broken`."""
    lab, folder = record.lab, record.folder
    entries = {entry.process: entry for entry in client.processes(folder)}
    supervisor = client.supervisor_pid(folder)
    if not supervisor and record.has_supervisor:
        lost = [entry.process for entry in entries.values() if entry.state == "lost"]
        after = f", and with it the process{'es' if lost[1:] else ''} of {', '.join(lost)}" if lost else ""
        yield Problem("", f"its supervisor has died{after}", anew(lab))
    elif supervisor and pids.is_stopped(supervisor):
        yield Problem("", f"its supervisor, process {supervisor}, is stopped", f"kill -CONT {supervisor}")
    if supervisor and not identity.noted_supervisor(folder):
        yield Problem(
            "", f"{folder}/{paths.SUPERVISOR}, which says who its supervisor is, is gone or damaged", anew(lab)
        )
    if supervisor and not _is_socket(f"{folder}/{paths.SOCKET}"):
        yield Problem("", f"{folder}/{paths.SOCKET}, the socket of its supervisor, is gone", anew(lab))
    if supervisor:
        what, mend = lab_cgroup.problem(lab, folder)
        yield from [Problem("", what, mend or anew(lab))] if what else ()
    for key, process in record.processes():
        if process.autostart:
            entry = entries.get(key) or client.unstarted(key)
            can_start = bool(supervisor) and not {"", entry.node}.intersection(broken)
            mend = f"netlab start --lab {lab} {key}" if can_start else anew(lab)
            yield from process_drift.problems(lab, folder, process, entry, is_watched=bool(supervisor), mend=mend)
            if entry.state != "not started" and _is_gone(log := paths.log(folder, key)):
                yield Problem(key, f"its log {log} is gone", anew(lab))


# ---- compared with root ----------------------------------------------------------------------------------------------


def _inside(
    standing: Standing, told: Collection[str]
) -> tuple[list[Problem], Mapping[str, Inside | None], Mapping[str, Collection[str]]]:
    """Return the problems inside nodes and of their programs, what was read in each node, and what was set down.

    Nodes in `told` have a problem already. PermissionError if this process may enter no node.
    """
    found = snapshot.nodes(standing.record.nodes, standing.runtime.netns_path)
    links = _links(standing.record)
    down = links.set_down(standing) if links else {}
    problems = [*_problems_inside(standing.record, told, found, standing.runtime.netns_path, down)]
    return [*problems, *(links.problems(standing) if links and not told else ())], found, down


def _problems_inside(
    record: LabRecord,
    told: Collection[str],
    found: Mapping[str, Inside | None],
    netns_path: Callable[[str], str],
    down: Mapping[str, Collection[str]],
) -> Iterator[Problem]:
    lab, folder = record.lab, record.folder
    known = noted_pins.read(folder)
    if any(about.programs for about in record.nodes.values()):
        if os.path.ismount(f"{folder}/{paths.TRACING}") and not os.path.isdir(trace.instance(folder, lab)):
            yield Problem("", f"its trace instance {trace.instance(folder, lab)} is gone", anew(lab))
        if not known:
            yield Problem("", f"{folder}/{paths.PINNED}, which says what is pinned, is gone or damaged", anew(lab))
    mounted = os.path.ismount(f"{folder}/{paths.BPF}")
    for node, about in record.nodes.items():
        own = {key: _pins(program.pins, known) for key, program in record.programs_of(node)}
        passing = _pins(paths.passing_pins(folder, node), known)
        if mounted:  # otherwise all pins are gone, and `_files` says so once
            for where, pins in (*own.items(), (node, passing)):
                yield from program_drift.pin_problems(lab, where, pins)
        if seen := found.get(node):
            yield from node_drift.node_problems(lab, node, about, seen, down.get(node, ()))
            yield from program_drift.program_problems(lab, node, about, seen, own, passing)
            if (bridge := about.bridge) and bridge.filters:
                ports = {link.index for link in seen.links if link.master == bridge.index}
                yield from port_vlans.problems(lab, node, about.interfaces, ports, seen.vlans)
            yield from _way_outside(lab, node, about, netns_path) if about.internet else ()
        elif node not in told:
            yield Problem(node, "its namespace cannot be entered", anew(lab))


def _way_outside(lab: str, node: str, about: NodeRecord, netns_path: Callable[[str], str]) -> Iterator[Problem]:
    """Yield what is missing for the lab to reach the outside through this host."""
    from netlab.network import internet

    told, of_table = inside(
        netns_path(node),
        lambda: ([*internet.problems(lab, list(about.interfaces))], internet.table_problems(lab)),
    )
    yield from (Problem(node, what, f"netlab exec --lab {lab} {node} {mend}") for what, mend in of_table)
    yield from (Problem(node, what, anew(lab)) for what in told)


def _pins(folder: str, known: Mapping[str, Pinned]) -> Pins:
    """Return what is pinned in a folder; NO_PINS if the lab does not know of it."""
    name = os.path.basename(folder)
    return snapshot.pins(folder, known[name]) if name in known else NO_PINS
