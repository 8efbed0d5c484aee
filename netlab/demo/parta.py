"""A closer look at part A: the exercise's statements, checked against the lines and maps of netlab's own programs."""

from collections.abc import Iterable
from itertools import pairwise

from netlab.demo.events import Accepted, Arrived, Byte, Closed, Connected, EndOfFile, Exited, Fin, Segment, SentBytes
from netlab.demo.evidence import Claim, Evidence, closer, few, nothing_is_lost
from netlab.named_tuple import NamedTuple

_JUDGED = {"odd": "pass", "even": "drop"}
# What the dropper prints of a segment, and the reason under which it counts it.
_REASONS = {"odd": "PASS_ODD", "even": "DROP_EVEN", "SYN": "PASS_SYN", "ACK": "PASS_BARE_ACK", "FIN": "PASS_FIN"}
_NUMBERS = 1 << 32
_WORDING = "segment from port 40000, seq 1001, 1 bytes: odd, pass"


class _Play(NamedTuple):
    """One connection of a play, as its three witnesses tell it."""

    isn: int
    port: int  # the client's
    connection: str  # the server's name for it
    sent: list[Byte]
    said_sent: int  # how many bytes the client says that it has sent
    segments: list[Segment]  # all of the connection
    judged: list[Segment]  # those among them that carry the client's bytes
    arrived: list[Arrived]

    @property
    def numbers(self) -> list[int]:
        """The sequence numbers of its bytes."""
        return [byte.seq for byte in self.sent]


def is_over(evidence: Evidence) -> bool:
    """Say whether the client has ended, and the server has read the end of everything that it sent."""
    return bool(evidence.events(Exited)) and len(evidence.events(EndOfFile)) == len(evidence.events(Accepted)) > 0


def claims(evidence: Evidence) -> list[Claim]:
    """Return the claims of part A, each with what the play shows."""
    plays = _plays(evidence)
    return closer(
        "parta",
        sent=_the_client_sends_each_byte_in_a_segment(plays),
        judged=_the_kernel_judges_each_of_them(evidence, plays),
        even_dropped=_even_numbers_are_dropped(plays),
        alternate=_verdicts_alternate(plays),
        odd_arrive=_the_odd_ones_arrive(plays),
        rest_passes=_the_rest_passes(evidence, plays),
        others_pass=_other_packets_pass(evidence),
        good_order=_connections_end_in_good_order(evidence, plays),
        nothing_twice=_nothing_is_sent_twice(evidence, plays),
        no_socket_left=_no_socket_is_left(evidence),
        counters=_the_counters_agree(evidence),
        no_line_lost=nothing_is_lost(evidence),
    )


def _plays(evidence: Evidence) -> list[_Play]:
    """Sort the client's lines by connection: each belongs to the last connection that it has opened."""
    plays: list[_Play] = []
    for _, event in evidence.timeline:
        if isinstance(event, Connected):
            plays.append(_play(evidence, event))
        elif isinstance(event, Byte) and plays:
            plays[-1].sent.append(event)
        elif isinstance(event, SentBytes) and plays:
            plays[-1] = plays[-1]._replace(said_sent=event.bytes)
    return [_witnessed(evidence, play) for play in plays]


def _play(evidence: Evidence, connected: Connected) -> _Play:
    port = int(connected.client.rpartition(":")[2])
    names = [event.connection for event in evidence.events(Accepted) if event.client == connected.client]
    segments = [event for event in evidence.events(Segment) if event.port == port]
    return _Play(connected.isn, port, (names or [""])[0], [], 0, segments, [], [])


def _witnessed(evidence: Evidence, play: _Play) -> _Play:
    numbers = set(play.numbers)
    judged = [event for event in play.segments if event.what in _JUDGED and event.bytes and event.seq in numbers]
    arrived = [event for event in evidence.events(Arrived) if event.connection == play.connection]
    return play._replace(judged=judged, arrived=[event for event in arrived if event.seq in numbers])


# --- one function a claim ---------------------------------------------------------------------------------------------


def _the_client_sends_each_byte_in_a_segment(plays: list[_Play]) -> Claim:
    sent, said = sum(len(play.sent) for play in plays), sum(play.said_sent for play in plays)
    wrong = [
        f"byte #{byte.number} has seq {byte.seq}"
        for play in plays
        for at, byte in enumerate(play.sent)
        if byte.number != at + 1 or byte.seq != (play.isn + 1 + at) % _NUMBERS
    ]
    where = f"after the initial numbers {few(str(play.isn) for play in plays)}" if plays else "no connection"
    text = "the client sends each byte in a segment of its own, with a sequence number one higher than the last"
    return Claim(text, sent == said > 0 and not wrong, few([f"{sent} of {said} bytes printed, {where}", *wrong]))


def _the_kernel_judges_each_of_them(evidence: Evidence, plays: list[_Play]) -> Claim:
    seen = [[segment.seq for segment in play.judged] for play in plays]
    figures = [f"{sum(map(len, seen))} segments judged, {sum(len(play.sent) for play in plays)} sent"]
    figures += [
        f"{segment.bytes} bytes at seq {segment.seq}" for play in plays for segment in play.judged if segment.bytes != 1
    ]
    holds = bool(plays) and all(seen) and seen == [play.numbers for play in plays] and not figures[1:]
    if not evidence.events(Segment):
        figures.append(f"no line of the trace reads like: {_WORDING}")
    return Claim("the program judges each of these segments, in order", holds, few(figures))


