"""The verb `status`: once, or again and again."""

import time
from contextlib import suppress

from netlab.cli import json_data, state, typed
from netlab.cli.console import redraw, say
from netlab.errors import NetlabError
from netlab.lab import removal
from netlab.observe import status as observed
from netlab.record import shapes, store


def status(args: typed.Status) -> int:
    """Show the state of the lab that is meant; exit code 1 when it is not as planned."""
    lab = removal.find(args.lab)
    if not lab:
        if args.format == "json":
            json_data.show({"lab": None, "state": "down", "nodes": {}, "problems": []})
        else:
            say("netlab: no lab is up")
        return 0
    return _watch(lab, args) if args.watch else _once(lab, args)


def _once(lab: str, args: typed.Status) -> int:
    found = observed.read(lab)
    if args.format == "json":
        json_data.show(found)
        return 1 if found.problems else 0
    for line in state.lines(found, is_wide=args.wide):
        print(line)
    if not found.looked_inside and found.state != "half-built":
        say(f"netlab: note: to look into the nodes takes root: sudo netlab status {lab}")
    return 1 if found.problems else 0


def _watch(lab: str, args: typed.Status) -> int:
    """Show it until Ctrl-C, or until the lab is gone."""
    with suppress(KeyboardInterrupt):
        while lab in store.labs():
            try:
                found = observed.read(lab)
            except (NetlabError, OSError):
                if lab in store.labs():
                    raise
                break  # it has just been removed
            if args.format == "json":
                print(json_data.line(shapes.plain(found)), flush=True)
            else:
                redraw(state.lines(found, is_wide=args.wide))
            time.sleep(args.every)
        say(f"netlab: {lab} is not up any more")
    return 0
