"""The ways of packets through a lab, put together from where they were seen. Pure.

A packet is followed from place to place: what leaves by one end of a link arrives at the other, what arrives at a node
may leave it. Two sights are of the same packet if its headers and data are the same, whatever MAC addresses and the TTL
are. Within a node it may be rewritten: then protocol, data, TCP's number and, if both have one, IPv4's number of the
packet must agree, and one of its two ends. Of several such packets the one that was there first goes on first, as in a
queue. So packets that are alike in all of that may be taken for each other, if they overtake; and what is rewritten in
its data as well as at both ends begins anew.
"""

from collections.abc import Callable, Iterator, Mapping

from netlab.named_tuple import NamedTuple
from netlab.observe import headers
from netlab.observe.headers import Headers
from netlab.observe.seen import Seen

QUIET_NS = 3_000_000_000  # not seen again for so long, a packet has come to its end, or waits
_FORGOTTEN_NS = 600_000_000_000
_MOST = 20_000  # packets that are remembered
_COPY_NS = 50_000_000  # after one copy has left a node, others leave
Place = tuple[str, str]  # node and interface


class Hop(NamedTuple):
    """A sight of the packet with this number: `since_ns` after the one before, `copy` if that has gone on already."""

    number: int
    seen: Seen
    since_ns: int
    copy: bool = False
    waited: bool = False


class Ending(NamedTuple):
    """What has become of a packet: `arrived`, `dropped`, `waits` or `lost`, in words, at the time of its last sight."""

    number: int
    ns: int
    what: str
    text: str
    whole_ns: int
    waited_ns: int


class _Journey:
    """A packet on its way."""

    def __init__(self, number: int, seen: Seen) -> None:
        self.number = number
        self.first_ns = seen.ns
        self.hops: list[tuple[Seen, Headers]] = []
        self.waited_ns = 0
        self.is_told = False  # of its end
        self.gone_on: set[int] = set()  # hops from which it has gone on

    @property
    def last(self) -> Seen:
        """Where it was seen last."""
        return self.hops[-1][0]


class Journeys:
    """Follows packets: those that are `wanted` when they are first seen, and all that becomes of them.

    `peers` has the other end of each link's end, `nodes` the node of each address.
    """

    def __init__(self, peers: Mapping[Place, Place], nodes: Mapping[str, str], wanted: Callable[[Seen], bool]) -> None:
        self._peers, self._nodes, self._wanted = peers, nodes, wanted
        self._open: dict[object, list[_Journey]] = {}
        self._count = 0
        self._remembered = 0

    def take(self, seen: Seen) -> Hop | None:
        """Take a sight; return the hop that it is, None for a packet that nobody wants."""
        forms = _forms(seen)
        for met in forms:
            for exact in (True, False):
                if found := self._goes_on(seen, met, exact=exact):
                    return self._hop(*found, seen, forms[-1])
        if not self._wanted(seen):
            return None
        self._count += 1
        journey = _Journey(self._count, seen)
        self._remember(journey, forms[0])
        return self._hop(journey, -1, seen, forms[-1])

    def _goes_on(self, seen: Seen, met: Headers, *, exact: bool) -> tuple[_Journey, int] | None:
        """Return which packet this is, and from which of its hops it goes on; first those that have not gone on."""
        there = self._open.get(_key(met), ())
        copies = None
        for journey in there:
            for at in range(len(journey.hops) - 1, -1, -1):
                before, form = journey.hops[at]
                if not self._leads_to(before, seen) or not _agree(form, met, before, seen, exact=exact):
                    continue
                if at not in journey.gone_on:
                    return journey, at
                if exact and copies is None and seen.ns - journey.last.ns < _COPY_NS and not _is_drop(before):
                    copies = journey, at
        return copies

    def _leads_to(self, before: Seen, seen: Seen) -> bool:
        """Say whether a packet that was seen at one place can be seen next at another."""
        if before.ns > seen.ns:
            return False
        here = seen.node, seen.interface
        if seen.leaves:
            return not before.leaves and before.node == seen.node
        there = self._peers.get(here)
        if before.leaves:
            return (before.node, before.interface) == there
        sent = before.verdict and before.verdict.name in ("XDP_TX", "XDP_REDIRECT", "TC_ACT_REDIRECT")
        return bool(_are_two_programs(before, seen) or (sent and there and there[0] == before.node))

    def _hop(self, journey: _Journey, at: int, seen: Seen, form: Headers) -> Hop:
        before = journey.hops[at][0] if at >= 0 else None
        since = seen.ns - before.ns if before else 0
        waited = before is not None and _is_drop(before)
        if waited:
            journey.waited_ns += since
        copy = at in journey.gone_on
        if at >= 0:
            journey.gone_on.add(at)
        journey.hops.append((seen, form))
        journey.is_told = False
        self._remember(journey, form)
        return Hop(journey.number, seen, since, copy, waited)

    def _remember(self, journey: _Journey, form: Headers) -> None:
        kept = self._open.setdefault(_key(form), [])
        if journey not in kept:
            kept.append(journey)
            self._remembered += 1

    def ends(self, now: int) -> Iterator[Ending]:
        """Yield what has become of packets that were not seen for some time; at the end, `now` is the far future."""
        for key, journeys in list(self._open.items()):
            for journey in list(journeys):
                quiet = now - journey.last.ns
                if quiet > QUIET_NS and not journey.is_told:
                    journey.is_told = True
                    yield self._end(journey)
                is_over = journey.is_told and self._outcome(journey)[0] == "arrived"
                if is_over or quiet > _FORGOTTEN_NS or (self._remembered > _MOST and journey.is_told):
                    journeys.remove(journey)
                    self._remembered -= 1
            if not journeys:
                del self._open[key]

    def _end(self, journey: _Journey) -> Ending:
        what, text = self._outcome(journey)
        last = journey.last
        return Ending(journey.number, last.ns, what, text, last.ns - journey.first_ns, journey.waited_ns)

    def _outcome(self, journey: _Journey) -> tuple[str, str]:
        last, form = journey.hops[-1]
        verdict = last.verdict
        if verdict and verdict.is_drop:
            reason = f" {verdict.reason}" if verdict.reason else ""
            if "QUEUE" in verdict.reason and "FULL" not in verdict.reason:
                return "waits", f"waits at {last.node}: {verdict.function} has kept it ({verdict.reason})"
            return "dropped", f"ends at {last.place}: {verdict.function} dropped it ({verdict.name}{reason})"
        if last.leaves:
            peer = self._peers.get((last.node, last.interface))
            where = f"on the link to {peer[0]}:{peer[1]}" if peer else "outside of the lab"
            return "lost", f"was not seen again after it left {last.place}: lost {where}"
        if self._nodes.get(form.target) in (last.node, None):
            return "arrived", f"arrived at {last.node}"
        if verdict and verdict.name in ("XDP_TX", "XDP_REDIRECT", "TC_ACT_REDIRECT"):
            return "lost", f"was not seen again after {verdict.function} sent it on from {last.place} ({verdict.name})"
        return "lost", f"ends in {last.node}, which did not send it on: no route, a firewall, or its TTL"


