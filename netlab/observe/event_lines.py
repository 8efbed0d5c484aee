"""Events of programs as lines: from the log, and from what the supervisor tells."""

import json
from typing import Any

from netlab.programs.shown_values import line as in_a_line
from netlab.supervise.log_reader import LogLine

_DIGITS = 2 + 2 * 64  # of bytes, in a line


def raw(told: dict[str, Any]) -> LogLine:
    """Return an event that the supervisor tells, as it is in the log."""
    what = {name: value for name, value in told.items() if name not in ("kind", "ns", "node", "program")}
    return LogLine(told["ns"], told["program"], "event", json.dumps(what))


def worded(line: LogLine) -> LogLine:
    """Return a line as it is; an event with a text for people, and its JSON as data."""
    if line.stream != "event":
        return line
    try:
        return line._replace(text=text(json.loads(line.text)), data=line.text)
    except (ValueError, LookupError, TypeError):  # damaged
        return line


def text(event: dict[str, Any]) -> str:
    """Return an event in words: its map, its CPU if that is known, its type, and its fields."""
    where = event["map"] if event["cpu"] is None else f"{event['map']} (cpu {event['cpu']})"
    if event["type"] is None:
        return f"{where}: {event['size']:,} bytes {_digits(event['value'])}"
    rest = f", and after it {_digits(event['rest'])}" if "rest" in event else ""
    return f"{where}: {event['type']} {in_a_line(event['value'])}{rest}"


def _digits(value: str) -> str:
    return value if len(value) <= _DIGITS else f"{value[:_DIGITS]}…"
