"""What the programs of a lab count: as data, and as tables."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from netlab import balancer, paths
from netlab.balancer.counters import Count
from netlab.balancer.reports import Reporter
from netlab.console import say
from netlab.kernel import files
from netlab.observe import tables
from netlab.programs import headers
from netlab.record.model import LabRecord

Reasons = Mapping[str, Count]


class BackendStats(NamedTuple):
    """A backend of a balancer: its threads, and what its reports say, None where it has sent none."""

    free: int
    capacity: int
    weight: int
    drained: bool
    reports: Reporter | None


class BalancerStats(NamedTuple):
    """What a balancer counts: see `balancer.Snapshot`. `carriers` are the reasons by which carriers have left."""

    ready: bool
    received: int
    forwarded: int
    queued: int
    dropped: int
    dequeued: int
    completions: int
    expired: int
    retried: int
    unheld: int
    held: int
    queue_depth: int
    queue_capacity: int
    policy: str
    report_port: int
    holds: bool
    backends: Mapping[str, BackendStats]
    reasons: Reasons
    carriers: Reasons


class ProgramStats(NamedTuple):
    """What a program that is no balancer counts."""

    reasons: Reasons


class LabStats(NamedTuple):
    """What the programs of a lab count, by node: balancers, and other programs."""

    lab: str
    balancers: Mapping[str, BalancerStats]
    programs: Mapping[str, ProgramStats]

    def reasons(self) -> dict[str, dict[str, Count]]:
        """Return what each node's programs count by reason."""
        balancers = {name: {**now.reasons, **now.carriers} for name, now in self.balancers.items()}
        return {**balancers, **{name: dict(now.reasons) for name, now in self.programs.items()}}


def read(lab: LabRecord) -> LabStats:
    """Return what the lab's programs count now."""
    balancers: dict[str, BalancerStats] = {}
    programs: dict[str, ProgramStats] = {}
    for name, node in lab.nodes.items():
        if not node.program:
            continue
        source = headers.with_included(node.program.path, files.source(paths.source(lab.folder, name)))
        if balancer.has_balancer(node.pins):
            balancers[name] = _balancer(node.pins, source)
        else:
            programs[name] = ProgramStats(_reasons(node.pins, source, "reasons", "reason"))
    return LabStats(lab.lab, balancers, programs)


def _balancer(pins: str, source: str) -> BalancerStats:
    now = balancer.snapshot(pins)
    reports = balancer.reporters(pins)
    return BalancerStats(
        ready=now.ready,
        **now.counters,
        queue_depth=now.depth,
        queue_capacity=now.queue,
        policy=now.policy,
        report_port=now.report_port,
        holds=now.holds,
        backends={
            name: BackendStats(now.free[name], capacity, now.weights[name], name in now.drained, reports[name])
            for name, capacity in now.capacity.items()
        },
        reasons=_reasons(pins, source, "reasons", "reason"),
        carriers=_reasons(pins, source, "carrier_reasons", "carrier_reason"),
    )


def _reasons(pins: str, source: str, map_name: str, enum: str) -> Reasons:
    if not os.path.exists(paths.map_pin(pins, map_name)):  # a program need not count
        return {}
    return dict(balancer.counts(pins, map_name, balancer.enum_names(source, enum)))


def show(stats: LabStats) -> None:
    """Print what the programs count as tables."""
    console = tables.console()
    for node, now in stats.balancers.items():
        if not now.ready:
            console.print(f"{node}: its balancer is not set up: no role has done so yet", highlight=False)
            continue
        held = f"; {now.held} held, {now.retried} retried, {now.unheld} not held" if now.holds else ""
        console.print(
            f"{node}: {now.received} requests received: {now.forwarded} forwarded at once, "
            f"{now.queued} queued, {now.dropped} dropped; {now.dequeued} sent out of the queue, "
            f"{now.queue_depth} of {now.queue_capacity} waiting; {now.completions} completions; "
            f"policy {now.policy}{held}",
            highlight=False,
        )
        console.print(_backends_table(now))
        console.print(_counts_table({**now.reasons, **now.carriers}))
    for node, program in stats.programs.items():
        console.print(f"{node}:" if program.reasons else f"{node}: its program counts nothing", highlight=False)
        if program.reasons:
            console.print(_counts_table(program.reasons))
    if not stats.balancers and not stats.programs:
        say("netlab: no node of this lab carries a program")


def _backends_table(now: BalancerStats) -> Any:
    """Return who has how many threads; with what their reports say, where they may report."""
    heard = ("REPORTS", "LOST REQUESTS", "LOST COMPLETIONS", "DOUBLED COMPLETIONS") if now.report_port else ()
    table = tables.table("BACKEND", "FREE THREADS", "CAPACITY", "WEIGHT", *heard)
    for name, backend in now.backends.items():
        weight = "drained" if backend.drained else str(backend.weight)
        cells = (name, str(backend.free), str(backend.capacity), weight)
        table.add_row(*cells, *(_report_cells(backend.reports) if heard else ()))
    return table


def _report_cells(reports: Reporter | None) -> tuple[str, ...]:
    if reports is None:
        return "none so far", "", "", ""
    state = f"silent for {reports.heard_s:.1f} s" if reports.silent else "reporting"
    return state, *map(str, (reports.lost_requests, reports.lost_completions, reports.doubled_completions))


def _counts_table(reasons: Reasons) -> Any:
    table = tables.table("REASON", "PACKETS", "BYTES")
    for name, count in reasons.items():
        table.add_row(name, str(count.packets), str(count.bytes))
    return table
