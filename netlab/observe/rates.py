"""What interfaces and programs of a lab count, as rates, at every interval while somebody reads.

What does not move is not told, except once at the beginning, and once when it has come to rest: so a quiet lab costs
little, also its reader.
"""

import time
from collections.abc import Mapping
from typing import Any

from netlab.errors import NetlabError
from netlab.kernel.netlink import Channel
from netlab.lab.standing import Standing
from netlab.observe import stats
from netlab.observe.events import Event
from netlab.observe.interfaces import ASK, Counted, in_nodes, parse
from netlab.paths import node_of
from netlab.record.model import LabRecord

_SHORTEST_S = 0.05
_WHOLE_FROM = 10  # events a second are shown without fractions


class Rates:
    """The counters of one lab, a source of `following`; the first look tells nothing."""

    fd = -1

    def __init__(self, lab: LabRecord, interval_s: float) -> None:
        self._interval_s = max(interval_s, _SHORTEST_S)
        self._channels: dict[str, Channel] = {}
        self._counted: dict[tuple[str, str], Counted] = {}  # by node and interface
        self._programs: dict[str, Mapping[str, int]] = {}  # by key and reason
        self._moved: set[tuple[str, str]] = set()  # what has moved in the last interval
        self._looked = 0.0
        self.due = 0.0
        self.renew(lab)

    def renew(self, lab: LabRecord) -> None:
        """Look at the nodes that the lab has now."""
        self._standing = Standing(lab)
        found = in_nodes(lab, Channel, self._channels)
        for node in self._channels.keys() - found.keys():
            self._channels[node].close()
        self._channels = found

    def take(self) -> list[Event]:
        """Return what has moved since the last look, if it is time for a look."""
        now = time.monotonic()
        if now < self.due:
            return []
        passed_s, self._looked = now - self._looked, now
        self.due = now + self._interval_s if passed_s > 2 * self._interval_s else self.due + self._interval_s
        moved: set[tuple[str, str]] = set()
        taken = [*self._of_interfaces(passed_s, moved), *self._of_programs(passed_s, moved)]
        self._moved = moved
        return taken

    def close(self) -> None:
        """Close everything."""
        for each in self._channels.values():
            each.close()

    def _of_interfaces(self, passed_s: float, moved: set[tuple[str, str]]) -> list[Event]:
        events = []
        for node, channel in self._channels.items():
            for now in self._interfaces(channel):
                key, (_, name, state, counted) = (node, now[1]), now
                before = self._counted.get(key)
                if counted is None or before is None or min(map(int.__sub__, counted, before)) < 0:
                    passed = None  # it was not there, or is another one of this name
                    moved.add(key)  # so that it is told once, how ever it is
                else:
                    passed = Counted(*map(int.__sub__, counted, before))
                if counted:
                    self._counted[key] = counted
                if passed and self._is_told(key, any(passed), moved):
                    events.append(self._event("rates", node, _rates(name, state, passed, passed_s)))
        return events

    def _interfaces(self, channel: Channel) -> list[Any]:
        try:
            return [found for found in map(parse, channel.ask_all(ASK)) if found]
        except OSError:  # the node is being removed
            return []

    def _of_programs(self, passed_s: float, moved: set[tuple[str, str]]) -> list[Event]:
        events = []
        try:
            found = stats.read_programs(self._standing.record)
        except (NetlabError, OSError):  # the lab is being removed
            return []
        for key, now in _counters(found).items():
            before = self._programs.get(key)
            self._programs[key] = now
            if before is None:
                moved.add(("", key))
                continue
            passed = {name: count - before.get(name, 0) for name, count in now.items() if count != before.get(name, 0)}
            if self._is_told(("", key), bool(passed), moved):
                events.append(self._event("counts", node_of(key), _counts(key, found, passed, passed_s)))
        return events

    def _is_told(self, key: tuple[str, str], has_moved: bool, moved: set[tuple[str, str]]) -> bool:
        if has_moved:
            moved.add(key)
        return has_moved or key in self._moved

    def _event(self, kind: str, node: str, fields: Mapping[str, object]) -> Event:
        lab, ns = self._standing.record, time.monotonic_ns()
        return Event(ns, kind, lab.lab, node, fields, ns + lab.clock_offset_ns)


def _counters(found: stats.LabStats) -> dict[str, dict[str, int]]:
    """Return what each program counts: packets by reason, and what else looks like counters, as MAP[KEY]."""
    counters = {key: {name: each.packets for name, each in of.items()} for key, of in found.reasons().items()}
    for key, program in found.programs.items():
        more = ((f"{name}[{at}]", number) for name, of in program.counters.items() for at, number in of.items())
        counters.setdefault(key, {}).update(more)
    return counters


def _rates(name: str, state: str, passed: Counted, passed_s: float) -> dict[str, object]:
    def each_s(number: int) -> float:
        return round(number / passed_s, 1)

    rates = {
        "rx_packets_s": each_s(passed.rx_packets),
        "tx_packets_s": each_s(passed.tx_packets),
        "rx_bits_s": each_s(8 * passed.rx_bytes),
        "tx_bits_s": each_s(8 * passed.tx_bytes),
        "lost_s": each_s(passed.rx_errors + passed.tx_errors + passed.rx_dropped + passed.tx_dropped),
    }
    text = f"{name}: {_shown(rates['rx_packets_s'])} packets/s in, {_shown(rates['tx_packets_s'])} out"
    lost = f", {_shown(rates['lost_s'])} lost" if rates["lost_s"] else ""
    return {"interface": name, "state": state, "seconds": round(passed_s, 3), **rates, "text": f"{text}{lost}"}


def _shown(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _WHOLE_FROM else f"{rate:.2g}"


def _counts(key: str, found: stats.LabStats, passed: Mapping[str, int], passed_s: float) -> dict[str, object]:
    each_s = {name: round(number / passed_s, 1) for name, number in passed.items()}
    balancer = found.balancers.get(key)
    more: dict[str, object] = {}
    words = ", ".join(f"{name} {_shown(number)}/s" for name, number in each_s.items()) or "at rest"
    if balancer:
        backends = {name: {"free": each.free, "capacity": each.capacity} for name, each in balancer.backends.items()}
        more = {"queue_depth": balancer.queue_depth, "backends": backends}
        words += f"; {balancer.queue_depth} wait"
    return {"program": key, "seconds": round(passed_s, 3), "per_s": each_s, **more, "text": words}
