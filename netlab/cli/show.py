"""What a lab shows, for people: tables of the data that `observe` returns, and lines as they come."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from netlab.cli import tables
from netlab.cli.console import Painted, say
from netlab.words import count, few

if TYPE_CHECKING:
    from netlab.balancer.reports import Reporter
    from netlab.observe.labs import LabEntry
    from netlab.observe.stats import BalancerStats, LabStats, ProgramStats, Reasons
    from netlab.observe.status import LabStatus, NodeStatus
    from netlab.supervise.client import Process

_MOST = 50  # problems in a table
_PAINT = Painted()


def lines(texts: Iterable[str]) -> None:
    """Print lines as they come, until Ctrl-C, which is how a user stops following a log."""
    with suppress(KeyboardInterrupt):
        for text in texts:
            print(text, flush=True)


def status(found: "LabStatus") -> None:
    """Print a lab's nodes as a table, and below it what is not as planned."""
    table = tables.table("NODE", "WHAT", "PROGRAM", "STATE", "PID", "CPU", "MEMORY", "ADDRESSES")
    for name, node in found.nodes.items():
        planned = [each for port in node.addresses.values() for each in port]
        addresses = [each for each in planned if ":" not in each] or planned
        own = next((one for one in node.processes if one.process == name), None)
        others = [one for one in node.processes if one is not own]
        role = own.role if own else "" if others else node.role
        table.add_row(name, role or node.kind, node.program, *_process_cells(own), few(addresses))
        for program in node.programs if len(node.programs) > 1 else ():
            table.add_row(
                program.program, f"{program.hook} on {few(program.interfaces)}", program.name, *_process_cells(None), ""
            )
        for process in others:
            table.add_row(process.process, process.role or "command", "", *_process_cells(process), "")
    limited = not found.looked_inside and found.state != "half-built"
    state = "up, as far as can be seen without root" if limited and found.state == "up" else found.state
    state = _PAINT.good(state) if found.state == "up" else _PAINT.bad(state)
    print(f"lab {found.lab} is {state}, from {found.topology or 'no file'}")
    tables.console().print(table)
    for name, node in found.nodes.items():
        for line in _remarks(name, node):
            print(line)
    if found.faults:
        print(f"a time line is played; in force are: {', '.join(found.faults)}")
    for problem in found.problems[:_MOST]:
        print(f"{_PAINT.bad(problem.where or 'the lab')}: {problem.said}")
    if found.problems[_MOST:]:
        print(f"… and {len(found.problems) - _MOST} more: --format json has all")
    if limited:
        say(f"netlab: note: to look into the nodes takes root: sudo netlab status {found.lab}")


def labs(found: "Sequence[LabEntry]") -> None:
    """Print the labs of this machine as a table."""
    if not found:
        say("netlab: no lab is up")
        return
    table = tables.table("LAB", "STATE", "NODES", "RUNTIME", "SINCE", "TOPOLOGY")
    for each in found:
        state = _PAINT.good(each.state) if each.state == "up" else _PAINT.bad(each.state)
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.since)) if each.since else ""
        nodes = "" if each.nodes is None else str(each.nodes)
        table.add_row(each.lab, tables.painted(state), nodes, each.runtime, since, each.topology)
    tables.console().print(table)
    for each in found:
        if each.state != "up":
            say(f"netlab: {each.lab}: netlab down {each.lab} removes what is there")


def _remarks(name: str, node: "NodeStatus") -> Iterator[str]:
    """Yield lines on a node that its row has no room for."""
    for interface, now in node.addresses_now.items():
        planned = ", ".join(node.addresses.get(interface, ())) or "none"
        yield f"{name} {interface}: it has {', '.join(now) or 'no address'} now, planned is {planned}"
    for process in node.processes:
        if process.restarts and process.state not in ("restarting", "exited", "killed", "gone"):
            yield f"{process.process}: it has started again by itself, {count(process.restarts, 'time')} in a row"
    if node.stp and node.ports:
        yield f"{name}: {', '.join(f'{port} {state}' for port, state in node.ports.items())}"
    if node.memory_kills:
        killed = count(node.memory_kills, "process", "es")
        yield f"{name}: its memory was used up, and the kernel has killed {killed} there"
    if node.udp_rcvbuf_errors:
        yield _full_buffers(name, node.udp_rcvbuf_errors)


def _full_buffers(node: str, errors: int) -> str:
    """Return a line on datagrams that have reached a node and none of its processes."""
    return f"{node}: {count(errors, 'datagram')} dropped, as the buffers of sockets were full (UdpRcvbufErrors)"


def _process_cells(process: "Process | None") -> tuple[Any, str, str, str]:
    if process is None:
        return "", "", "", ""
    cpu = "" if process.cpu_percent is None else f"{process.cpu_percent:.1f} %"
    memory = "" if process.rss_bytes is None else f"{process.rss_bytes / 1e6:.1f} MB"
    return _state(process), str(process.pid or ""), cpu, memory


