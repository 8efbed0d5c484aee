"""What is told of a node or a link that somebody has chosen, as lines and rows of text."""

import ipaddress
from collections import deque
from collections.abc import Iterator, Mapping

from netlab.errors import NetlabError
from netlab.lab import snapshot
from netlab.lab.node_drift import Inside
from netlab.lab.standing import Standing
from netlab.observe import link_view, map_view
from netlab.observe.log_view import clock
from netlab.observe.map_view import EntryView, Viewer
from netlab.observe.watch import Sight, Watch
from netlab.programs.shown_values import line as in_a_line
from netlab.record.model import LabRecord
from netlab.web import packet_lines
from netlab.web.moments import Rate

_ENTRIES = 60  # of a map
_PACKETS = 60
_WIDE = 200  # characters of a value
Row = dict[str, str]


def interfaces(record: LabRecord, node: str, rates: Mapping[str, Rate], standing: Standing | None) -> list[Row]:
    """Return a row for each interface: as it is now, if the lab is up and can be entered, else as it is planned."""
    inside = snapshot.nodes({node: record.nodes[node]}, standing.runtime.netns_path)[node] if standing else None
    now = {link.name: link for link in inside.links} if inside else {}
    rows = []
    for name, port in record.nodes[node].interfaces.items():
        link = now.get(name)
        addresses = _addresses(inside, link.index) if inside and link else list(port.addresses)
        rate = rates.get(f"{node}:{name}")
        rows.append(
            {
                "interface": name,
                "to": f"{port.peer}:{port.peer_interface}" if port.peer else port.bridge,
                "state": "" if inside is None else "gone" if link is None else "up" if link.is_up else "down",
                "addresses": ", ".join(addresses),
                "sends": _rate(rate.tx_packets, rate.tx_bit) if rate else "",
                "receives": _rate(rate.rx_packets, rate.rx_bit) if rate else "",
            }
        )
    return rows


def _addresses(inside: Inside, index: int) -> list[str]:
    """Return the addresses of an interface as they are, without those of the link alone."""
    found = [
        ipaddress.ip_interface((number if net.family == 4 else ipaddress.IPv6Address(number), net.length))
        for at, number, net in inside.addresses
        if at == index
    ]
    return sorted(str(each) for each in found if not each.is_link_local)


def rate_text(rate: Rate) -> str:
    """Return what an interface sends, in words."""
    lost = f", {rate.lost:,.0f} lost/s" if rate.lost else ""
    return f"{_rate(rate.tx_packets, rate.tx_bit)}{lost}"


def _rate(packets: float, bits: float) -> str:
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits >= size:
            return f"{packets:,.0f}/s, {bits / size:.1f} {unit}"
    return f"{packets:,.0f}/s, {bits:.0f} bit/s"


def maps(record: LabRecord, node: str) -> Iterator[str]:
    """Yield the maps of a node's programs, with their first entries; NetlabError if they cannot be read."""
    for about in map_view.all_of(record, node):
        yield f"{about.program}: {about.name}  ({about.kind}, {about.key} → {about.value}, at most {about.max_entries})"
        with Viewer(record, about.program) as viewer:
            view = viewer.view(viewer.of(about.name), _ENTRIES)
        yield from (f"  {_entry(each)}" for each in view.entries)
        rest = view.problem or (f"{view.zeros} of zeros left out" if view.zeros else "")
        if rest or not view.entries:
            yield f"  ({rest or 'empty'})"
        if view.more:
            yield f"  (there are more: netlab maps {about.program} {about.name})"


def _entry(entry: EntryView) -> str:
    head = "next" if entry.key is None else in_a_line(entry.key)
    value = f"map {entry.map.about.name}" if entry.map else in_a_line(entry.value)
    return f"{head}: {value if len(value) <= _WIDE else f'{value[:_WIDE]}…'}"


def link(standing: Standing, end: str) -> Iterator[str]:
    """Yield what a link does to packets in both directions, and what was counted where it is impaired."""
    for found in link_view.read(standing, [end]):
        for way in found.directions:
            yield f"{way.sender[0]} → {way.receiver[0]}: {way.does if way.does != 'nothing' else 'carries all at once'}"
            if way.counts:
                counts = ((name.replace("_", " "), value) for name, value in way.counts._asdict().items() if value)
                yield "   " + (", ".join(f"{value:,} {name}" for name, value in counts) or "nothing was sent yet")
        yield from found.problems


class Packets:
    """The last packets of a link, from one of its ends; they are caught only from `start` to `stop`."""

    def __init__(self) -> None:
        self._seen: deque[Sight] = deque(maxlen=_PACKETS)
        self._watch: Watch | None = None
        self.where = ""

    def start(self, standing: Standing, ends: tuple[tuple[str, str], tuple[str, str]]) -> None:
        """Catch what passes the end without a program: behind a program only what it passes would be seen."""
        self.stop()
        self._seen.clear()
        record = standing.record
        node, interface = min(ends, key=lambda end: len(record.nodes[end[0]].programs))
        self.where = f"{node}:{interface}"
        self._watch = Watch(self._seen.append)
        self._watch.start(standing, [(node, interface)])

    def stop(self) -> None:
        """Catch no more."""
        watch, self._watch = self._watch, None
        if watch:
            try:
                watch.stop()
            except NetlabError:  # the link has gone
                pass

    def lines(self) -> Iterator[str]:
        """Yield the packets, the newest first: what leaves that end, and what arrives there."""
        for sight in reversed(list(self._seen)):
            yield f"{clock(sight.ns)[:12]} {'out' if sight.leaves else 'in':<3} {packet_lines.line(sight)}"
