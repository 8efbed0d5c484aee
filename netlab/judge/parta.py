"""Part A's claims on behaviour: which TCP segments a server's program drops, and which it lets pass. Pure.

Packets are seen before the program and behind it. Before it is the client's end of the link, behind it the server's: a
packet socket there sees only what the program has let pass.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

from netlab.judge.claim import Claim, judged, unjudged
from netlab.judge.facts import Dropping
from netlab.judge.packets import ACK, FIN, RST, SYN, TCP, WRONG, Packet
from netlab.judge.partb import other_traffic_passes
from netlab.named_tuple import NamedTuple
from netlab.words import count

_SHOWN = 6  # verdicts of a connection in a claim


class Segment(NamedTuple):
    """A segment that has left the client for the server's port, and whether it has passed the program."""

    packet: Packet
    passed: bool

    @property
    def is_even(self) -> bool:
        """Whether its sequence number is even."""
        return self.packet.seq % 2 == 0

    @property
    def what(self) -> str:
        """What it is, by its flags."""
        names = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"))
        bare = next((name for flag, name in names if self.packet.flags & flag), "ACK")
        return "data" if self.packet.data else bare

    def __str__(self) -> str:
        """Return it as claims name it."""
        packet = self.packet
        fate = "passed" if self.passed else "dropped"
        return f"{self.what} from port {packet.source_port}, seq {packet.seq}: {fate}"


class Traffic(NamedTuple):
    """All segments to the server's port, and those that came out of the program without having been sent."""

    facts: Dropping
    segments: list[Segment]
    strange: list[Packet]
    opened: int  # connections that server and client have opened

    @property
    def data(self) -> list[Segment]:
        """The segments that carry data."""
        return [each for each in self.segments if each.packet.data]

    @property
    def rest(self) -> list[Segment]:
        """The segments that carry none."""
        return [each for each in self.segments if not each.packet.data]


def tell(packets: Iterable[Packet], facts: Dropping) -> Traffic:
    """sort packets."""
    ordered = sorted((each for each in packets if each.protocol == TCP), key=lambda each: each.ns)
    service = facts.addresses(facts.server)
    is_for_it = [each for each in ordered if each.target in service and each.target_port == facts.port]
    sent = [each for each in is_for_it if each.node == facts.client and each.leaves]
    behind = [each for each in is_for_it if each.node == facts.server and not each.leaves]
    left = Counter(map(_key, behind))
    segments = []
    for packet in sent:
        segments.append(Segment(packet, left[_key(packet)] > 0))
        left[_key(packet)] -= 1
    known = set(map(_key, sent))
    answers = {
        each.target_port
        for each in ordered
        if each.node == facts.client and not each.leaves and each.flags & SYN and each.flags & ACK
    }
    return Traffic(facts, segments, [each for each in behind if _key(each) not in known], len(answers))


def _key(packet: Packet) -> tuple[object, ...]:
    return packet.source, packet.source_port, packet.seq, packet.flags, packet.data


def claims(traffic: Traffic, probes: Mapping[str, str]) -> list[Claim]:
    """Return the claims; `probes` says what became of other packets."""
    return [
        _segments_are_sent(traffic),
        _even_numbers_are_dropped(traffic),
        _odd_numbers_pass(traffic),
        _verdicts_alternate(traffic),
        _the_rest_is_judged_in_one_way(traffic),
        _nothing_is_changed(traffic),
        other_traffic_passes(probes, "parta.other_traffic"),
    ]


def _segments_are_sent(traffic: Traffic) -> Claim:
    facts = traffic.facts
    text = f"{facts.client} opens connections to port {facts.port} of {facts.server}, and sends data"
    wrong = [] if traffic.opened else ["no connection was opened"]
    wrong += [] if traffic.data else [f"no segment with data has left {facts.client}"]
    right = f"{count(traffic.opened, 'connection')}, {count(len(traffic.data), 'segment')} with data"
    return judged(text, wrong, right, "parta.segments")


def _even_numbers_are_dropped(traffic: Traffic) -> Claim:
    text, name = "a segment with data and an even sequence number is dropped", "parta.even_dropped"
    even = [each for each in traffic.data if each.is_even]
    if not even:
        return unjudged(text, "no such segment was sent", name)
    wrong = [str(each) for each in even if each.passed]
    return judged(text, wrong, f"{len(even)} of {len(even)} dropped", name)


def _odd_numbers_pass(traffic: Traffic) -> Claim:
    text, name = "a segment with data and an odd sequence number passes", "parta.odd_passes"
    odd = [each for each in traffic.data if not each.is_even]
    if not odd:
        return unjudged(text, "no such segment was sent", name)
    wrong = [str(each) for each in odd if not each.passed]
    return judged(text, wrong, f"{len(odd)} of {len(odd)} passed", name)


def _verdicts_alternate(traffic: Traffic) -> Claim:
    text, name = "so alternate segments with data are dropped", "parta.alternate"
    connections: dict[int, list[Segment]] = {}
    for each in traffic.data:
        connections.setdefault(each.packet.source_port, []).append(each)
    pairs = [pair for each in connections.values() for pair in pairwise(each)]
    if not pairs or any(one.is_even == other.is_even for one, other in pairs):
        return unjudged(text, "the numbers of the segments that were sent do not alternate", name)
    wrong = [f"{one}, and so was seq {other.packet.seq}" for one, other in pairs if one.passed == other.passed]
    words = [" ".join("pass" if each.passed else "drop" for each in some[:_SHOWN]) for some in connections.values()]
    return judged(text, wrong, "; ".join(words), name)


def _the_rest_is_judged_in_one_way(traffic: Traffic) -> Claim:
    """Return the claim on handshake, acknowledgements and FIN: the exercise can be read in two ways."""
    text, name = "segments without data pass, or all of them are judged by their number as well", "parta.rest"
    if not traffic.rest:
        return unjudged(text, "none was sent", name)
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(each.what for each in traffic.rest).items())
    dropped = [str(each) for each in traffic.rest if not each.passed]
    against = [str(each) for each in traffic.rest if each.passed == each.is_even]
    if traffic.facts.judges_all or (dropped and not against):
        return judged(text, against, f"{kinds}: judged by their number", name)
    return judged(text, dropped, f"{kinds}: all pass", name)


def _nothing_is_changed(traffic: Traffic) -> Claim:
    text, name = "what passes is not changed", "parta.unchanged"
    passed = [each for each in traffic.segments if each.passed]
    if not passed and not traffic.strange:
        return unjudged(text, "nothing passed", name)
    wrong = [f"seq {each.seq}, {count(len(each.data), 'byte')}: nobody has sent this" for each in traffic.strange]
    wrong += [f"seq {each.seq} has a wrong checksum" for each in traffic.strange if each.checksum == WRONG]
    return judged(text, wrong, count(len(passed), "segment"), name)
