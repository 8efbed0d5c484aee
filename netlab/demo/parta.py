"""Part A's claims: what the exercise says of a server that loses every other byte, checked against what was printed."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from netlab.demo.events import (
    Accepted,
    Arrived,
    Byte,
    Closed,
    Connected,
    EndOfFile,
    Exited,
    Fin,
    Segment,
    SentBytes,
)
from netlab.demo.evidence import Claim, Evidence, few, nothing_is_lost

_JUDGED = {"odd": "pass", "even": "drop"}
# What the dropper prints of a segment, and the reason by which it counts it.
_REASONS = {"odd": "PASS_ODD", "even": "DROP_EVEN", "SYN": "PASS_SYN", "ACK": "PASS_BARE_ACK", "FIN": "PASS_FIN"}
_NUMBERS = 1 << 32


class _Play(NamedTuple):
    """The one connection of a play, told by its three witnesses."""

    isn: int
    port: int  # the client's
    connection: str  # the server's name for it
    sent: list[Byte]
    segments: list[Segment]  # all of the connection
    judged: list[Segment]  # those among them that carry the client's bytes
    arrived: list[Arrived]


def is_over(evidence: Evidence) -> bool:
    """Whether the client has ended, and the server has read the end of what it sent."""
    return bool(evidence.events(Exited)) and len(evidence.events(EndOfFile)) == len(evidence.events(Accepted)) > 0


def claims(evidence: Evidence) -> list[Claim]:
    """Return the claims of part A, each with what the play shows of it."""
    play = _play(evidence)
    return [
        _the_client_sends_each_byte_in_a_segment(evidence, play),
        _the_kernel_judges_each_of_them(play),
        _even_numbers_are_dropped(play),
        _verdicts_alternate(play),
        _the_odd_ones_arrive(play),
        _the_rest_passes(evidence, play),
        _the_connection_ends_in_good_order(evidence, play),
        _nothing_is_sent_twice(evidence, play),
        _no_socket_is_left(evidence),
        _the_counters_agree(evidence),
        nothing_is_lost(evidence),
    ]


def _play(evidence: Evidence) -> _Play:
    connected = (evidence.events(Connected) or [Connected("", "", -1)])[0]
    port = int(connected.client.rpartition(":")[2] or 0)
    names = [event.connection for event in evidence.events(Accepted) if event.client == connected.client]
    sent = evidence.events(Byte)
    numbers = {byte.seq for byte in sent}
    segments = [event for event in evidence.events(Segment) if event.port == port]
    judged = [event for event in segments if event.what in _JUDGED and event.bytes and event.seq in numbers]
    arrived = [event for event in evidence.events(Arrived) if event.connection in names[:1] and event.seq in numbers]
    return _Play(connected.isn, port, names[0] if names else "", sent, segments, judged, arrived)


def _the_client_sends_each_byte_in_a_segment(evidence: Evidence, play: _Play) -> Claim:
    count = sum(event.bytes for event in evidence.events(SentBytes))
    wrong = [
        f"byte #{byte.number} has seq {byte.seq}"
        for at, byte in enumerate(play.sent)
        if byte.number != at + 1 or byte.seq != (play.isn + 1 + at) % _NUMBERS
    ]
    text = "the client sends each byte in a segment of its own, with a sequence number one higher than the last"
    figures = f"{len(play.sent)} of {count} bytes printed, the first after the initial number {play.isn}"
    return Claim(text, len(play.sent) == count > 0 and not wrong, few([figures, *wrong]))


def _the_kernel_judges_each_of_them(play: _Play) -> Claim:
    seen, sent = [segment.seq for segment in play.judged], [byte.seq for byte in play.sent]
    large = [f"{segment.bytes} bytes at seq {segment.seq}" for segment in play.judged if segment.bytes != 1]
    figures = few([f"{len(seen)} segments judged, {len(sent)} sent", *large])
    return Claim("the program judges each of these segments, in order", seen == sent != [] and not large, figures)


def _even_numbers_are_dropped(play: _Play) -> Claim:
    wrong = [
        f"seq {segment.seq}: {segment.what}, {segment.verdict}"
        for segment in play.judged
        if segment.verdict != ("pass" if segment.seq % 2 else "drop")
        or segment.what != ("odd" if segment.seq % 2 else "even")
    ]
    dropped = sum(segment.verdict == "drop" for segment in play.judged)
    figures = few([f"{dropped} dropped, {len(play.judged) - dropped} passed", *wrong])
    return Claim(
        "a data segment with an even number is dropped, one with an odd number passes",
        bool(play.judged) and not wrong,
        figures,
    )


def _verdicts_alternate(play: _Play) -> Claim:
    verdicts = [segment.verdict for segment in play.judged]
    same = sum(one == other for one, other in pairwise(verdicts))
    figures = f"{' '.join(verdicts[:6])}{' …' if verdicts[6:] else ''}; {same} times the same twice in a row"
    return Claim("so alternate segments are dropped", bool(verdicts) and not same, figures)


def _the_odd_ones_arrive(play: _Play) -> Claim:
    expected = [(byte.seq, byte.data) for byte in play.sent if byte.seq % 2]
    arrived = [(segment.seq, segment.data) for segment in play.arrived]
    wrong = [f"seq {seq} {data!r} missing" for seq, data in expected if (seq, data) not in set(arrived)]
    wrong += [f"seq {seq} {data!r} should not be there" for seq, data in arrived if (seq, data) not in set(expected)]
    word = "".join(data for _, data in arrived[:26])
    figures = few([f"{len(arrived)} of {len(play.sent)} bytes: {word}{'…' if arrived[26:] else ''}", *wrong])
    text = "exactly the bytes with odd numbers arrive at the server, which prints them with their numbers"
    return Claim(text, bool(play.sent) and arrived == expected, figures)


def _the_rest_passes(evidence: Evidence, play: _Play) -> Claim:
    rest = [segment for segment in play.segments if segment not in play.judged]
    if _judges_all(evidence):
        wrong = [
            f"seq {each.seq}: {each.what}, {each.verdict}" for each in rest if _JUDGED.get(each.what) != each.verdict
        ]
        text = "every other segment to the port is judged by its number as well (JUDGE_ALL)"
        return Claim(text, bool(rest) and not wrong, few([f"{len(rest)} segments", *wrong]))
    wrong = [f"seq {each.seq}: {each.what}, {each.verdict}" for each in rest if each.verdict != "pass"]
    kinds = {kind: sum(each.what == kind for each in rest) for kind in ("SYN", "ACK", "FIN")}
    figures = few([", ".join(f"{count} {kind}" for kind, count in kinds.items()), *wrong])
    text = "handshake, bare acknowledgements and FIN pass, and are printed too"
    return Claim(text, all(kinds.values()) and not wrong, figures)


def _the_connection_ends_in_good_order(evidence: Evidence, play: _Play) -> Claim:
    ends = [event for event in evidence.events(EndOfFile) if event.connection == play.connection]
    codes = [event.code for line, event in evidence.of(Exited) if line.node in _clients(evidence)]
    closed = len(evidence.events(Closed))
    figures = (
        f"end of file at the server: {len(ends)}; closed at the client: {closed}; its exit code: {few(map(str, codes))}"
    )
    return Claim("the connection opens and ends in good order", len(ends) == closed == 1 and codes == [0], figures)


def _nothing_is_sent_twice(evidence: Evidence, play: _Play) -> Claim:
    numbers = [segment.seq for segment in play.judged]
    twice = len(numbers) - len(set(numbers))
    again = sum(node.retransmissions for node in evidence.sockets.values())
    resets = sum(node.resets for node in evidence.sockets.values()) + sum(one.what == "RST" for one in play.segments)
    figures = f"{twice} numbers twice in the trace, {again} retransmissions and {resets} RSTs in all nodes"
    holds = bool(numbers and evidence.sockets) and not twice + again + resets
    return Claim("no segment is sent twice, and there is no RST", holds, figures)


def _no_socket_is_left(evidence: Evidence) -> Claim:
    left = {node: each.connections for node, each in evidence.sockets.items()}
    figures = ", ".join(f"{count} at {node}" for node, count in left.items())
    text = "within a second of the end no connection is left at either end"
    return Claim(text, len(left) > 1 and not any(left.values()), figures)


def _the_counters_agree(evidence: Evidence) -> Claim:
    counted: dict[str, int] = {}
    for program in evidence.stats["programs"].values():
        for reason, count in program["reasons"].items():
            counted[reason] = counted.get(reason, 0) + count["packets"]
    printed = {
        reason: sum(event.what == what for event in evidence.events(Segment)) for what, reason in _REASONS.items()
    }
    wrong = [
        f"{reason} {counted.get(reason, 0)}, {count} lines"
        for reason, count in printed.items()
        if counted.get(reason, 0) != count
    ]
    figures = few([", ".join(f"{reason} {counted.get(reason, 0)}" for reason in ("PASS_ODD", "DROP_EVEN")), *wrong])
    return Claim("the program's counters agree with its trace", any(printed.values()) and not wrong, figures)


def _judges_all(evidence: Evidence) -> bool:
    programs = [node["program"] for node in evidence.lab["nodes"].values() if node["program"]]
    return any(int(program["define"].get("JUDGE_ALL", 0)) for program in programs)


def _clients(evidence: Evidence) -> Iterable[str]:
    return {line.node for line, _ in evidence.of(Connected)} | {line.node for line, _ in evidence.of(Fin)}
