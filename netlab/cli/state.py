"""`netlab status`, for people: what runs in the nodes, their interfaces, and what is not as planned.

Where there is much, rows that are alike are one row, if nothing in them is wrong.
"""

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from netlab.cli import tables
from netlab.cli.console import Painted
from netlab.named_tuple import NamedTuple
from netlab.words import count, few

if TYPE_CHECKING:
    from netlab.observe.interface_status import InterfaceStatus
    from netlab.observe.status import LabStatus, NodeStatus
    from netlab.supervise.client import Process

_T = TypeVar("_T")
_MOST_ROWS = 40  # of a table, before rows that are alike become one
_MOST_PROBLEMS = 50
_FEW = 4  # interfaces
_LONGEST_COMMAND = 40
_DAY_S = 86400
_PAINT = Painted()


class _Run(NamedTuple):
    """What runs in a node, or the node itself where nothing does."""

    called: str
    node: str
    runs: str
    process: "Process | None"
    is_wrong: bool


class _End(NamedTuple):
    """An interface of a node; `hub` is the node at its link that has many interfaces."""

    node: str
    name: str
    now: "InterfaceStatus"
    hub: str


def lines(found: "LabStatus", *, is_wide: bool = False) -> Iterator[str]:
    """Yield the state of a lab as lines; with `is_wide` all of it, as wide as it is."""
    width = tables.width(is_wide=is_wide)
    limited = not found.looked_inside and found.state != "half-built"
    state = "up, as far as can be seen without root" if limited and found.state == "up" else found.state
    state = _PAINT.good(state) if found.state == "up" else _PAINT.bad(state)
    since = f", since {clock(found.since)}" if found.since else ""
    state = f"{state}, untrusted" if found.untrusted else state
    yield from tables.folded(f"lab {found.lab} is {state}, from {found.topology or 'no file'}{since}", width)
    for table, left in (_runs(found, is_wide), _interfaces(found, is_wide)):
        yield from ("", *table.lines(width)) if table.rows else ()
        yield from [left] if left else ()
    below = [line for text in _below(found, is_wide) for line in tables.folded(text, width)]
    yield from ("", *below) if below else ()


def _below(found: "LabStatus", is_wide: bool) -> Iterator[str]:
    """Yield what is said below the tables: remarks, faults, problems."""
    for name, node in found.nodes.items():
        yield from _remarks(name, node)
    if found.faults:
        yield f"a time line is played; in force are: {', '.join(found.faults)}"
    most = None if is_wide else _MOST_PROBLEMS
    for problem in found.problems[:most]:
        yield f"{_PAINT.bad(problem.where or 'the lab')}: {problem.said}"
    if most and found.problems[most:]:
        yield f"… and {len(found.problems) - most} more: --wide has all"


def clock(since: float) -> str:
    """Return a moment: the time, or the day, too, if that is not near."""
    near = abs(time.time() - since) < _DAY_S
    return time.strftime("%H:%M:%S" if near else "%Y-%m-%d %H:%M", time.localtime(since))


def full_buffers(node: str, errors: int) -> str:
    """Return a line on datagrams that have reached a node and none of its processes."""
    return f"{node}: {count(errors, 'datagram')} dropped, as the buffers of sockets were full (UdpRcvbufErrors)"


def _short(
    rows: Sequence[_T],
    alike: Callable[[_T], object],
    is_wide: bool,
) -> tuple[list[list[_T]], str]:
    """Return rows in groups, and a line on those that are left out.

    Of many, those that stand beside each other and are alike are a group. What is alike to nothing (None) is not as
    planned: it is alone, and left out last.
    """
    if is_wide or len(rows) <= _MOST_ROWS:
        return [[row] for row in rows], ""
    runs = ((key is None, list(group)) for key, group in groupby(rows, alike))
    groups = [(is_wrong, part) for is_wrong, run in runs for part in ([[row] for row in run] if is_wrong else [run])]
    first = sorted(range(len(groups)), key=lambda at: not groups[at][0])[:_MOST_ROWS]
    left = sum(len(group) for at, (_, group) in enumerate(groups) if at not in set(first))
    return [groups[at][1] for at in sorted(first)], f"… and {left} more: --wide has all" if left else ""


def _from_to(names: Sequence[str]) -> str:
    """Return the first and the last of several names, and how many there are."""
    return names[0] if len(set(names)) == 1 else f"{names[0]} … {names[-1]} ({len(names)})"


# ---- what runs -------------------------------------------------------------------------------------------------------


def _runs(found: "LabStatus", is_wide: bool) -> tuple[tables.Table, str]:
    table = tables.table(
        *("NODE", "WHAT", "STATE", "SINCE", "PID", "CPU", "MEMORY"), spare=("PID", "SINCE", "MEMORY", "CPU")
    )
    wrong = {problem.where.partition(" ")[0] for problem in found.problems}
    rows = [row for name, node in found.nodes.items() for row in _runs_of(name, node, wrong, is_wide)]
    groups, left = _short(rows, _kind, is_wide)
    for group in groups:
        its = [row.process for row in group if row.process]
        first = its[0] if its else None
        alone = first if len(group) == 1 else None
        table.add_row(
            _from_to([row.called for row in group]),
            group[0].runs,
            _state(first) if first else "",
            clock(alone.since) if alone and alone.since else "",
            str(alone.pid or "") if alone else "",
            _sum((each.cpu_percent for each in its), "{:.1f} %", 1),
            _sum((each.rss_bytes for each in its), "{:.1f} MB", 1e6),
        )
    return table, left