def _forms(seen: Seen) -> list[Headers]:
    """Return the packet's forms: as it was met, and, if a program has made another of it, that.

    If that has other data, or two other ends, it is another packet: a request that has waited, a reply.
    """
    met = headers.read(seen.data)
    if not seen.verdict or seen.verdict.is_drop or seen.verdict.after == seen.data:
        return [met]
    after = headers.read(seen.verdict.after)
    return [met, after] if _key(met) == _key(after) and _shares_end(met, after) else [after]


def _key(form: Headers) -> object:
    """Return what does not change of a packet however it is rewritten."""
    if not form.source:
        return form.kind, form.source_mac, form.data
    return form.protocol, form.kind, form.data, form.seq, form.operation


def _agree(one: Headers, other: Headers, before: Seen, seen: Seen, *, exact: bool) -> bool:
    return _is_same(one, other) if exact else _may_be(one, other, before, seen)


def _is_same(one: Headers, other: Headers) -> bool:
    """Say whether two forms differ in MAC addresses, VLAN and TTL at most."""
    return _bare(one) == _bare(other)


def _bare(form: Headers) -> Headers:
    return form._replace(source_mac="", target_mac="", ttl=0, vlan=0)


def _may_be(one: Headers, other: Headers, before: Seen, seen: Seen) -> bool:
    """Say whether one form can be rewritten to another, within a node."""
    if before.node != seen.node or not one.source or not seen.leaves:
        return False
    if one.ident and other.ident and one.ident != other.ident:
        return False
    return _shares_end(one, other)


def _shares_end(one: Headers, other: Headers) -> bool:
    source = (one.source, one.source_port) == (other.source, other.source_port)
    return source or (one.target, one.target_port) == (other.target, other.target_port)


def _are_two_programs(before: Seen, seen: Seen) -> bool:
    """Say whether two programs have met a packet at the same place, one after the other."""
    one, other = before.verdict, seen.verdict
    is_same_place = before.place == seen.place and not _is_drop(before)
    return is_same_place and one is not None and other is not None and one[:2] != other[:2]


def _is_drop(seen: Seen) -> bool:
    return seen.verdict is not None and seen.verdict.is_drop