def _state(process: "Process") -> Any:
    """Return what a process does, in the colour of what that means."""
    if process.stopped_by_request:
        return tables.painted(_PAINT.doubtful("stopped on request"))
    code = f" {process.code}" if process.state in ("exited", "killed") else ""
    said = process.state + code
    if process.state == "running":
        return tables.painted(_PAINT.good(said))
    if process.state in ("killed", "lost", "gone") or process.code:
        return tables.painted(_PAINT.bad(said))
    return tables.painted(
        _PAINT.doubtful(said) if process.state in ("starting", "stopped", "paused", "restarting") else said
    )


def stats(counted: "LabStats") -> None:
    """Print what the programs count, as tables."""
    console = tables.console()
    for node, now in counted.balancers.items():
        if not now.ready:
            console.print(f"{node}: its balancer is not set up: no role has done so yet")
            continue
        held = f"; {now.held} held, {now.retried} retried, {now.unheld} not held" if now.holds else ""
        console.print(
            f"{node}: {now.received} requests received: {now.forwarded} forwarded at once, "
            f"{now.queued} queued, {now.dropped} dropped; {now.dequeued} sent out of the queue, "
            f"{now.queue_depth} of {now.queue_capacity} waiting; {now.completions} completions; "
            f"policy {now.policy}{held}",
        )
        console.print(_backends_table(now))
        console.print(_counts_table({**now.reasons, **now.carriers}))
    for key, program in counted.programs.items():
        _program(console, key, program)
    if counted.links:
        from netlab.cli import links

        links.show(counted.links)
    elif not counted.balancers and not counted.programs and not counted.problems:
        say("netlab: no node of this lab carries a program")
    _losses(counted, console)


def _losses(counted: "LabStats", console: Any) -> None:
    """Print what was lost on the way, and by no program."""
    if counted.xdp_losses:
        console.print("lost by the kernel with XDP:")
        table = tables.table("NODE", "INTERFACE", "FRAMES", "REASON")
        for loss in counted.xdp_losses:
            table.add_row(loss.node, loss.interface, str(loss.frames), loss.text)
        console.print(table)
    for node, errors in counted.udp_rcvbuf_errors.items():
        if errors:
            console.print(_full_buffers(node, errors))


def _program(console: Any, key: str, program: "ProgramStats") -> None:
    """Print what a program counts that is no balancer."""
    counts = program.reasons or program.counters
    nothing = "has no plain counters" if program.maps or program.events else "counts nothing"
    console.print(f"{key}:" if counts else f"{key}: its program {nothing}")
    if program.reasons:
        console.print(_counts_table(program.reasons))
    if program.counters:
        console.print(_counters_table(program.counters))
    if program.maps:
        console.print(f"{key}: other maps, which netlab maps {key} MAP shows: {', '.join(program.maps)}")
    if program.events:
        maps = ", ".join(f"{name} ({kind})" for name, kind in program.events.items())
        console.print(f"{key}: events, which netlab maps --follow {key} shows: {maps}")


def _backends_table(now: "BalancerStats") -> Any:
    """Return a table of the backends and their threads, with their reports, if they may report."""
    heard = ("REPORTS", "LOST REQUESTS", "LOST COMPLETIONS", "DOUBLED COMPLETIONS") if now.report_port else ()
    table = tables.table("BACKEND", "FREE THREADS", "CAPACITY", "WEIGHT", *heard)
    for name, backend in now.backends.items():
        weight = "drained" if backend.drained else str(backend.weight)
        is_told = backend.absent in ("", "silent")  # its reports say that it is silent
        free = str(backend.free) if is_told else f"{backend.free}, {backend.absent}"
        cells = (name, free, str(backend.capacity), weight)
        table.add_row(*cells, *(_report_cells(backend.reports) if heard else ()))
    return table


def _report_cells(reports: "Reporter | None") -> tuple[str, ...]:
    if reports is None:
        return "none so far", "", "", ""
    state = f"silent for {reports.heard_s:.1f} s" if reports.silent else "reporting"
    return state, *map(str, (reports.lost_requests, reports.lost_completions, reports.doubled_completions))


def _counters_table(counters: "Mapping[str, Mapping[str, int]]") -> Any:
    """Return a table of the whole numbers in arrays; those that are zero are not there."""
    table = tables.table("MAP", "KEY", "COUNT")
    for name, numbers in counters.items():
        for key, number in numbers.items():
            table.add_row(name, key, str(number))
        if not numbers:
            table.add_row(name, "", "0")
    return table


def _counts_table(reasons: "Reasons") -> Any:
    table = tables.table("REASON", "PACKETS", "BYTES")
    for name, counted in reasons.items():
        table.add_row(name, str(counted.packets), str(counted.bytes))
    return table
