"""Ways of packets, put together from sights."""

from collections.abc import Sequence

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from netlab.observe.journeys import QUIET_NS, Ending, Hop, Journeys
from netlab.observe.seen import Seen, Verdict
from netlab.topology.hooks import XDP

# a - lb - w
PEERS = {
    ("a", "eth0"): ("lb", "eth0"),
    ("lb", "eth0"): ("a", "eth0"),
    ("lb", "eth1"): ("w", "eth0"),
    ("w", "eth0"): ("lb", "eth1"),
}
NODES = {"10.0.0.1": "a", "10.0.0.2": "lb", "10.0.1.1": "lb", "10.0.1.2": "w"}
FAR = 1 << 60


def packet(target: str = "10.0.0.2", data: bytes = b"1", ident: int = 0, port: int = 4000, mac: int = 1) -> bytes:
    """Return a request of a."""
    link = Ether(src=f"02:00:00:00:00:{mac:02x}", dst="02:00:00:00:00:99")
    return bytes(link / IP(src="10.0.0.1", dst=target, id=ident) / UDP(sport=port, dport=8080) / Raw(data))


def seen(ns: int, place: str, way: str, data: bytes, name: int = -1, reason: str = "", after: bytes = b"") -> Seen:
    """Return a sight; with the number of an XDP verdict, a program's."""
    node, interface = place.split(":")
    verdict = Verdict(node, "prog", XDP, name, reason, after or data, ns + 1, len(after or data)) if name >= 0 else None
    return Seen(ns, node, interface, way == "out", data, len(data), verdict)


def followed(sights: Sequence[Seen], protocol: int = 17) -> tuple[list[Hop | None], list[Ending]]:
    """Return the hops of these sights, and the ends of all packets."""
    journeys = Journeys(PEERS, NODES, lambda each: each.data[12:14] == b"\x08\x06" or each.data[23] == protocol)
    return [journeys.take(each) for each in sights], list(journeys.ends(FAR))


def numbers(hops: Sequence[Hop | None]) -> list[int]:
    return [hop.number if hop else 0 for hop in hops]


REWRITTEN = packet("10.0.1.2", mac=7)


def test_a_packet_is_rewritten_and_arrives() -> None:
    """By the program on arrival, which sends it on; then by a kernel that nobody tells of."""
    for told in (True, False):
        hops, ends = followed(
            [
                seen(1, "a:eth0", "out", packet()),
                seen(5, "lb:eth0", "in", packet(), *((4, "FORWARDED", REWRITTEN) if told else ())),
                seen(7, "lb:eth1", "out", REWRITTEN),
                seen(9, "w:eth0", "in", REWRITTEN),
            ]
        )

        assert [1, 1, 1, 1] == numbers(hops)
        assert [0, 4, 2, 2] == [hop.since_ns for hop in hops if hop]
        assert [Ending(1, 9, "arrived", "arrived at w", 8, 0)] == ends


def test_what_waits_goes_on_in_its_order_and_the_wait_is_told() -> None:
    """Two requests that are alike are queued; each leaves in a completion's place. A third one still waits."""
    completion = bytes(Ether() / IP(src="10.0.1.2", dst="10.0.1.1") / UDP(sport=8080, dport=9090) / Raw(b"1"))
    hops, ends = followed(
        [
            *(seen(at, "a:eth0", "out", packet()) for at in (1, 2, 3)),
            *(seen(at, "lb:eth0", "in", packet(), 1, "QUEUED") for at in (11, 12, 13)),
            seen(500, "lb:eth1", "out", completion, 2, "CARRIER_SENT", REWRITTEN),
            seen(600, "lb:eth1", "out", completion, 2, "CARRIER_SENT", REWRITTEN),
            seen(601, "w:eth0", "in", REWRITTEN),
            seen(602, "w:eth0", "in", REWRITTEN),
        ]
    )

    assert [1, 2, 3, 1, 2, 3, 1, 2, 1, 2] == numbers(hops)
    assert [True, True] == [hop.waited for hop in hops[6:8] if hop]
    assert {(1, "arrived", 489), (2, "arrived", 588), (3, "waits", 0)} == {
        (e.number, e.what, e.waited_ns) for e in ends
    }
    assert "waits at lb: prog has kept it (QUEUED)" in [end.text for end in ends]


