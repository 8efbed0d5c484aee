"""`netlab programs`: the programs of a lab as a table, or as data."""

import time

from netlab.cli import json_data, tables, typed
from netlab.cli.console import say
from netlab.lab.standing import Standing
from netlab.observe import program_view
from netlab.observe.program_view import ProgramView
from netlab.words import few


def show(lab: Standing, args: typed.Programs) -> None:
    """Show the programs of a lab, or those that NODE or NODE/NAME means."""
    found = program_view.read(lab.record, args.node or "", args.duration or 0)
    if args.format == "json":
        json_data.show({"programs": found})
        return
    if not found:
        say(f"netlab: {args.node or 'no node of this lab'} carries {'no' if args.node else 'a'} program")
        return
    runs = ("RUNS", "RUNS/S", "NS/RUN")
    table = tables.table(
        *("NODE", "PROGRAM", "FUNCTION", "INTERFACES", "HOOK", "ID", "INSTRUCTIONS", "XLATED", "JITED", "SINCE"),
        *(runs if args.duration else ()),
    )
    for each in found:
        table.add_row(*_cells(each), *(_measured(each) if args.duration else ()))
    tables.show(table)
    if not args.duration:
        say("netlab: note: --for SECONDS counts runs and their time")


def _cells(each: ProgramView) -> tuple[str, ...]:
    return (
        each.node,
        each.program,
        each.function,
        few(each.interfaces) or "not attached",
        f"{each.hook} {each.mode}".rstrip(),
        str(each.id),
        str(each.instructions),
        f"{each.xlated_bytes} B",
        f"{each.jited_bytes} B",
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.since)),
    )


def _measured(each: ProgramView) -> tuple[str, ...]:
    if not each.measured:
        return "", "", ""
    seconds, runs, ns_per_run = each.measured
    return str(runs), f"{runs / seconds:,.1f}", "" if ns_per_run is None else f"{ns_per_run:,.0f}"
