"""Builds a lab, follows it until it is over, collects the evidence, and removes the lab."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from netlab import paths
from netlab.demo import knocking, sockets
from netlab.demo.events import Asked, Exited
from netlab.demo.evidence import Entry, Evidence
from netlab.demo.extras import Extras
from netlab.demo.wordings import parse
from netlab.errors import NetlabError, TimeLimitError
from netlab.judge import packets
from netlab.judge.facts import Balancing, Dropping
from netlab.judge.packets import Packet
from netlab.kernel import files, signals
from netlab.lab import bring_up
from netlab.lab.standing import Standing
from netlab.observe import stats
from netlab.observe.capture import Capture
from netlab.observe.watch import Sight, Watch
from netlab.plan.planner import Plan
from netlab.record import store
from netlab.record.model import LabRecord
from netlab.supervise import logs
from netlab.supervise.logs import LogLine

# If nothing happens for so long, besides what a request asks for, a play will not end better: after a role has
# ended, and before that.
_QUIET_S, _SILENT_S = 3.0, 60.0
_LOOKS = 20
_MOST_PACKETS = 200_000  # that are judged; who floods a lab is judged by the first of them
_SETTLE_S = 0.2  # for the last lines of a play that is over


def play(
    plan: Plan,
    is_over: Callable[[Evidence], bool],
    deadline_s: float,
    say: Callable[[str], None],
    show: Callable[[Entry, int], None],
    capture: Capture | None = None,
    facts: Balancing | Dropping | None = None,
    extras_of: Callable[[Standing], Extras] | None = None,
    ends: float = math.inf,
) -> Evidence:
    """Build a plan's lab, call `show` with every line and the time of the first one, and return the evidence.

    With `facts` the evidence has what is seen on the links. Watching and captures begin when the links are made, before
    anything runs, and have stopped when this returns. The lab is removed in any case. NetlabError if a lab of its name
    exists already, or is not up within `deadline_s` seconds. `extras_of` returns what netlab does itself meanwhile.

    At `ends` (time.monotonic) the play is cut: the evidence is what was seen until then. TimeLimitError if the lab is
    not even up.
    """
    lab = plan.topology.name
    seen: list[Packet] = []
    offset_ns = _clock_offset_ns()
    watch = Watch(lambda sight: _add(seen, sight, facts, offset_ns))

    def before_roles(standing: Standing) -> None:
        if facts:
            watch.start(standing, facts.watched())
        if capture:
            capture.start(standing)

    with signals.raising(), ExitStack() as in_the_end:
        in_the_end.callback(watch.stop)
        if capture:
            in_the_end.callback(capture.stop)
        with _cut_at(ends), signals.waiting():  # except while `up` listens: so no lab is ever left behind
            if lab in store.labs() or not bring_up.up(plan, deadline_s, say, before_roles):
                raise NetlabError(f"a lab named {lab} is up: netlab down --lab {lab} first, or play with --lab NAME")
            in_the_end.callback(_remove, lab, say)
        in_the_end.callback(watch.stop)  # before the lab is removed; a second call does no harm
        if capture:
            in_the_end.callback(capture.stop)
        standing = Standing.read(lab)
        record = standing.record
        evidence = Evidence([], record, stats.LabStats(record.lab, {}, {}), {}, _sources(record), {}, facts, seen)
        extras = extras_of(standing) if extras_of else None
        if extras:
            in_the_end.callback(extras.stop)
        _follow(evidence, is_over, show, extras, ends)
        evidence = evidence._replace(until_ns=time.monotonic_ns(), is_cut=time.monotonic() > ends)
        evidence = evidence._replace(stats=stats.read(standing), sockets=sockets.settled(standing))
        probes = knocking.at_programs(standing)  # at the end, because these packets are counted, too
        watch.stop()
        if extras:
            evidence = evidence._replace(netlabs=extras.sent)
        return evidence._replace(probes={**probes, **(extras.answers if extras else {})})


@contextmanager
def _cut_at(ends: float) -> Iterator[None]:
    """Interrupt what is done in this context at a moment; TimeLimitError then."""
    cut = threading.Event()

    def end() -> None:
        cut.set()
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(max(ends - time.monotonic(), 0.0), end)
    timer.daemon = True
    if ends < math.inf:
        timer.start()
    try:
        yield
    except KeyboardInterrupt as error:
        if cut.is_set():
            raise TimeLimitError("the lab was not up in time (--time-limit)") from error
        raise
    finally:
        timer.cancel()


def _add(seen: list[Packet], sight: Sight, facts: Balancing | Dropping | None, offset_ns: int) -> None:
    packet = packets.read(
        sight.ns - offset_ns, sight.node, sight.interface, sight.leaves, sight.frame, sight.is_unfinished
    )
    if packet and facts and facts.concerns(packet) and len(seen) < _MOST_PACKETS:
        seen.append(packet)


def _clock_offset_ns() -> int:
    """Return wall-clock time minus CLOCK_MONOTONIC, the clock of all lines; of some looks, the least interrupted."""
    looks = ((time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(_LOOKS))
    before, wall, after = min(looks, key=lambda each: each[2] - each[0])
    return wall - (before + after) // 2


def _remove(lab: str, say: Callable[[str], None]) -> None:
    """Remove the lab, whatever would end us: nobody else does it."""
    with signals.waiting():
        bring_up.down(lab, say)


def _sources(lab: LabRecord) -> dict[str, bytes]:
    return {key: files.read(paths.source(lab.folder, key, program.path)) for key, program in lab.programs()}


def _follow(
    evidence: Evidence,
    is_over: Callable[[Evidence], bool],
    show: Callable[[Entry, int], None],
    extras: Extras | None,
    ends: float,
) -> None:
    """Add every line to the timeline as it comes, until the play is over, or nothing happens any more."""
    timeline = evidence.timeline
    last = time.monotonic()
    asked_s, seen = 0.0, 0

    def add(line: LogLine) -> None:
        nonlocal last, asked_s
        entry = Entry(line, parse(line))
        timeline.append(entry)
        show(entry, timeline[0].line.ns)
        last = time.monotonic()
        if isinstance(entry.event, Asked):
            asked_s = max(asked_s, entry.event.seconds or 0.0)

    def is_done() -> bool:
        nonlocal last, seen
        if len(evidence.packets) > seen:
            last, seen = time.monotonic(), len(evidence.packets)
        quiet_s = time.monotonic() - last
        if extras:
            for line in extras.step(evidence, quiet_s):
                add(line)
        has_ended = any(isinstance(entry.event, Exited) for entry in timeline)
        patience_s = (
            _SETTLE_S
            if is_over(evidence) and (not extras or extras.is_done)
            else _QUIET_S + asked_s
            if has_ended
            else _SILENT_S
        )
        return quiet_s > patience_s or time.monotonic() > ends

    processes = [key for key, _ in evidence.lab.processes()]
    for line in logs.read(evidence.lab.folder, processes, trace=True, follow=True, until=is_done):
        add(line)
    timeline.sort(key=lambda entry: entry.line.ns)