@pytest.mark.parametrize(
    ("sights", "what", "text"),
    [
        (
            [seen(1, "a:eth0", "out", packet())],
            "lost",
            "was not seen again after it left a:eth0: lost on the link to lb:eth0",
        ),
        (
            [seen(1, "a:eth0", "out", packet()), seen(2, "lb:eth0", "in", packet(), 1, "DROP_OLD")],
            "dropped",
            "ends at lb:eth0: prog dropped it (XDP_DROP DROP_OLD)",
        ),
        (
            [seen(2, "lb:eth0", "in", packet(), 1, "DROP_QUEUE_FULL")],
            "dropped",
            "ends at lb:eth0: prog dropped it (XDP_DROP DROP_QUEUE_FULL)",
        ),
        (
            [seen(2, "lb:eth0", "in", packet("10.9.9.9"), 2)],
            "arrived",
            "arrived at lb",
        ),
        (
            [seen(2, "lb:eth0", "in", packet("10.0.1.2"), 2)],
            "lost",
            "ends in lb, which did not send it on: no route, a firewall, or its TTL",
        ),
        (
            [seen(2, "lb:eth0", "in", packet(), 4, "", REWRITTEN)],
            "lost",
            "was not seen again after prog sent it on from lb:eth0 (XDP_REDIRECT)",
        ),
    ],
)
def test_where_a_packet_has_ended_and_why(sights: list[Seen], what: str, text: str) -> None:
    _, ends = followed(sights)

    assert [(what, text)] == [(end.what, end.text) for end in ends]


def test_what_nobody_wants_is_not_followed() -> None:
    hops, ends = followed([seen(1, "a:eth0", "out", packet())], protocol=6)

    assert ([None], []) == (hops, ends)


def test_retransmissions_and_floods_are_told_apart() -> None:
    """The same segment sent again is another packet; of a frame that leaves by two ports, one is a copy."""
    asks = bytes(Ether() / ARP(psrc="10.0.0.1", pdst="10.0.0.9"))
    peers = {**PEERS, ("lb", "eth2"): ("v", "eth0"), ("v", "eth0"): ("lb", "eth2")}
    journeys = Journeys(peers, NODES, lambda _: True)
    places = [
        ("a:eth0", "out"),
        ("lb:eth0", "in"),
        ("lb:eth1", "out"),
        ("lb:eth2", "out"),
        ("w:eth0", "in"),
        ("v:eth0", "in"),
    ]
    hops = [journeys.take(seen(at, place, way, asks)) for at, (place, way) in enumerate(places, 1)]
    again = journeys.take(seen(1_000_000_000, "a:eth0", "out", asks))

    assert [1] * 6 == numbers(hops)
    assert [False, False, False, True, False, False] == [hop.copy for hop in hops if hop]
    assert again
    assert again.number == 2


def test_packets_with_other_numbers_are_others() -> None:
    """IPv4's number of the packet tells apart what is alike otherwise."""
    hops, _ = followed(
        [
            seen(1, "lb:eth0", "in", packet(ident=7)),
            seen(2, "lb:eth0", "in", packet(ident=8)),
            seen(3, "lb:eth1", "out", packet("10.0.1.2", ident=8)),
            seen(4, "lb:eth1", "out", packet("10.0.1.2", ident=7)),
        ]
    )

    assert [1, 2, 2, 1] == numbers(hops)


def test_an_end_is_told_once_and_what_comes_later_still_belongs_to_it() -> None:
    journeys = Journeys(PEERS, NODES, lambda _: True)
    journeys.take(seen(1, "lb:eth0", "in", packet(), 1, "QUEUED"))
    first, again = list(journeys.ends(QUIET_NS + 2)), list(journeys.ends(QUIET_NS + 3))
    late = journeys.take(seen(2 * QUIET_NS, "lb:eth1", "out", REWRITTEN))

    assert (["waits"], []) == ([end.what for end in first], again)
    assert late
    assert (1, True) == (late.number, late.waited)


def test_segments_are_told_apart_by_their_numbers() -> None:
    """Segments with the same data and other numbers are others."""

    def segment(seq: int) -> bytes:
        whole: Packet = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2, seq=seq) / Raw(b"x")
        return bytes(whole)

    sights = [
        *(seen(seq, "a:eth0", "out", segment(seq)) for seq in (1, 2)),
        *(seen(10 - seq, "lb:eth0", "in", segment(seq)) for seq in (2, 1)),
    ]
    hops, _ = followed(sights, protocol=6)

    assert [1, 2, 2, 1] == numbers(hops)
