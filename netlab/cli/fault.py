"""`netlab fault`: plays a time line of faults in the foreground, or restores what one has left."""

import signal
from collections.abc import Callable, Sequence

from netlab.cli import chosen, json_data, typed
from netlab.errors import TopologyError, UsageError
from netlab.kernel.signals import ENDINGS
from netlab.lab import fault_state
from netlab.lab import faults as player
from netlab.record.model import LabRecord
from netlab.topology.faults import Fault
from netlab.words import count

Say = Callable[[str], None]
_WIDTH = 9  # of a time, as 1234.567s


def operate(args: typed.Fault, say: Say) -> int:
    """Do `run` or `restore`; return the exit code: 1 if a fault could not be done, 128 + N if signal N stopped it."""
    lab = chosen.standing(args)
    screen = _Screen(lab.record, args.format)
    if args.action == "restore":
        if args.file or args.keep:
            raise UsageError("fault restore takes neither a file nor --keep: it restores all that is in force")
        played = player.restore(lab, screen.tell)
        say(f"netlab: {lab.record.lab}: {count(screen.count, 'fault')} restored" if screen.count else _NOTHING)
        return 1 if played.failed else 0
    time_line = _time_line(lab.record, args.file)
    player.check(lab, time_line)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    played = player.run(lab, time_line, screen.tell, screen.stop, keep=args.keep)
    _say_end(lab.record, played, say)
    return 128 + screen.stopped_by if screen.stopped_by else 1 if played.failed else 0


_NOTHING = "netlab: no fault is in force"


def _say_end(record: LabRecord, played: player.Played, say: Say) -> None:
    how = "stopped" if played.stopped else "done"
    failed = f"; {count(played.failed, 'fault')} could not be done" if played.failed else ""
    state = fault_state.read(record.folder)
    left = "; what is in force stays so until netlab fault restore" if state and not state.is_empty else ""
    say(f"netlab: {record.lab}: the time line is {how}{failed}{left}")


def _time_line(record: LabRecord, file: str | None) -> Sequence[Fault]:
    """Return the time line of a file, or of the lab's topology; TopologyError has all mistakes of the file."""
    if file is None:
        if not record.faults:
            raise UsageError(f"the topology of {record.lab} has no faults: netlab fault run FILE plays those of a file")
        return player.planned(record)
    from netlab.lab import known
    from netlab.topology import document
    from netlab.topology.validate import time_line
    from netlab.topology.validate.findings import Findings

    written = document.load(file, what="a file of faults")
    findings = Findings(written)
    found = time_line.read_file(known.of(record), findings, written.root)
    if findings or found is None:
        raise TopologyError(file, findings.mistakes())
    return found


class _Screen:
    """Prints what happens, and hears the signals that end a time line; they wait, blocked, until they are asked for."""

    def __init__(self, record: LabRecord, style: str) -> None:
        self.count = 0
        self.stopped_by = 0
        self._record = record
        self._style = style
        self._is_closed = False

    def tell(self, happened: player.Happened) -> None:
        """Print a line; when nobody reads it any more, the time line is stopped."""
        self.count += 1
        try:
            print(self._line(happened), flush=True)
        except BrokenPipeError:
            self._is_closed = True

    def stop(self, seconds: float) -> bool:
        """Wait so long, and say whether to stop."""
        if not self.stopped_by and (heard := signal.sigtimedwait(ENDINGS, seconds)):
            self.stopped_by = heard.si_signo
        return bool(self.stopped_by) or self._is_closed

    def _line(self, happened: player.Happened) -> str:
        if self._style == "text":
            return f"{happened.since_ns / 1e9:>{_WIDTH - 1}.3f}s  {happened.text}"
        fault = happened.fault
        about = {"do": fault.do, "target": fault.target or None, "text": happened.text}
        times = {
            "since_s": happened.since_ns / 1e9,
            "time_ns": happened.ns + self._record.clock_offset_ns,
            "monotonic_ns": happened.ns,
        }
        how = {"done": not happened.problem, "problem": happened.problem or None, "remark": happened.remark or None}
        return json_data.line({**times, **about, **how, "ends": happened.ends, "restores": happened.restores})