def _even_numbers_are_dropped(plays: list[_Play]) -> Claim:
    judged = [segment for play in plays for segment in play.judged]
    wrong = [
        f"seq {each.seq}: {each.what}, {each.verdict}"
        for each in judged
        if (each.what, each.verdict) != (("odd", "pass") if each.seq % 2 else ("even", "drop"))
    ]
    dropped = sum(segment.verdict == "drop" for segment in judged)
    figures = few([f"{dropped} dropped, {len(judged) - dropped} passed", *wrong])
    text = "a data segment with an even number is dropped, one with an odd number passes"
    return Claim(text, bool(judged) and not wrong, figures)


def _verdicts_alternate(plays: list[_Play]) -> Claim:
    verdicts = [[segment.verdict for segment in play.judged] for play in plays]
    same = sum(one == other for each in verdicts for one, other in pairwise(each))
    shown = few(" ".join(each[:6]) + (" …" if each[6:] else "") for each in verdicts)
    holds = any(verdicts) and not same
    return Claim("so alternate segments are dropped", holds, f"{shown}; {same} times the same twice in a row")


def _the_odd_ones_arrive(plays: list[_Play]) -> Claim:
    wrong, figures = [], []
    for play in plays:
        expected = [(byte.seq, byte.data) for byte in play.sent if byte.seq % 2]
        arrived = [(segment.seq, segment.data) for segment in play.arrived]
        wrong += [f"seq {seq} {data!r} missing" for seq, data in expected if (seq, data) not in set(arrived)]
        wrong += [
            f"seq {seq} {data!r} should not be there" for seq, data in arrived if (seq, data) not in set(expected)
        ]
        wrong += ["not in order, or not each once"] if not wrong and arrived != expected else []
        word = "".join(data for _, data in arrived[:26])
        figures.append(f"{len(arrived)} of {len(play.sent)} bytes: {word}{'…' if arrived[26:] else ''}")
    text = "exactly the bytes with odd numbers arrive at the server, which prints them with their numbers"
    return Claim(text, any(play.sent for play in plays) and not wrong, few([*figures, *wrong]))


def _the_rest_passes(evidence: Evidence, plays: list[_Play]) -> Claim:
    rest = [segment for play in plays for segment in play.segments if segment not in play.judged]
    if _judges_all(evidence):
        wrong = [f"seq {one.seq}: {one.what}, {one.verdict}" for one in rest if _JUDGED.get(one.what) != one.verdict]
        text = "every other segment to the port is judged by its number as well (JUDGE_ALL)"
        return Claim(text, bool(rest) and not wrong, few([f"{len(rest)} segments", *wrong]))
    wrong = [f"seq {each.seq}: {each.what}, {each.verdict}" for each in rest if each.verdict != "pass"]
    for play in plays:
        said = {(segment.what, segment.seq) for segment in play.segments}
        after = (play.isn + 1) % _NUMBERS
        wrong += [f"no {what} {seq}" for what, seq in (("SYN", play.isn), ("ACK", after)) if (what, seq) not in said]
    kinds = {kind: sum(each.what == kind for each in rest) for kind in ("SYN", "ACK", "FIN")}
    figures = few([", ".join(f"{count} {kind}" for kind, count in kinds.items()), *wrong])
    text = "handshake, bare acknowledgements and FIN pass, and are printed too"
    return Claim(text, all(kinds.values()) and not wrong, figures)


def _other_packets_pass(evidence: Evidence) -> Claim:
    refused = all(answer == "connection refused" for answer in evidence.probes.values())
    figures = few(f"{what}: {answer}" for what, answer in evidence.probes.items())
    return Claim("packets that are not for the server's port pass", bool(evidence.probes) and refused, figures)


def _connections_end_in_good_order(evidence: Evidence, plays: list[_Play]) -> Claim:
    names = {play.connection for play in plays}
    ends = sum(event.connection in names for event in evidence.events(EndOfFile))
    codes = [event.code for line, event in evidence.of(Exited) if line.node in _clients(evidence)]
    closed = len(evidence.events(Closed))
    code = few(map(str, codes)) or "it has not ended"
    figures = f"{ends} ends of file at the server, {closed} closed at the client, its exit code: {code}"
    holds = ends == closed == len(plays) > 0 and bool(codes) and not any(codes)
    return Claim("every connection opens and ends in good order", holds, figures)


def _nothing_is_sent_twice(evidence: Evidence, plays: list[_Play]) -> Claim:
    twice = sum(len(play.judged) - len({segment.seq for segment in play.judged}) for play in plays)
    again = sum(node.retransmissions for name, node in evidence.sockets.items() if name in _clients(evidence))
    resets = sum(node.resets for node in evidence.sockets.values())
    resets += sum(segment.what == "RST" for play in plays for segment in play.segments)
    figures = f"{twice} numbers twice in the trace, {again} retransmissions at the client, {resets} RSTs anywhere"
    holds = bool(evidence.sockets) and any(play.judged for play in plays) and not twice + again + resets
    return Claim("the client sends no segment twice, and there is no RST", holds, figures)


def _no_socket_is_left(evidence: Evidence) -> Claim:
    left = {node: each.connections for node, each in evidence.sockets.items()}
    figures = ", ".join(f"{count} at {node}" for node, count in left.items())
    text = "within a second of the end no connection is left at either end"
    return Claim(text, len(left) > 1 and not any(left.values()), figures)


def _the_counters_agree(evidence: Evidence) -> Claim:
    counted: dict[str, int] = {}
    for program in evidence.stats.programs.values():
        for reason, count in program.reasons.items():
            counted[reason] = counted.get(reason, 0) + count.packets
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
    programs = [program for node in evidence.lab.nodes.values() for program in node.programs]
    return any(int(program.define.get("JUDGE_ALL", 0)) for program in programs)


def _clients(evidence: Evidence) -> Iterable[str]:
    return {line.node for line, _ in evidence.of(Connected)} | {line.node for line, _ in evidence.of(Fin)}
