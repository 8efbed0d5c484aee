"""Builds a lab, follows it until it is over, collects the evidence, and removes the lab."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from netlab import paths
from netlab.demo import knocking, sockets
from netlab.demo.events import Asked, Exited
from netlab.demo.evidence import Entry, Evidence
from netlab.demo.extras import Extras
from netlab.demo.wordings import parse
from netlab.errors import NetlabError
from netlab.judge import packets
from netlab.judge.facts import Balancing, Dropping
from netlab.judge.packets import Packet
from netlab.kernel import files, signals
from netlab.lab import apply
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
_LONGEST_S = 600.0
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
) -> Evidence:
    """Build a plan's lab, call `show` with every line and the time of the first one, and return the evidence.

    With `facts` the evidence has what is seen on the links. Watching and captures begin when the links are made, before
    anything runs, and have stopped when this returns. The lab is removed in any case. NetlabError if a lab of its name
    exists already, or is not up within `deadline_s` seconds. `extras_of` returns what netlab does itself meanwhile.
    """
    lab = plan.topology.name
    seen: list[Packet] = []
    watch = Watch(lambda sight: _add(seen, sight, facts))

    def before_roles(standing: Standing) -> None:
        if facts:
            watch.start(standing, facts.watched())
        if capture:
            capture.start(standing)

    with signals.raising(), ExitStack() as in_the_end:
        in_the_end.callback(watch.stop)
        if capture:
            in_the_end.callback(capture.stop)
        with signals.waiting():  # except while `up` listens: so no lab is ever left behind
            if lab in store.labs() or not apply.up(plan, deadline_s, say, before_roles):
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
        _follow(evidence, is_over, show, extras)
        evidence = evidence._replace(until_ns=time.time_ns())
        evidence = evidence._replace(stats=stats.read(standing), sockets=sockets.settled(standing))
        probes = knocking.at_programs(standing)  # at the end, because these packets are counted, too
        watch.stop()
        return evidence._replace(probes={**probes, **(extras.answers if extras else {})})


def _add(seen: list[Packet], sight: Sight, facts: Balancing | Dropping | None) -> None:
    packet = packets.read(sight.ns, sight.node, sight.interface, sight.leaves, sight.frame, sight.is_unfinished)
    if packet and facts and facts.concerns(packet):
        seen.append(packet)


def _remove(lab: str, say: Callable[[str], None]) -> None:
    """Remove the lab, whatever would end us: nobody else does it."""
    with signals.waiting():
        apply.down(lab, say)


def _sources(lab: LabRecord) -> dict[str, str]:
    sources = {}
    for node, about in lab.nodes.items():
        if about.programs:
            sources[node] = files.source(paths.source(lab.folder, node))
    return sources


def _follow(
    evidence: Evidence,
    is_over: Callable[[Evidence], bool],
    show: Callable[[Entry, int], None],
    extras: Extras | None,
) -> None:
    """Add every line to the timeline as it comes, until the play is over, or nothing happens any more."""
    timeline = evidence.timeline
    begun = last = time.monotonic()
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
        return quiet_s > patience_s or time.monotonic() - begun > _LONGEST_S

    processes = [key for key, _ in evidence.lab.processes()]
    for line in logs.read(evidence.lab.folder, processes, trace=True, follow=True, until=is_done):
        add(line)
    timeline.sort(key=lambda entry: entry.line.ns)
