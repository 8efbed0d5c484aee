"""What has been printed in a lab and what has happened there, as data: `Lab.events`, `Lab.wait_for`."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from netlab.errors import NetlabError, TimeLimitError, UsageError
from netlab.named_tuple import NamedTuple
from netlab.observe import timeline
from netlab.record import store
from netlab.record.model import LabRecord
from netlab.supervise import talk
from netlab.supervise.logs import LogLine

_LOOK_S = 0.02
_SHOWN = 8  # lines in a message


class Event(NamedTuple):
    """A line of a lab's timeline (docs/supervisor.md).

    `monotonic_ns` is CLOCK_MONOTONIC, `time_ns` the same moment in nanoseconds of the epoch. `source` is the process or
    program, NODE or NODE/NAME. `stream` is `out`, `err`, `note` (what happens to a process), `trace` (print statements
    of programs), `event` (of their maps), `xdp` (what the kernel has lost) or `lost` (lines that came too fast).
    `data` is what an event of a map contains, None for all others.
    """

    monotonic_ns: int
    time_ns: int
    node: str
    source: str
    stream: str
    text: str
    data: Any = None


def read(lab: LabRecord, sources: Sequence[str], since_ns: int, pattern: str, follow: bool) -> Iterator[Event]:
    """Yield the lines of these nodes and processes (all, if none is named), from a time on, that contain a pattern."""
    return _read(lab, timeline.choose(lab, sources, since_ns, _compiled(pattern)), follow)


def _read(lab: LabRecord, chosen: timeline.Chosen, follow: bool) -> Iterator[Event]:
    for line in timeline.read(lab, chosen, follow):
        yield _event(lab, line)


def wait_for(lab: LabRecord, pattern: str, sources: Sequence[str], since_ns: int, timeout: float) -> Event:
    """Return the first line that contains a pattern; TimeLimitError, with the last lines, if none comes in time.

    NetlabError if the lab goes meanwhile.
    """
    until = time.monotonic() + timeout
    while True:
        is_over = time.monotonic() >= until
        if lab.lab not in store.labs():
            raise NetlabError(f"{lab.lab} is not up any more")
        catch_up(lab)
        for event in read(lab, sources, since_ns, pattern, follow=False):
            return event
        if is_over:
            break
        time.sleep(_LOOK_S)
    last = [f"  {each.source}: {each.text}" for each in read(lab, sources, 0, "", follow=False)][-_SHOWN:]
    where = f" from {', '.join(sources)}" if sources else ""
    seen = "\n".join(["the last lines are:", *last]) if last else "nothing was printed"
    raise TimeLimitError(f"no line{where} with {pattern!r} within {timeout:g} s; {seen}")


def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UsageError(f"expected a regular expression, found {pattern!r}: {error}") from None


def catch_up(lab: LabRecord) -> None:
    """Let the supervisor write down what was printed until now."""
    if not lab.has_supervisor:
        return
    with talk.to(lab.folder) as supervisor:
        for _ in range(2):  # what processes print is in the logs when it answers again
            supervisor.ask("state")


def _event(lab: LabRecord, line: LogLine) -> Event:
    data = json.loads(line.data) if line.data else None
    return Event(line.ns, line.ns + lab.clock_offset_ns, line.node, line.source, line.stream, line.text, data)
