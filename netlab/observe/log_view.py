"""What roles and programs of a lab have printed, line by line, as text for people or as JSON."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress

from netlab.errors import NetlabError
from netlab.observe.painter import Painter
from netlab.record.model import LabRecord
from netlab.supervise.logs import LogLine, read

VERSION = 1  # of the JSON lines


def of_processes(
    lab: LabRecord, keys: Sequence[str], last: int | None, follow: bool, style: str, paint: Painter
) -> Iterator[str]:
    """Yield what these processes printed, in the order of time, all or the `last` lines, as text or json."""
    return _worded(lab, read(lab.folder, keys, last=last, follow=follow), style, paint)


def of_programs(lab: LabRecord, last: int | None, follow: bool, style: str, paint: Painter) -> Iterator[str]:
    """Yield what this lab's programs have printed; each line begins with LAB/KEY, as in the kernel's trace.

    Among it is what has gone wrong with XDP, as lines of the kernel's.
    """
    found = read(lab.folder, [], trace=True, last=last, follow=follow)
    with _reading(lab.folder) if follow else nullcontext():
        yield from _worded(lab, found, style, paint, f"{lab.lab}/")


@contextmanager
def _reading(folder: str) -> Iterator[None]:
    """Let the supervisor know that somebody reads, so that more is counted; without root nobody can."""
    from netlab.supervise import talk

    with ExitStack() as held:
        with suppress(NetlabError, OSError):
            held.enter_context(talk.to(folder)).ask("watch", kinds=["xdp"])
        yield


def _worded(lab: LabRecord, lines: Iterable[LogLine], style: str, paint: Painter, prefix: str = "") -> Iterator[str]:
    width = max(map(len, (*lab.nodes, *(key for key, _ in lab.processes()))), default=0) if not prefix else 0
    numbers = {node: at for at, node in enumerate(lab.nodes)}
    for line in lines:
        when = line.ns + lab.clock_offset_ns
        if style == "json":
            about = {"time_ns": when, "monotonic_ns": line.ns, "node": line.node, "stream": line.stream}
            whose = {"program" if prefix else "process": line.source}
            yield json.dumps({"version": VERSION, **about, **whose, "text": line.text})
            continue
        source = f"{prefix}{line.source:<{width}}"
        text = f"kernel: {line.text}" if line.stream == "xdp" else line.text
        who = paint.node(source, numbers[line.node]) if line.node in numbers else paint.kernel(source)
        yield f"{clock(when)} {who} {text}"


def clock(wall_ns: int) -> str:
    """Return a time of day, to the microsecond."""
    return f"{time.strftime('%H:%M:%S', time.localtime(wall_ns // 1_000_000_000))}.{wall_ns // 1000 % 1_000_000:06d}"
