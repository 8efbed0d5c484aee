"""What the programs of a lab count."""

from typing import Any

from netlab import paths
from netlab.kernel import files
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
