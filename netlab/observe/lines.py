"""What roles and programs of a lab have printed, line by line: `netlab logs` and `netlab trace`."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from netlab.record.model import LabRecord
from netlab.supervise import logs

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")


def show_logs(lab: LabRecord, nodes: Sequence[str], last: int | None, follow: bool, style: str) -> None:
    """Print what these nodes' processes printed, in the order of time, all or the `last` lines, as text or json."""
    _print_lines(lab, logs.read(lab.folder, nodes, last=last, follow=follow), style)


def show_trace(lab: LabRecord, last: int | None, follow: bool, style: str) -> None:
    """Print what this lab's programs printed, as the kernel has it: each line begins with LAB/NODE."""
    _print_lines(lab, logs.read(lab.folder, [], trace=True, last=last, follow=follow), style, f"{lab.lab}/")


def _print_lines(lab: LabRecord, lines: Iterable[logs.LogLine], style: str, prefix: str = "") -> None:
    width = max(map(len, lab.nodes), default=0) if not prefix else 0
    colours = {node: _COLOURS[at % len(_COLOURS)] for at, node in enumerate(lab.nodes)}
    painted = sys.stdout.isatty()
    for line in _until_interrupted(lines):
        when = line.ns + lab.clock_offset_ns
        if style == "json":
            about = {"time_ns": when, "monotonic_ns": line.ns, "node": line.node, "stream": line.stream}
            print(json.dumps({**about, "text": line.text}), flush=True)
            continue
        node = f"{prefix}{line.node:<{width}}"
        if painted:
            code = 31 + _COLOURS.index(colours.get(line.node, "red"))
            node = f"\x1b[{code}m{node}\x1b[0m"
        print(f"{_clock(when)} {node} {line.text}", flush=True)


def _until_interrupted(lines: Iterable[logs.LogLine]) -> Iterator[logs.LogLine]:
    """Yield lines until Ctrl-C, which is how a person ends what follows a log."""
    with suppress(KeyboardInterrupt):
        yield from lines


def _clock(wall_ns: int) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(wall_ns // 1_000_000_000))}.{wall_ns // 1000 % 1_000_000:06d}"
