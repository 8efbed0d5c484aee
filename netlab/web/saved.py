"""Reads a saved run: the folder that `netlab demo --save` makes, or a file of JSON lines of timeline or events."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from netlab.demo import wordings
from netlab.errors import UsageError
from netlab.named_tuple import NamedTuple
from netlab.paths import node_of
from netlab.record import shapes
from netlab.record.model import LabRecord
from netlab.supervise.logs import LogLine
from netlab.web.moments import BalancerCounts, Counted, Moment, Told

TIMELINE, COUNTERS, RECORD = "timeline.jsonl", "counters.json", "lab" + ".json"
_MOST_BYTES = 1 << 30
_LIVES = {"started": "running", "ready": "running", "exited": "exited", "killed": "killed", "paused": "paused"}
_LIVES |= {"resumed": "running", "failed": "failed"}
_AT_THE_END = ("received", "forwarded", "queued", "dropped", "dequeued", "completions", "expired", "retried")


class Saved(NamedTuple):
    """A saved run: the lab, None where the file says nothing of it, and what has happened, in the order of time."""

    name: str
    record: LabRecord | None
    moments: tuple[Moment, ...]
    clock_offset_ns: int


def read(path: str) -> Saved:
    """Return a saved run; UsageError, with the place, if it is none."""
    folder = path if os.path.isdir(path) else ""
    lines = os.path.join(folder, TIMELINE) if folder else path
    try:
        record = _record(os.path.join(folder, RECORD)) if folder else None
        found = list(_lines(lines))
        moments: list[Moment] = [each for each, _ in found]
        if folder and moments and os.path.exists(os.path.join(folder, COUNTERS)):
            last = max(each.ns for each in moments)
            moments.append(_counted(_object(os.path.join(folder, COUNTERS)), last + 1))
    except OSError as error:
        raise UsageError(
            f"{path}: expected a folder of `netlab demo --save`, or JSON lines of `netlab timeline --save`:"
            f" {error.filename}: {error.strerror}"
        ) from error
    if not moments:
        raise UsageError(f"{lines}: expected lines of a timeline, found none")
    offset = found[0][1] - found[0][0].ns if found[0][1] else 0
    moments.sort(key=lambda each: each.ns)
    return Saved(os.path.basename(os.path.abspath(path)), record, tuple(moments), offset)


def told(ns: int, source: str, stream: str, text: str, life: str = "", record: Any = None) -> Told:
    """Return a line as a moment, with its event: of its record, or else of its wording, if it is one of a demo's."""
    event = wordings.of_record(stream, record)
    if event is None:
        event = wordings.parse(LogLine(ns, source, stream, text))
    life = life or (_LIVES.get(text.partition(" ")[0], "") if stream == "note" else "")
    return Told(ns, source, node_of(source), stream, text, event, life)


def counted(ns: int, stats: Mapping[str, Any]) -> Counted:
    """Return what `netlab stats --format json` shows as a moment."""
    balancers = {key: _balancer(each) for key, each in stats["balancers"].items()}
    reasons = {
        key: {name: count["packets"] for name, count in each["reasons"].items() if count["packets"]}
        for part in ("balancers", "programs")
        for key, each in stats[part].items()
    }
    return Counted(ns, balancers, reasons)


def _balancer(each: Mapping[str, Any]) -> BalancerCounts:
    free = {name: backend["free"] for name, backend in each["backends"].items()}
    capacity = {name: backend["capacity"] for name, backend in each["backends"].items()}
    counters = {name: each[name] for name in _AT_THE_END if name in each}
    return BalancerCounts(free, capacity, each["queue_depth"], each["queue_capacity"], counters)


def _record(path: str) -> LabRecord:
    data = _object(path)
    data.pop("format", None)  # a picture needs less than what the number stands for
    try:
        return shapes.read(LabRecord, data, is_part=True)
    except shapes.MisfitError as error:
        raise UsageError(f"{path}: {error}; it was saved by another version of netlab") from error


def _object(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: expected JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected a JSON object, found {str(found)[:40]!r}")
    return found


def _counted(stats: Mapping[str, Any], ns: int) -> Counted:
    try:
        return counted(ns, stats)
    except (LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{COUNTERS}: expected what `netlab stats --format json` prints: {error!r}") from error


def _lines(path: str) -> Iterator[tuple[Told, int]]:
    """Yield the lines of a file, each with its time of the epoch."""
    with open(path, encoding="utf-8", errors="replace") as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            raise UsageError(f"{path}: expected a file of at most {_MOST_BYTES >> 20:,} MiB")
        for number, text in enumerate(file, 1):
            if text.strip():
                try:
                    yield _line(json.loads(text))
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                    raise UsageError(
                        f"{path}: line {number}: expected a line of `netlab timeline --format json`, found"
                        f" {text[:60].strip()!r}"
                    ) from error


def _line(data: Mapping[str, Any]) -> tuple[Told, int]:
    """Return a line of any of the three forms."""
    ns = int(data["ns"] if "ns" in data else data["monotonic_ns"])
    source = next((data[key] for key in ("source", "program", "process", "about", "node") if data.get(key)), "")
    kind = data.get("kind", "")
    stream = data.get("stream", kind)
    if not isinstance(stream, str) or not stream or not isinstance(source, str):
        raise ValueError("it says not what it is of")
    if kind in ("started", "ready", "exited", "failed", "paused", "resumed", "restarting", "followed"):
        return told(ns, source, "note", str(data["text"]), _LIVES.get(kind, "")), int(data["time_ns"])
    record = data if "values" in data else data.get("data")  # of a saved play, or of timeline and events
    return told(ns, source, stream, str(data["text"]), record=record), int(data["time_ns"])
