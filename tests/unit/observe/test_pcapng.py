"""Blocks of pcapng, read by other code than writes them."""

from netlab.observe import pcapng
from netlab.topology.hooks import INGRESS, XDP
from tests.pcapng import read

NS = 1_700_000_000_123_456_789


def test_a_file_is_what_was_put_in() -> None:
    """Names, times to the nanosecond, bytes of any length, verdicts, comments, and what was lost."""
    odd, cut = b"12345", b"abcd"
    about = (pcapng.comment("kept: é"), pcapng.same_packet(9), pcapng.verdict(XDP, 1))
    blocks = [
        pcapng.section("the lab"),
        pcapng.interface("a:eth0", "to b", 1 << 18),
        pcapng.interface("b:eth0", "to a", 1 << 18, "udp"),
        pcapng.packet(0, NS, odd, 5, pcapng.OUTBOUND),
        pcapng.packet(1, NS + 1, cut, 1500, pcapng.INBOUND, about),
        pcapng.packet(1, NS + 2, b"", 60, pcapng.INBOUND, (pcapng.verdict(INGRESS, (1 << 32) - 1),)),
        pcapng.statistics(0, NS, 3, 0),
        pcapng.statistics(1, NS, 3, 2, "two"),
    ]
    found = read(b"".join(blocks))

    assert ("the lab", ["a:eth0", "b:eth0"]) == (found.comment, found.interfaces)
    assert [
        ("a:eth0", NS, odd, 5, 2, None, None, ""),
        ("b:eth0", NS + 1, cut, 1500, 1, (2, 1), 9, "kept: é"),
        ("b:eth0", NS + 2, b"", 60, 1, (1, (1 << 32) - 1), None, ""),
    ] == found.packets
    assert ({"a:eth0": 0, "b:eth0": 2}, "two") == (found.lost, found.notes["b:eth0"])