def _runs_of(name: str, node: "NodeStatus", wrong: Iterable[str], is_wide: bool) -> Iterator[_Run]:
    """Yield the rows of a node: the process of its own name stands in its row, others below."""
    own = next((one for one in node.processes if one.process == name), None)
    others = [one for one in node.processes if one is not own]
    yield _Run(name, name, _called(own, is_wide) if own else node.kind, own, name in wrong)
    for process in others:
        yield _Run(process.process, name, _called(process, is_wide), process, process.process in wrong)


def _called(process: "Process", is_wide: bool) -> str:
    """Return what a process is: its role, or its command."""
    command = shlex.join(process.command) or "command"
    short = command if is_wide or len(command) <= _LONGEST_COMMAND else f"{command[: _LONGEST_COMMAND - 1]}…"
    return process.role or short


def _kind(row: _Run) -> object:
    """Return what rows have in common that may be shown as one; None of one with a problem."""
    if row.is_wrong:
        return None
    return row.runs, row.called == row.node, row.process and (row.process.state, row.process.code)


def _sum(values: Iterable[float | None], form: str, unit: float) -> str:
    there = [value for value in values if value is not None]
    return form.format(sum(there) / unit) if there else ""


def _state(process: "Process") -> str:
    """Return what a process does, in the colour of what that means."""
    if process.stopped_by_request:
        return _PAINT.doubtful("stopped on request")
    code = f" {process.code}" if process.state in ("exited", "killed") else ""
    said = process.state + code
    if process.state == "running":
        return _PAINT.good(said)
    if process.state in ("killed", "lost", "gone") or process.code:
        return _PAINT.bad(said)
    return _PAINT.doubtful(said) if process.state in ("starting", "stopped", "paused", "restarting") else said


# ---- interfaces ------------------------------------------------------------------------------------------------------


def _interfaces(found: "LabStatus", is_wide: bool) -> tuple[tables.Table, str]:
    table = tables.table("INTERFACE", "PEER", "LINK", "ADDRESSES", "PROGRAM", below=("ADDRESSES", "PROGRAM"))
    ends = [
        _End(node, name, now, node if len(its.interfaces) > _FEW else now.peer.partition(":")[0])
        for node, its in found.nodes.items()
        for name, now in its.interfaces.items()
    ]
    groups, left = _short(ends, _sort, is_wide)
    for group in groups:
        table.add_row(
            _from_to([f"{end.node}:{end.name}" for end in group]),
            _from_to([end.now.peer for end in group]),
            _link(group[0].now),
            _few([_addresses(end.now) for end in group]),
            ", ".join(_programs(group[0].now)),
        )
    return table, left


def _sort(end: _End) -> object:
    """Return what interfaces have in common that may be shown as one row: those of a hub, or those that lead to one."""
    now = end.now
    if not now.is_as_planned or now.state not in ("up", ""):
        return None
    return now.state, now.port, now.programs, end.hub, end.hub == end.node


def _few(addresses: Sequence[str]) -> str:
    return addresses[0] if len(addresses) == 1 else few([each for each in addresses if each], 2)


def _link(now: "InterfaceStatus") -> str:
    said = f"{now.state}, {now.port}" if now.port else now.state
    if not now.is_planned:
        return _PAINT.doubtful(f"{said}, added")
    if now.state == "up":
        return said if now.port in ("", "forwarding") else _PAINT.doubtful(said)
    return _PAINT.bad(said) if now.state in ("down", "gone") else _PAINT.doubtful(said) if said else ""


def _addresses(now: "InterfaceStatus") -> str:
    there = [_PAINT.doubtful(f"{each} (added)") if each in now.added else each for each in now.addresses]
    return ", ".join((*there, *(_PAINT.bad(f"{each} (gone)") for each in now.lost)))


def _programs(now: "InterfaceStatus") -> tuple[str, ...]:
    return (*map(_PAINT.kernel, now.programs), *(_PAINT.bad(f"{each}: gone") for each in now.lost_programs))


# ---- remarks ---------------------------------------------------------------------------------------------------------


def _remarks(name: str, node: "NodeStatus") -> Iterator[str]:
    """Yield lines on a node that its rows have no room for."""
    for process in node.processes:
        if process.restarts and process.state not in ("restarting", "exited", "killed", "gone"):
            yield f"{process.process}: it has started again by itself, {count(process.restarts, 'time')} in a row"
        if process.cut_off_after:
            yield f"{process.process}: its output was cut off, as its log holds {process.cut_off_after:,} bytes"
    if node.limits.pids:
        yield f"{name}: it may have {node.limits.pids:,} processes and threads"
    if node.memory_kills:
        killed = count(node.memory_kills, "process", "es")
        yield f"{name}: its memory was used up, and the kernel has killed {killed} there"
    if node.udp_rcvbuf_errors:
        yield full_buffers(name, node.udp_rcvbuf_errors)
