"""What the programs of a lab count: as data, and as tables."""

from collections.abc import Mapping
from typing import Any

from netlab import paths
from netlab.console import say
from netlab.kernel import files
from netlab.observe import tables
from netlab.programs import headers
from netlab.record.model import LabRecord


def read(lab: LabRecord) -> dict[str, Any]:
    """Return what the lab's programs count: `balancers.NODE` for balancers, `programs.NODE` for other programs."""
    from netlab import balancer

    found: dict[str, Any] = {"lab": lab.lab, "balancers": {}, "programs": {}}
    for name, node in lab.nodes.items():
        if not node.program:
            continue
        source = headers.with_included(node.program.path, files.source(paths.source(lab.folder, name)))
        if balancer.has_balancer(node.pins):
            found["balancers"][name] = _balancer(node.pins, source)
        else:
            found["programs"][name] = {"reasons": _reasons(node.pins, source, "reasons", "reason")}
    return found


def _balancer(pins: str, source: str) -> dict[str, Any]:
    from netlab import balancer

    now = balancer.snapshot(pins)
    reports = {name: each and each._asdict() for name, each in balancer.reporters(pins).items()}
    return {
        "ready": now.ready,
        **now.counters,
        "queue_depth": now.depth,
        "queue_capacity": now.queue,
        "policy": now.policy,
        "report_port": now.report_port,
        "holds": now.holds,
        "backends": {
            name: {
                "free": now.free[name],
                "capacity": now.capacity[name],
                "weight": now.weights[name],
                "drained": name in now.drained,
                "reports": reports[name],
            }
            for name in now.capacity
        },
        "reasons": _reasons(pins, source, "reasons", "reason"),
        "carriers": _reasons(pins, source, "carrier_reasons", "carrier_reason"),
    }


def _reasons(pins: str, source: str, map_name: str, enum: str) -> dict[str, dict[str, int]]:
    import os

    from netlab import balancer

    if not os.path.exists(paths.map_pin(pins, map_name)):  # a program need not count
        return {}
    names = balancer.enum_names(source, enum)
    return {name: count._asdict() for name, count in balancer.counts(pins, map_name, names)}


def show(data: Mapping[str, Any]) -> None:
    """Print what the programs count as tables."""
    console = tables.console()
    for node, now in data["balancers"].items():
        if not now["ready"]:
            console.print(f"{node}: its balancer is not set up: no role has done so yet", highlight=False)
            continue
        held = f"; {now['held']} held, {now['retried']} retried, {now['unheld']} not held" if now["holds"] else ""
        console.print(
            f"{node}: {now['received']} requests received: {now['forwarded']} forwarded at once, "
            f"{now['queued']} queued, {now['dropped']} dropped; {now['dequeued']} sent out of the queue, "
            f"{now['queue_depth']} of {now['queue_capacity']} waiting; {now['completions']} completions; "
            f"policy {now['policy']}{held}",
            highlight=False,
        )
        console.print(_backends_table(now))
        console.print(_counts_table({**now["reasons"], **now["carriers"]}))
    for node, now in data["programs"].items():
        console.print(f"{node}:" if now["reasons"] else f"{node}: its program counts nothing", highlight=False)
        if now["reasons"]:
            console.print(_counts_table(now["reasons"]))
    if not data["balancers"] and not data["programs"]:
        say("netlab: no node of this lab carries a program")


def _backends_table(now: Mapping[str, Any]) -> Any:
    """Return who has how many threads; with what their reports say, where they may report."""
    heard = ("REPORTS", "LOST REQUESTS", "LOST COMPLETIONS", "DOUBLED COMPLETIONS") if now["report_port"] else ()
    table = tables.table("BACKEND", "FREE THREADS", "CAPACITY", "WEIGHT", *heard)
    for name, backend in now["backends"].items():
        weight = "drained" if backend["drained"] else str(backend["weight"])
        cells = (name, str(backend["free"]), str(backend["capacity"]), weight)
        table.add_row(*cells, *(_report_cells(backend["reports"]) if heard else ()))
    return table


def _report_cells(reports: Mapping[str, Any] | None) -> tuple[str, ...]:
    if reports is None:
        return "none so far", "", "", ""
    state = f"silent for {reports['heard_s']:.1f} s" if reports["silent"] else "reporting"
    return state, *(str(reports[name]) for name in ("lost_requests", "lost_completions", "doubled_completions"))


def _counts_table(reasons: Mapping[str, Mapping[str, int]]) -> Any:
    table = tables.table("REASON", "PACKETS", "BYTES")
    for name, count in reasons.items():
        table.add_row(name, str(count["packets"]), str(count["bytes"]))
    return table
