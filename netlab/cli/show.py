"""What a lab shows, for people: tables of the data that `observe` returns, and lines as they come."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab.cli import state, tables
from netlab.cli.console import Painted, say

if TYPE_CHECKING:
    from netlab.balancer.reports import Reporter
    from netlab.observe.labs import LabEntry
    from netlab.observe.stats import BalancerStats, LabStats, ProgramStats, Reasons

_PAINT = Painted()


def lines(texts: Iterable[str]) -> None:
    """Print lines as they come, until Ctrl-C, which is how a user stops following a log."""
    with suppress(KeyboardInterrupt):
        for text in texts:
            print(text, flush=True)


def labs(found: "Sequence[LabEntry]") -> None:
    """Print the labs of this machine as a table."""
    if not found:
        say("netlab: no lab is up")
        return
    table = tables.table("LAB", "STATE", "NODES", "RUNTIME", "SINCE", "TOPOLOGY", below=("TOPOLOGY",))
    for each in found:
        said = _PAINT.good(each.state) if each.state == "up" else _PAINT.bad(each.state)
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.since)) if each.since else ""
        nodes = "" if each.nodes is None else str(each.nodes)
        table.add_row(each.lab, said, nodes, each.runtime, since, each.topology)
    tables.show(table)
    for each in found:
        if each.state != "up":
            say(f"netlab: {each.lab}: netlab down {each.lab} removes what is there")


def stats(counted: "LabStats", *, with_zeros: bool = False) -> None:
    """Print what the programs count, as tables, with reasons and counters that are zero only if they are wanted."""
    for node, now in counted.balancers.items():
        _balancer(node, now, with_zeros)
    for key, program in counted.programs.items():
        _program(key, program, with_zeros)
    if counted.links:
        from netlab.cli import links

        links.show(counted.links, with_zeros=with_zeros)
    elif not counted.balancers and not counted.programs and not counted.problems:
        say("netlab: no node of this lab carries a program")
    _losses(counted)


def _losses(counted: "LabStats") -> None:
    """Print what was lost on the way, and by no program."""
    if counted.xdp_losses:
        print("lost by the kernel with XDP:")
        table = tables.table("NODE", "INTERFACE", "FRAMES", "REASON")
        for loss in counted.xdp_losses:
            table.add_row(loss.node, loss.interface, str(loss.frames), loss.text)
        tables.show(table)
    for node, errors in counted.udp_rcvbuf_errors.items():
        if errors:
            print(state.full_buffers(node, errors))


def _balancer(node: str, now: "BalancerStats", with_zeros: bool) -> None:
    if not now.ready:
        print(f"{node}: its balancer is not set up: no role has done so yet")
        return
    held = f"; {now.held} held, {now.retried} retried, {now.unheld} not held" if now.holds else ""
    print(
        f"{node}: {now.received} requests received: {now.forwarded} forwarded at once, "
        f"{now.queued} queued, {now.dropped} dropped; {now.dequeued} sent out of the queue, "
        f"{now.queue_depth} of {now.queue_capacity} waiting; {now.completions} completions; "
        f"policy {now.policy}{held}"
    )
    tables.show(_backends_table(now))
    _show_reasons(node, {**now.reasons, **now.carriers}, with_zeros)


def _program(key: str, program: "ProgramStats", with_zeros: bool) -> None:
    """Print what a program counts that is no balancer."""
    counts = program.reasons or program.counters
    nothing = "has no plain counters" if program.maps or program.events else "counts nothing"
    print(f"{key}:" if counts else f"{key}: its program {nothing}")
    if program.reasons:
        _show_reasons(key, program.reasons, with_zeros)
    if program.counters:
        tables.show(_counters_table(program.counters))
    if program.maps:
        print(f"{key}: other maps, which netlab maps {key} MAP shows: {', '.join(program.maps)}")
    if program.events:
        maps = ", ".join(f"{name} ({kind})" for name, kind in program.events.items())
        print(f"{key}: events, which netlab maps --follow {key} shows: {maps}")


def _backends_table(now: "BalancerStats") -> tables.Table:
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


def _counters_table(counters: "Mapping[str, Mapping[str, int]]") -> tables.Table:
    """Return a table of the whole numbers in arrays; those that are zero are not there."""
    table = tables.table("MAP", "KEY", "COUNT")
    for name, numbers in counters.items():
        for key, number in numbers.items():
            table.add_row(name, key, str(number))
        if not numbers:
            table.add_row(name, "", "0")
    return table


def _show_reasons(key: str, reasons: "Reasons", with_zeros: bool) -> None:
    table = tables.table("REASON", "PACKETS", "BYTES")
    for name, counted in reasons.items():
        if with_zeros or counted.packets:
            table.add_row(name, str(counted.packets), str(counted.bytes))
    if table.rows:
        tables.show(table)
    else:
        print(f"{key}: no packet so far")
