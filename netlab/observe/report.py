"""Everything a person sees of a lab that stands: tables, lines, and the data behind them."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from netlab import paths
from netlab.console import say
from netlab.kernel import files
from netlab.lab import condition
from netlab.record import store
from netlab.supervise import logs

_NUMBERS = {  # columns that stand on the right
    "PACKETS", "BYTES", "PID", "CPU", "MEMORY", "FREE THREADS", "CAPACITY", "WEIGHT",
    "LOST REQUESTS", "LOST COMPLETIONS", "DOUBLED COMPLETIONS",
}  # fmt: skip
_MOST = 50  # problems in a table
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")


def status(lab: str) -> dict[str, Any]:
    """Return a lab's nodes with their interfaces and processes as plain data; needs no root.

    `state` is `up`, `half-built` or `not as planned`; `problems` are what is not, each with `where`, `what` and `mend`.
    `looked_inside` says that nodes were looked into, which takes root.
    """
    from netlab.lab import health

    found = health.examine(lab)
    state = ("not as planned" if found.problems else "up") if store.is_complete(lab) else "half-built"
    return {
        "lab": lab,
        "state": state,
        "topology": found.data.get("topology", ""),
        "nodes": _nodes(found.data) if found.data else {},
        "problems": [problem._asdict() for problem in found.problems],
        "looked_inside": found.is_whole,
    }


def _nodes(data: Mapping[str, Any]) -> dict[str, Any]:
    from netlab.lab import launch
    from netlab.supervise import client

    running = {entry.node: entry for entry in client.processes(data["folder"])}
    runtime = launch.runtime_of(data)
    return {
        name: {
            "kind": node["kind"],
            "role": node["role"],
            "program": node["program"]["name"] if node["program"] else "",
            "addresses": {port: about["addresses"] for port, about in node["interfaces"].items()},
            "process": (running.get(name) or client.Process(name, "not started"))._asdict()
            if node["process"]
            else None,
            "memory_kills": runtime.memory_kills(name),
        }
        for name, node in data["nodes"].items()
    }


def print_status(data: Mapping[str, Any]) -> None:
    """Print a lab's nodes as a table, and below it what is not as planned."""
    table = _table("NODE", "WHAT", "PROGRAM", "STATE", "PID", "CPU", "MEMORY", "ADDRESSES")
    for name, node in data["nodes"].items():
        addresses = ", ".join(each for port in node["addresses"].values() for each in port if ":" not in each)
        table.add_row(name, node["role"] or node["kind"], node["program"], *_process_cells(node["process"]), addresses)
    limited = not data["looked_inside"] and data["state"] != "half-built"
    state = "up, as far as can be seen without root" if limited and data["state"] == "up" else data["state"]
    _console().print(f"lab {data['lab']} is {state}, from {data['topology'] or 'no file'}", highlight=False)
    _console().print(table)
    for name, node in data["nodes"].items():
        if node["memory_kills"]:
            count = f"{node['memory_kills']} process{'' if node['memory_kills'] == 1 else 'es'}"
            print(f"{name}: its memory was used up, and the kernel has killed {count} there")
    for problem in data["problems"][:_MOST]:
        print(condition.Problem(**problem))
    if data["problems"][_MOST:]:
        print(f"… and {len(data['problems']) - _MOST} more: --format json has all")
    if limited:
        say(f"netlab: note: to look into the nodes takes root: sudo netlab status {data['lab']}")


def _process_cells(process: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    if process is None:
        return "", "", "", ""
    cpu = "" if process["cpu_percent"] is None else f"{process['cpu_percent']:.1f} %"
    memory = "" if process["rss_bytes"] is None else f"{process['rss_bytes'] / 1e6:.1f} MB"
    code = f" {process['code']}" if process["state"] in ("exited", "killed") else ""
    return process["state"] + code, str(process["pid"] or ""), cpu, memory


def stats(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the lab's programs count: `balancers.NODE` for balancers, `programs.NODE` for other programs."""
    from netlab import balancer

    found: dict[str, Any] = {"lab": data["lab"], "balancers": {}, "programs": {}}
    for name, node in data["nodes"].items():
        if not node["program"]:
            continue
        source = files.source(paths.source(data["folder"], name))
        if balancer.has_balancer(node["pins"]):
            found["balancers"][name] = _balancer(node["pins"], source)
        else:
            found["programs"][name] = {"reasons": _reasons(node["pins"], source, "reasons", "reason")}
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


def print_stats(data: Mapping[str, Any]) -> None:
    """Print what the programs count as tables."""
    console = _console()
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
    table = _table("BACKEND", "FREE THREADS", "CAPACITY", "WEIGHT", *heard)
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
    table = _table("REASON", "PACKETS", "BYTES")
    for name, count in reasons.items():
        table.add_row(name, str(count["packets"]), str(count["bytes"]))
    return table


def print_logs(data: Mapping[str, Any], nodes: Sequence[str], last: int | None, follow: bool, style: str) -> None:
    """Print what these nodes' processes printed, in the order of time, all or the `last` lines, as text or json."""
    _print_lines(data, logs.read(data["folder"], nodes, last=last, follow=follow), style)


def print_trace(data: Mapping[str, Any], last: int | None, follow: bool, style: str) -> None:
    """Print what this lab's programs printed, as the kernel has it: each line begins with LAB/NODE."""
    _print_lines(data, logs.read(data["folder"], [], trace=True, last=last, follow=follow), style, f"{data['lab']}/")


def _print_lines(data: Mapping[str, Any], lines: Iterable[logs.LogLine], style: str, prefix: str = "") -> None:
    width = max(map(len, data["nodes"]), default=0) if not prefix else 0
    colours = {node: _COLOURS[at % len(_COLOURS)] for at, node in enumerate(data["nodes"])}
    painted = sys.stdout.isatty()
    for line in _until_interrupted(lines):
        when = line.ns + data["clock_offset_ns"]
        if style == "json":
            about = {"time_ns": when, "monotonic_ns": line.ns, "node": line.node, "stream": line.stream}
            print(json.dumps({**about, "text": line.text}), flush=True)
            continue
        node = f"{prefix}{line.node:<{width}}"
        if painted:
            code = 31 + _COLOURS.index(colours.get(line.node, "red"))
            node = f"\x1b[{code}m{node}\x1b[0m"
        print(f"{_clock(when)} {node} {line.text}", flush=True)


def _until_interrupted(lines: Iterable[logs.LogLine]) -> Iterator[logs.LogLine]:
    """Yield lines until Ctrl-C, which is how a person ends what follows a log."""
    with suppress(KeyboardInterrupt):
        yield from lines


def _clock(wall_ns: int) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(wall_ns // 1_000_000_000))}.{wall_ns // 1000 % 1_000_000:06d}"


def _console() -> Any:
    from rich.console import Console

    # A pipe or a file is as wide as its lines: nothing is cut or folded there.
    return Console() if sys.stdout.isatty() else Console(width=10_000)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column in _NUMBERS
        table.add_column(column, justify="right" if right else "left")
    return table
