"""`netlab capture`: packets at interfaces, as lines of text or JSON, or as pcapng into files or a pipe."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

from netlab.cli import chosen, new_file, typed
from netlab.cli.console import Painted, is_terminal, say
from netlab.cli.values import WORDS_OF_FILTERS
from netlab.errors import UsageError
from netlab.kernel import signals
from netlab.kernel.signals import Noticed
from netlab.observe import capturing, packet_text
from netlab.observe.capture_file import CaptureFile, Rotation
from netlab.observe.capturing import Capturing
from netlab.observe.outlet import Outlet
from netlab.observe.packet_filter import PacketFilter
from netlab.observe.seen import Seen
from netlab.record.model import LabRecord
from netlab.words import count, few

_DIGITS = 5  # of the number of a file


class _Lines:
    """Shows packets as lines; see CaptureFile for the methods."""

    def __init__(self, of: Capturing, outlet: Outlet, style: str) -> None:
        self._capture, self._outlet, self._style, self._paint = of, outlet, style, Painted()
        self._width = max(len(f"{node}:{name}") for node, name in of.places)
        self.packets = 0

    def begin(self) -> None:
        """Do nothing."""

    def take(self, batch: list[Seen]) -> None:
        """Show packets."""
        self.packets += len(batch)
        self._outlet.write("".join(f"{self._shown(seen)}\n" for seen in batch).encode(errors="replace"))

    def end(self) -> None:
        """Do nothing."""

    def _shown(self, seen: Seen) -> str:
        ahead = self._capture.ahead_ns
        if self._style == "json":
            return json.dumps(packet_text.data(seen, ahead))
        return packet_text.line(seen, ahead, self._width, self._paint)


def capture(args: typed.Capture) -> None:
    """Capture packets until Ctrl-C, for as long or as many as was asked, or until the lab is down."""
    if args.rotate and args.write in (None, "-"):
        raise UsageError("--rotate: expected -w FILE, whose name the files get")
    lab = chosen.standing(args)
    places, words = capturing.places(lab.record, args.filter)
    wanted = _wanted(lab.record, args.filter[: len(args.filter) - len(words)], words)
    with capturing.opened(lab, places, wanted, say, with_verdicts=args.verdicts) as made, signals.noticed() as stop:
        sink, outlets = _sink(args, made, stop)
        with suppress(BrokenPipeError):  # whoever reads has seen enough
            sink.begin()
            what = ", with verdicts" if args.verdicts else ""
            say(f"netlab: {lab.record.lab}: capturing at {count(len(places), 'interface')}{what}, until Ctrl-C")
            for batch in _limited(made, stop, args):
                sink.take(batch)
            if args.count is None or sink.packets < args.count:
                for batch in made.rest():
                    sink.take(batch)
            sink.end()
        made.tell_no_more()
        _report(made, sink.packets, outlets)


def _wanted(record: LabRecord, chosen_first: list[str], words: list[str]) -> PacketFilter | None:
    """Return the filter that these words are; say which words before it are nodes, though filters have them, too."""
    for word in chosen_first:
        if word in WORDS_OF_FILTERS:
            way = f"a filter stands in quotes and brackets: '({word} ...)'"
            say(f"netlab: note: {word} is the node of this name; {way}")
    try:
        return capturing.filter_of(record, words)
    except UsageError as error:
        nodes = few([*record.nodes])
        raise UsageError(f"{error}; before a filter there may be NODE or NODE:INTERFACE, of {nodes}") from None


def _limited(made: Capturing, stop: Noticed, args: typed.Capture) -> Iterator[list[Seen]]:
    """Yield packets, no more than were asked for."""
    left = args.count
    for batch in made.batches(stop.fd, say, args.duration):
        yield batch if left is None else batch[:left]
        if left is not None:
            left -= len(batch[:left])
            if not left:
                return


def _report(made: Capturing, packets: int, outlets: list[Outlet]) -> None:
    lab = made.lab.record.lab
    if made.is_over():
        say(f"netlab: {lab} is down")
    lost = made.lost()
    say(f"netlab: {lab}: {count(packets, 'packet')}, {sum(each.number for each in lost)} lost")
    for each in lost:
        say(f"netlab: note: {each.where}: {count(each.number, 'packet')} lost, as they came faster than they were read")
    if unwritten := sum(outlet.unwritten for outlet in outlets):
        say(f"netlab: note: {count(unwritten, 'byte')} at the end were not written, as nobody reads them")


def _sink(args: typed.Capture, made: Capturing, stop: Noticed) -> tuple[CaptureFile | _Lines, list[Outlet]]:
    """Return where packets go, and the list of descriptors, which gets those that are opened."""
    outlets: list[Outlet] = []

    def outlet(fd: int, path: str = "stdout") -> Outlet:
        outlets.append(Outlet(fd, lambda: not stop.came and not made.is_over(), path))
        return outlets[-1]

    if args.write is None:
        return _Lines(made, outlet(sys.stdout.fileno()), args.format), outlets
    if args.write == "-":
        if is_terminal():
            raise UsageError(
                "-w -: expected a program that reads pcapng, as in netlab capture -w - | wireshark -k -i -"
            )
        return CaptureFile(made, lambda: outlet(sys.stdout.fileno())), outlets
    rotation = Rotation(*args.rotate) if args.rotate else None
    return CaptureFile(made, _files(args, args.write, outlet), rotation), outlets


def _files(args: typed.Capture, path: str, outlet: Callable[[int, str], Outlet]) -> Callable[[], Outlet]:
    """Return what opens the next file; the one before is closed, and files that are too many are removed."""
    stem, ending = os.path.splitext(path)
    names: list[str] = []
    last: list[Outlet] = []

    def following() -> Outlet:
        if last:
            os.close(last.pop().fd)
        names.append(f"{stem}-{len(names) + 1:0{_DIGITS}}{ending}" if args.rotate else path)
        last.append(outlet(new_file.descriptor(names[-1], "-w"), names[-1]))
        kept = args.rotate[1] if args.rotate else 0
        if kept and len(names) > kept:
            with suppress(FileNotFoundError):
                os.unlink(names[-1 - kept])
        return last[-1]

    return following
