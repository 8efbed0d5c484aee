"""`netlab maps --watch`: what changes in a map, and how fast."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from netlab.cli import json_data, typed
from netlab.cli.maps import short
from netlab.lab import map_changes
from netlab.lab.standing import Standing
from netlab.named_tuple import NamedTuple
from netlab.observe import map_view
from netlab.observe.map_view import EntryView, Viewer
from netlab.programs.shown_values import line

_SHORTEST_S = 1e-3
_PARTS = 12  # of a value that are told on one line


class MapChange(NamedTuple):
    """A key whose value is another than before: `what` is changed, new or gone. Rates are by the path of a number."""

    time: float
    key: Any
    what: str
    before: Any
    value: Any
    per_second: dict[str, float]


def watch(lab: Standing, args: typed.Maps, called: str, name: str, key: str | None = None) -> None:
    """Show what changes in a map, or at one of its keys, until Ctrl-C or for as long as was asked."""
    program = map_view.program_with(lab.record, called, name)
    with Viewer(lab.record, program) as viewer, suppress(KeyboardInterrupt):
        of = viewer.of(name)
        only = map_changes.key_of(lab, program, of, key) if key is not None else None

        def read() -> dict[str, EntryView]:
            entries = viewer.entries(of, args.limit, only)
            return {line(entry.key): entry for entry in entries}

        began = at = time.monotonic()
        before = read()
        while (left := _left(args, began)) > 0:
            time.sleep(min(args.every, left))
            now, then = read(), time.monotonic()
            for change in changes(before, now, then - began, max(then - at, _SHORTEST_S)):
                print(json_data.line(change._asdict()) if args.format == "json" else _text(change), flush=True)
            before, at = now, then


def _left(args: typed.Maps, began: float) -> float:
    return args.every if args.duration is None else began + args.duration - time.monotonic()


def changes(
    before: dict[str, EntryView], now: dict[str, EntryView], at_s: float, passed_s: float
) -> Iterator[MapChange]:
    """Yield what has changed in `passed_s` seconds, at `at_s`."""
    at_s = round(at_s, 3)
    for key, entry in now.items():
        old = before.get(key)
        if old and old.value == entry.value and old.per_cpu == entry.per_cpu:
            continue
        earlier = dict(_leaves("", old.value)) if old else {}
        rates = {
            path: round((number - earlier.get(path, 0)) / passed_s, 3)
            for path, number in _leaves("", entry.value)
            if isinstance(number, int) and number != earlier.get(path, 0)
        }
        yield MapChange(at_s, entry.key, "changed" if old else "new", old.value if old else None, entry.value, rates)
    for key, entry in before.items():
        if key not in now:
            yield MapChange(at_s, entry.key, "gone", entry.value, None, {})


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the single values in a value, with their paths."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _leaves(f"{path}[{number}]", each)
    else:
        yield path, value


def _text(change: MapChange) -> str:
    head = f"{change.time:9.3f}  {'next' if change.key is None else line(change.key)}:"
    if change.what == "gone":
        return f"{head} gone, was {short(change.before)}"
    if change.what == "new":
        return f"{head} new, {short(change.value)}"
    before = dict(_leaves("", change.before))
    parts = []
    for path, value in _leaves("", change.value):
        if value != before.get(path):
            rate = f" ({change.per_second[path]:+g}/s)" if path in change.per_second else ""
            parts.append(f"{path} {short(before.get(path))} → {short(value)}{rate}".lstrip())
    if parts[_PARTS:]:
        parts[_PARTS:] = [f"and {len(parts) - _PARTS} more"]
    return f"{head} {', '.join(parts) or 'changed on a CPU, with the same sum'}"
