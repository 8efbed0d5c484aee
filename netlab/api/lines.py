"""What happens in a lab, as events: `Lab.events`, `Lab.wait_for`."""

import re
import time
from collections.abc import Iterator, Sequence

from netlab.errors import NetlabError, TimeLimitError, UsageError
from netlab.observe import timeline
from netlab.observe.events import Event
from netlab.record import store
from netlab.record.model import LabRecord
from netlab.supervise import talk

_LOOK_S = 0.02
_SHOWN = 8  # lines in a message


def read(
    lab: LabRecord, sources: Sequence[str], since_ns: int, pattern: str, follow: bool, interval_s: float = 0.0
) -> Iterator[Event]:
    """Yield the events of these nodes and processes (all, if none is named), from a time on, that contain a pattern."""
    return timeline.read(lab, timeline.choose(lab, sources, since_ns, _compiled(pattern)), follow, interval_s)


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
            if event.kind != "checked":  # a check may name the pattern
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
