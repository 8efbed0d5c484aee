"""The verbs that show lines: logs, trace, timeline and events."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, TextIO

from netlab.cli import chosen, new_file, show, typed
from netlab.cli.console import Painted, say
from netlab.errors import UsageError
from netlab.observe import log_view
from netlab.observe.events import Event
from netlab.observe.painter import Plain
from netlab.record import named, store

_AS_JSON = (".json", ".jsonl")


def logs(args: typed.Logs) -> None:
    """Show what processes printed."""
    lab = store.read(store.choose(args.lab))
    called = [key for words in args.processes for key in named.logs(lab, words)]
    keys = list(dict.fromkeys(called)) if args.processes else list(lab.logs())
    show.lines(log_view.of_processes(lab, keys, args.lines, args.follow, args.format, Painted()))


def trace(args: typed.Trace) -> None:
    """Show what programs printed."""
    lab = store.read(store.choose(args.lab))
    show.lines(log_view.of_programs(lab, args.lines, args.follow, args.format, Painted()))


def timeline(args: typed.Timeline) -> None:
    """Show everything that was printed or has happened; save it, if wanted, in a new file."""
    name = store.choose(args.lab)
    if args.follow:
        chosen.elevate(args, name)
    from netlab.observe import timeline as observed

    lab = store.read(name)
    since_ns = args.since_ns - lab.clock_offset_ns if args.since_ns else 0
    wanted = observed.choose(lab, args.processes, since_ns, args.grep)
    lines = observed.read(lab, wanted, args.follow)
    shown = observed.form(lab, args.format, Painted())
    with _new_file(args.save) if args.save is not None else nullcontext() as file:
        if file is None:
            show.lines(map(shown, lines))
            return
        as_json = args.save.endswith(_AS_JSON) if args.save else False
        kept = observed.form(lab, "json" if as_json else "text", Plain())
        try:
            show.lines(_saved(lines, shown, kept, file))
        except BrokenPipeError:  # whoever reads our output has seen enough; the file is to have all there is now
            if not args.follow:
                for line in lines:
                    print(kept(line), file=file)
            raise


def events(args: typed.Events) -> None:
    """Show everything that happens in a lab, of every kind; say when the lab is down."""
    name = store.choose(args.lab)
    if args.interval and not args.follow:
        raise UsageError("--interval tells rates as they come: expected -f, too")
    if args.follow:
        chosen.elevate(args, name)
    from netlab.observe import events as observed
    from netlab.observe.following import is_down

    lab = store.read(name)
    since_ns = args.since_ns - lab.clock_offset_ns if args.since_ns else 0
    shown = observed.as_json if args.format == "json" else observed.form(lab, Painted())
    show.lines(map(shown, observed.read(lab, follow=args.follow, since_ns=since_ns, interval_s=args.interval)))
    if args.follow and is_down(lab):
        say(f"netlab: {name} is down")


VERBS: dict[str, Callable[[Any], None]] = {"logs": logs, "trace": trace, "timeline": timeline, "events": events}


def _saved(
    lines: Iterator[Event], shown: Callable[[Event], str], kept: Callable[[Event], str], file: TextIO
) -> Iterator[str]:
    """Write lines into a file, and yield them as they are to be shown."""
    for line in lines:
        print(kept(line), file=file)
        yield shown(line)


def _new_file(path: str) -> TextIO:
    """Make a file for `--save`."""
    return open(new_file.descriptor(path, "--save"), "w", encoding="utf-8", buffering=1)
