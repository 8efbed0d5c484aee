"""`netlab follow`: the ways of the packets of one flow through the lab, place by place, as they go."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from netlab.cli import chosen, typed
from netlab.cli.console import Painted, say
from netlab.errors import UsageError
from netlab.kernel import signals
from netlab.observe import capturing, headers, packet_text
from netlab.observe.capturing import Capturing
from netlab.observe.journeys import Ending, Hop, Journeys
from netlab.observe.log_view import clock
from netlab.observe.outlet import Outlet
from netlab.observe.seen import Seen
from netlab.record.model import LabRecord
from netlab.words import count

_FAR = 1 << 62
VERSION = 1  # of the JSON lines; it changes when a field is removed or gets another meaning


def follow(args: typed.Follow) -> None:
    """Follow packets until Ctrl-C, for as long as was asked, or until the lab is down."""
    lab = chosen.standing(args)
    wanted = capturing.filter_of(lab.record, args.filter)
    if not wanted:
        raise UsageError("follow takes a filter in tcpdump's words, such as: netlab follow udp port 8080")
    places, _ = capturing.places(lab.record, [])
    has_programs = any(lab.record.programs())
    with capturing.opened(lab, places, None, say, with_verdicts=has_programs) as made, signals.noticed() as stop:
        outlet = Outlet(sys.stdout.fileno(), lambda: not stop.came and not made.is_over())
        shown = _Shown(made, args.format)
        journeys = _journeys(lab.record, lambda seen: wanted.matches(seen.data, seen.length))
        with suppress(BrokenPipeError):  # whoever reads has seen enough
            say(f"netlab: {lab.record.lab}: following {wanted.text}, until Ctrl-C")
            for batch in made.batches(stop.fd, say, args.duration):
                outlet.write("".join(_told(journeys, batch, shown, time.monotonic_ns())).encode())
            for batch in made.rest():
                outlet.write("".join(_told(journeys, batch, shown, 0)).encode())
            outlet.write("".join(_told(journeys, [], shown, _FAR)).encode())
        made.tell_no_more()
        _report(made, shown)


def _journeys(record: LabRecord, wanted: "capturing.Wanted") -> Journeys:
    ends = {
        (node, name): (port.peer, port.peer_interface)
        for node, about in record.nodes.items()
        for name, port in about.interfaces.items()
        if port.peer
    }
    addresses = {
        address.partition("/")[0]: node
        for node, about in record.nodes.items()
        for port in about.interfaces.values()
        for address in port.addresses
    }
    return Journeys(ends, addresses, wanted)


def _told(journeys: Journeys, batch: list[Seen], shown: "_Shown", now: int) -> Iterator[str]:
    """Yield lines: of each sight of what is followed, and of packets that have come to their end."""
    for seen in batch:
        if hop := journeys.take(seen):
            yield shown.hop(hop)
    for end in journeys.ends(now):
        yield shown.end(end)


class _Shown:
    """Makes lines of hops and ends, and counts these."""

    def __init__(self, of: Capturing, style: str) -> None:
        self._ahead, self._style, self._paint = of.ahead_ns, style, Painted()
        self._width = max(len(f"{node}:{name}") for node, name in of.places)
        self.ends: dict[int, Ending] = {}
        self.packets = 0

    def hop(self, hop: Hop) -> str:
        """Return the line of a hop."""
        seen = hop.seen
        self.packets = max(self.packets, hop.number)
        if self._style == "json":
            about = {
                "kind": "hop",
                "packet": hop.number,
                "since_ns": hop.since_ns,
                "copy": hop.copy,
                "waited": hop.waited,
            }
            return json.dumps({**packet_text.data(seen, self._ahead), **about}) + "\n"
        way = "out" if seen.leaves else "in "
        first = not hop.since_ns
        what = packet_text.summary(headers.read(seen.data), seen.length) if first else f"+{_time(hop.since_ns)}"
        left = packet_text.summary(headers.read(_as_it_left(seen).data), seen.length)
        more = [what, "a copy" if hop.copy else "", f"after waiting: {left}" if hop.waited else ""]
        told = ", ".join(each for each in more if each)
        # what has waited leaves in the place of another packet: what that was is of no interest
        outcome = packet_text.outcome(_as_it_left(seen) if hop.waited else seen, self._paint)
        line = f"{clock(seen.ns + self._ahead)}  #{hop.number:<4} {seen.place:<{self._width}} {way}  {told}"
        return f"{line}  {outcome}\n" if outcome else f"{line}\n"

    def end(self, end: Ending) -> str:
        """Return the line of a packet's end."""
        self.ends[end.number] = end
        if self._style == "json":
            known = {**end._asdict(), "version": VERSION, "kind": "end", "packet": end.number}
            known |= {"time_ns": end.ns + self._ahead, "monotonic_ns": known.pop("ns")}
            del known["number"]
            return json.dumps(known) + "\n"
        waited = f", {_time(end.waited_ns)} of it waiting" if end.waited_ns else ""
        text = f"{end.text}, after {_time(end.whole_ns)}{waited}"
        painted = self._paint.bad(text) if end.what in ("dropped", "lost") else self._paint.good(text)
        return f"{'':15}  #{end.number:<4} {painted}\n"


def _as_it_left(seen: Seen) -> Seen:
    return seen._replace(data=seen.verdict.after) if seen.verdict else seen


def _time(ns: int) -> str:
    """Return a time with a unit, to three digits or so."""
    for unit, size in (("s", 10**9), ("ms", 10**6)):
        if ns >= size:
            return f"{ns / size:.3f} {unit}"
    return f"{ns / 1000:.0f} µs"


def _report(made: Capturing, shown: _Shown) -> None:
    lab, ends = made.lab.record.lab, shown.ends.values()
    if made.is_over():
        say(f"netlab: {lab} is down")
    kinds = [(kind, sum(each.what == kind for each in ends)) for kind in ("arrived", "waits", "dropped", "lost")]
    told = ", ".join(f"{number} {kind}" for kind, number in kinds if number)
    waited = sorted(each.waited_ns for each in ends if each.waited_ns)
    queue = f"; {len(waited)} have waited, {_time(waited[0])} to {_time(waited[-1])}" if waited else ""
    say(f"netlab: {lab}: {count(shown.packets, 'packet')} followed{f': {told}' if told else ''}{queue}")
    for each in made.lost():
        say(f"netlab: note: {each.where}: {count(each.number, 'packet')} not caught, so ways may have gaps")
