"""`netlab maps --follow`: the events of programs, as they come."""

import json
from collections.abc import Callable
from contextlib import suppress

from netlab import paths
from netlab.cli import typed
from netlab.errors import UsageError
from netlab.observe import event_lines, event_view, following
from netlab.observe.event_view import Told
from netlab.observe.log_view import clock
from netlab.record.model import LabRecord

VERSION = 1  # of the JSON lines; it changes when a field is removed or gets another meaning
_MOST_WORDS = 2


def follow(lab: LabRecord, args: typed.Maps, say: Callable[[str], None]) -> None:
    """Show events until Ctrl-C, for as long as was asked, or until the lab is down."""
    if len(args.target) > _MOST_WORDS:
        raise UsageError(f"maps --follow takes NODE and MAP, found {' '.join(args.target)}")
    if args.watch:
        raise UsageError("expected --follow, for events, or --watch, for entries; found both")
    maps = event_view.choose(lab, *args.target)
    shown = _data if args.format == "json" else _text
    with suppress(KeyboardInterrupt):
        words = f"netlab: {lab.lab}: events of {', '.join('/'.join(each) for each in maps)}, until Ctrl-C"
        for told in event_view.follow(lab, maps, args.duration, begun=lambda: say(words)):
            print(shown(lab, told), flush=True)
        if following.is_down(lab):
            say(f"netlab: {lab.lab} is down")


def _text(lab: LabRecord, told: Told) -> str:
    time = clock(told.ns + lab.clock_offset_ns)
    if told.kind == "lost":
        return f"{time}  {told.what['text']}"
    return f"{time}  {told.what['program']}/{event_lines.text(told.what)}"


def _data(lab: LabRecord, told: Told) -> str:
    about = {"version": VERSION, "kind": told.kind, "time_ns": told.ns + lab.clock_offset_ns, "monotonic_ns": told.ns}
    node = {"node": paths.node_of(told.what["program"])} if "program" in told.what else {}
    return json.dumps({**about, **node, **told.what})
