"""Filters in tcpdump's words."""

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from netlab.errors import UsageError
from netlab.observe.packet_filter import PacketFilter, with_addresses

HOSTS = {"lb": ["10.0.0.1", "fd00::1"], "w": ["10.0.1.2"]}
REQUEST = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst="10.0.0.1") / UDP(dport=8080))
SEGMENT = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst="10.0.1.2") / TCP(dport=9000))


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("udp port 8080", (True, False)),
        ("tcp", (False, True)),
        ("host lb", (True, False)),
        ("dst host w and tcp", (False, True)),
        ("not host lb", (False, True)),
        ("tcp[13] & 2 != 0", (False, True)),
        ("len > 1000", (False, False)),
    ],
)
def test_a_filter_takes_what_its_words_say(text: str, matches: tuple[bool, bool]) -> None:
    made = PacketFilter(text, HOSTS)

    assert matches == tuple(made.matches(data, len(data)) for data in (REQUEST, SEGMENT))
    assert len(made.instructions) % 8 == 0


@pytest.mark.parametrize("text", ["udp prot 8080", "nonode and", "(", "host no-such-node.invalid"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    """The message has the words, and what libpcap says."""
    with pytest.raises(UsageError, match=r"filter '.*': expected one in tcpdump's words, such as 'udp port 8080': \w+"):
        PacketFilter(text, HOSTS)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("host lb", "(host 10.0.0.1 or host fd00::1)"),
        ("src host lb and dst host w", "(src host 10.0.0.1 or src host fd00::1) and (dst host 10.0.1.2)"),
        ("host other or port 5", "host other or port 5"),
        ("ether host lb", "ether (host 10.0.0.1 or host fd00::1)"),
    ],
)
def test_names_of_nodes_become_addresses(text: str, known: str) -> None:
    assert known == with_addresses(text, HOSTS)
