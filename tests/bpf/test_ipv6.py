"""The balancer and IPv6: what it does to each packet, as test_balancer and test_healing say it of IPv4."""

from functools import partial

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from netlab.balancer import Healer
from tests.bpf.rig import (
    CLIENT,
    CLIENT6,
    CLIENT_MAC,
    COMPLETION,
    DROP,
    LB6,
    LB_MAC,
    PASS,
    REDIRECT,
    SERVICE,
    Rig,
    address_of,
    addressed,
    completion,
    request,
)
from tests.bpf.test_healing import REPORTS, reply, report

pytestmark = pytest.mark.root

request6, completion6 = partial(request, version=6), partial(completion, version=6)
ETHERNET = Ether(src=CLIENT_MAC, dst=LB_MAC)
GROUP = Ether(src=CLIENT_MAC, dst="33:33:00:00:00:01")
TO_US = ETHERNET / IPv6(src=CLIENT6, dst=LB6)
NO_HEADER, ESP = 59, 50
EXTENSIONS = {
    "hop-by-hop options": 0,
    "routing": 43,
    "fragment": 44,
    "authentication": 51,
    "destination options": 60,
    "mobility": 135,
}
MARTIANS = ("::", "::1", "::ffff:10.0.0.2", "::ffff:127.0.0.1", "ff02::1", "ff0e::8")


def extended(packet: Packet, kind: int) -> bytes:
    """Return a packet with a header of eight bytes between IPv6 and UDP."""
    return bytes(ETHERNET / IPv6(src=packet[IPv6].src, dst=LB6, nh=kind) / (b"\x11" + bytes(7) + bytes(packet[UDP])))


def carrying(protocol: int, data: bytes) -> bytes:
    return bytes(ETHERNET / IPv6(src=CLIENT6, dst=LB6, nh=protocol) / data)


# name, packet, reason
UNTOUCHED_V6 = [
    ("ethernet header alone", bytes(request6())[:14], "PASS_MALFORMED_IP"),
    ("ip header cut", bytes(request6())[:53], "PASS_MALFORMED_IP"),
    ("cut behind the ip header", bytes(request6())[:54], "PASS_MALFORMED_IP"),
    ("udp header cut", bytes(request6())[:60], "PASS_MALFORMED_IP"),
    ("version 4 in an IPv6 frame", bytes(request6(ip_version=4)), "PASS_MALFORMED_IP"),
    ("IPv4 in an IPv6 frame", bytes(request6())[:14] + bytes(request(bytes(40)))[14:], "PASS_MALFORMED_IP"),
    ("IPv6 in an IPv4 frame", bytes(request())[:14] + bytes(request6())[14:], "PASS_MALFORMED_IP"),
    ("payload length beyond the frame by one", bytes(request6(ip_plen=10)), "PASS_MALFORMED_IP"),
    ("payload length beyond any frame", bytes(request6(ip_plen=65535)), "PASS_MALFORMED_IP"),
    ("payload length below a UDP header", bytes(request6(ip_plen=7)), "PASS_TRUNCATED_UDP"),
    ("payload length 0, as jumbograms have it", bytes(request6(ip_plen=0)), "PASS_TRUNCATED_UDP"),
    ("no room for ports", carrying(17, b"1234"), "PASS_TRUNCATED_UDP"),
    ("ping", TO_US / ICMPv6EchoRequest(), "PASS_NOT_UDP"),
    ("neighbour solicitation", TO_US / ICMPv6ND_NS(tgt=LB6), "PASS_NOT_UDP"),
    ("tcp to the service port", TO_US / TCP(dport=SERVICE), "PASS_NOT_UDP"),
    ("encrypted", carrying(ESP, bytes(40)), "PASS_NOT_UDP"),
    ("no next header", carrying(NO_HEADER, b""), "PASS_NOT_UDP"),
    ("no next header, but data", carrying(NO_HEADER, bytes(request6()[UDP])), "PASS_NOT_UDP"),
    *((f"{name} before a request", extended(request6(), n), "PASS_IPV6_EXTENSION") for name, n in EXTENSIONS.items()),
    ("routing before a completion", extended(completion6(1), 43), "PASS_IPV6_EXTENSION"),
    ("routed udp to a worker", request6(ip_dst="fd00:0:0:1::2"), "PASS_NOT_LOCAL"),
    ("routed udp to the completion port", completion6(1, ip_dst="fd00:0:0:2::2"), "PASS_NOT_LOCAL"),
    ("to all nodes", GROUP / request6(ip_dst="ff02::1").payload, "PASS_NOT_LOCAL"),
    ("to our IPv4 address, mapped", request6(ip_dst="::ffff:10.0.0.1"), "PASS_MARTIAN"),
    ("another port", request6(udp_dport=53), "PASS_OTHER_PORT"),
    ("another host's MAC", Ether(src=CLIENT_MAC, dst="02:00:00:00:00:99") / request6().payload, "PASS_OTHER_HOST"),
    *((f"from {source}", request6(ip_src=source), "PASS_MARTIAN") for source in MARTIANS),
    ("completion from a mapped address", completion6(1, ip_src="::ffff:10.0.1.2"), "PASS_MARTIAN"),
]
FORGED_V6 = [
    ("completion from the client", completion6(1, ip_src=CLIENT6), "COMPLETION_STRANGER"),
    ("completion from the balancer itself", completion6(1, ip_src=LB6), "COMPLETION_STRANGER"),
    ("one too many", completion6(2), "COMPLETION_EXCESS"),
]
LIES_V6 = [
    *((f"udp length {length}", request6(udp_len=length), "DROP_BAD_LENGTH") for length in (7, 0, 10, 65535)),
    ("completion's udp length", completion6(1, udp_len=3), "DROP_BAD_LENGTH"),
    ("request without a checksum", request6(udp_chksum=0), "DROP_NO_CHECKSUM"),
    ("completion without a checksum", completion6(1, udp_chksum=0), "DROP_NO_CHECKSUM"),
    ("too long", request6(bytes(1453)), "DROP_TOO_LONG"),
]


@pytest.fixture
def lb(rig: Rig) -> Rig:
    """A balancer with two workers of one thread, which have reported once."""
    rig.reset(backends=2, capacity=1, report_port=REPORTS)
    for worker in (1, 2):
        assert rig.push(report(worker, 0, 0, version=6))[2] == "REPORT_BEGUN"
    return rig


@pytest.fixture
def replying(rig: Rig) -> Rig:
    """A balancer with one worker of two threads, which replies free."""
    rig.reset(backends=1, capacity=2, replies=True)
    return rig


def names(cases: list[tuple[str, object, str]]) -> list[str]:
    return [name for name, _, _ in cases]


# --- requests and completions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("packet", "reason"), [case[1:] for case in UNTOUCHED_V6], ids=names(UNTOUCHED_V6))
def test_what_is_no_request_passes_untouched(rig: Rig, packet: Packet | bytes, reason: str) -> None:
    """Everything but requests and completions reaches the stack byte for byte, for a named reason."""
    rig.reset()

    assert rig.push(packet) == (PASS, bytes(packet), reason)
    assert (rig.free(), rig.now().depth) == ((5, 5, 5), 0)


@pytest.mark.parametrize(
    ("packet", "reason"), [case[1:] for case in FORGED_V6 + LIES_V6], ids=names(FORGED_V6 + LIES_V6)
)
def test_what_lies_is_dropped_by_name(rig: Rig, packet: Packet, reason: str) -> None:
    """It takes no thread and frees none."""
    rig.reset()
    rig.push(request6())

    assert rig.push(packet)[::2] == (DROP, reason)
    assert (rig.free(), rig.now().counters["completions"]) == ((4, 5, 5), 0)


@pytest.mark.parametrize("payload", [b"", b"1", b"12", bytes(range(256)) * 2, bytes(511), bytes(1452)], ids=len)
@pytest.mark.parametrize("address", [LB6, "fd00:0:0:1::1"])
def test_a_request_goes_to_a_worker_with_its_checksum_right(rig: Rig, payload: bytes, address: str) -> None:
    """MACs, destination and checksum are those of a packet built for the worker; the source stays."""
    rig.reset()
    packet = request6(payload, ip_dst=address, ip_tc=7, ip_fl=0x12345, ip_hlim=3)

    assert rig.push(packet) == (REDIRECT, addressed(packet, 1), "FORWARDED")
    assert rig.free() == (4, 5, 5)


@pytest.mark.parametrize("mac", ["ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"])
def test_a_request_to_a_group_of_hosts_is_ours(rig: Rig, mac: str) -> None:
    rig.reset()

    assert rig.push(Ether(src=CLIENT_MAC, dst=mac) / request6().payload)[2] == "FORWARDED"


def test_what_stands_behind_a_packet_is_neither_forwarded_nor_queued(rig: Rig) -> None:
    rig.reset(backends=1, capacity=1)
    padded = bytes(request6(b"7")) + bytes(1000)

    assert rig.push(padded)[:2] == (REDIRECT, addressed(request6(b"7"), 1))
    assert rig.push(padded)[2] == "QUEUED"
    assert rig.waiting() == [bytes(request6(b"7"))]


def test_a_wrong_checksum_stays_wrong(rig: Rig) -> None:
    rig.reset()
    wrong, expected = bytearray(bytes(request6(b"1"))), bytearray(addressed(request6(b"1"), 1))
    wrong[-1] ^= 0x10
    expected[-1] ^= 0x10

    assert rig.push(bytes(wrong))[1] == bytes(expected)


@pytest.mark.parametrize("version", [4, 6])
def test_requests_of_both_families_wait_in_one_queue(rig: Rig, version: int) -> None:
    """First in, first out, byte for byte, on completions of either family."""
    rig.reset(backends=2, capacity=1)
    for _ in range(2):
        rig.push(request6())
    waiting = [request(bytes([length % 251]) * length, 4 + length % 3 % 2 * 2) for length in (0, 1, 512, 1452)]
    waiting += [request6(b"x" * length) for length in (0, 1, 512, 1452)]
    assert {packet.haslayer(IPv6) for packet in waiting} == {True, False}
    for packet in waiting:
        assert rig.push(packet)[::2] == (DROP, "QUEUED")

    for number, packet in enumerate(waiting):
        worker = number % 2 + 1
        assert rig.push(completion(worker, version=version))[::2] == (REDIRECT, "COMPLETION_CARRIED")
        assert rig.carry(worker, version) == (PASS, addressed(packet, worker))
    assert (rig.free(), rig.now().depth) == ((0, 0), 0)


@pytest.mark.parametrize("payload", [b"", b"anything", bytes(1452)], ids=len)
def test_a_completion_frees_a_thread_that_the_other_family_took(rig: Rig, payload: bytes) -> None:
    """Threads know no family."""
    rig.reset()
    rig.push(request())
    rig.push(request6())

    assert rig.push(completion6(1, payload))[::2] == (DROP, "COMPLETION_FREED")
    assert rig.push(completion(2, payload))[::2] == (DROP, "COMPLETION_FREED")
    assert rig.free() == (5, 5, 5)


def test_a_completion_on_another_interface_changes_nothing(rig: Rig) -> None:
    rig.reset()
    rig.push(request6())
    with rig.backend_interface(1, ifindex=4711):
        assert rig.push(completion6(1))[::2] == (DROP, "COMPLETION_WRONG_INTERFACE")
    assert rig.free() == (4, 5, 5)


def test_egress_lets_forwarded_requests_out_unchanged(rig: Rig) -> None:
    rig.reset()
    sent = addressed(request6(b"1"), 2)
    run = rig.egress.test_run(sent)

    assert (run.verdict, run.packet, rig.carrier_counts()) == (PASS, sent, {})


def test_a_request_from_a_backend_is_a_request(rig: Rig) -> None:
    rig.reset()

    assert rig.push(request6(ip_src=address_of(1, 6)))[2] == "FORWARDED"


def test_the_completion_port_takes_no_requests(rig: Rig) -> None:
    rig.reset()

    assert rig.push(request6(udp_dport=COMPLETION))[2] == "COMPLETION_STRANGER"


@pytest.mark.parametrize(("missing", "there"), [(6, 4), (4, 6)])
def test_a_family_that_a_backend_lacks_is_not_served(rig: Rig, missing: int, there: int) -> None:
    """A queued request must suit whichever thread becomes free; completions and reports count in any family."""
    rig.reset(capacity=1, without={2: missing}, report_port=REPORTS)
    packet = bytes(request(version=missing))

    assert rig.push(packet) == (PASS, packet, "PASS_OTHER_FAMILY")
    assert (rig.free(), rig.now().counters["received"]) == ((1, 1, 1), 0)
    assert [rig.push(request(version=there))[2] for _ in range(4)] == ["FORWARDED"] * 3 + ["QUEUED"]
    assert rig.push(packet)[2] == "PASS_OTHER_FAMILY"
    assert rig.push(completion(2, version=missing))[2] == "COMPLETION_STRANGER"
    assert rig.push(report(2, 0, 0, version=missing))[2] == "REPORT_STRANGER"
    assert rig.push(completion(1, version=missing))[2] == "COMPLETION_CARRIED"
    assert rig.carry(1, missing) == (PASS, addressed(request(version=there), 1))


def test_a_healer_speaks_for_a_backend_without_ipv4(rig: Rig) -> None:
    """The frames that it hands to the program then look like IPv6 completions."""
    rig.reset(backends=1, capacity=1, without={1: 4}, report_port=REPORTS)
    rig.push(report(1, 0, 0, version=6))
    for _ in range(2):
        rig.push(request6())
    healer = Healer(rig.pins)

    assert (healer.watch(), healer.kick()) == (0, 0)
    rig.push(report(1, 1, 1, version=6))
    assert healer.kick() == 1
    assert rig.counts()["KICKED"].packets == 1


# --- reports ----------------------------------------------------------------------------------------------------------


def test_reports_of_both_families_are_of_one_backend(lb: Rig) -> None:
    """A completion that was lost is told by IPv6, of a request that came by IPv4."""
    assert lb.push(request())[2] == "FORWARDED"
    assert lb.push(report(1, 1, 0))[2] == "REPORT_AGREED"

    assert lb.push(report(1, 1, 1, version=6))[2] == "REPORT_COMPLETION_LOST"
    assert lb.push(report(1, 1, 0))[2] == "REPORT_OLD"
    assert lb.free() == (1, 1)


def test_a_report_carries_a_queued_request(lb: Rig) -> None:
    for number in range(3):
        lb.push(request6(str(number).encode()))

    assert lb.push(report(1, 1, 1, version=6))[::2] == (REDIRECT, "REPORT_COMPLETION_LOST")
    assert lb.carry(1, 6) == (PASS, addressed(request6(b"2"), 1))


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (report(3, 1, 1, version=6), "REPORT_STRANGER"),
        (report(1, 1, 1, version=6, ip_src=CLIENT6), "REPORT_STRANGER"),
        (completion6(1, b"NLR1" + bytes(35), udp_dport=REPORTS), "REPORT_MALFORMED"),
        (report(1, 1, 1, version=6, udp_chksum=0), "DROP_NO_CHECKSUM"),
        (report(1, 1, 1, version=6, udp_len=5), "DROP_BAD_LENGTH"),
    ],
    ids=["no worker", "client", "short", "without a checksum", "udp length"],
)
def test_what_is_no_report_is_dropped_by_name(lb: Rig, packet: Packet, reason: str) -> None:
    lb.push(request6())

    assert lb.push(packet)[::2] == (DROP, reason)
    assert lb.free() == (0, 1)


def test_a_report_from_another_interface_is_forged(lb: Rig) -> None:
    with lb.backend_interface(1, 99):
        assert lb.push(report(1, 9, 9, version=6))[2] == "REPORT_WRONG_INTERFACE"


# --- replies ----------------------------------------------------------------------------------------------------------


def sent_on(packet: Packet, asked: str) -> bytes:
    """Return an answer as the client must get it, built from scratch."""
    expected = Ether(bytes(packet))
    expected.src, expected.dst = LB_MAC, CLIENT_MAC
    expected[IPv6].src = asked
    del expected[UDP].chksum
    return bytes(expected)


@pytest.mark.parametrize("payload", [b"", b"1", b"answer", bytes(1452)], ids=len)
@pytest.mark.parametrize("asked", [LB6, "fd00:0:0:1::1"])
def test_an_answer_comes_from_the_address_that_was_asked(replying: Rig, asked: str, payload: bytes) -> None:
    """Rewritten where it leaves, with the MACs of the request turned round and the checksum right."""
    assert replying.push(request6(ip_dst=asked))[2] == "FORWARDED"
    packet = bytes(reply(1, payload, version=6))

    assert replying.push(packet) == (REDIRECT, packet, "REPLY_FREED")
    run = replying.egress.test_run(packet, ingress_ifindex=1)
    assert (run.verdict, run.packet) == (PASS, sent_on(reply(1, payload, version=6), asked))
    assert replying.carrier_counts() == {"REPLY_SENT": 1}


def test_an_answer_frees_one_thread_and_no_more_than_it_was_asked(replying: Rig) -> None:
    for _ in range(2):
        replying.push(request6())
    answers = [replying.push(reply(1, version=6))[2] for _ in range(3)]

    assert answers == ["REPLY_FREED", "REPLY_FREED", "REPLIED"]
    assert replying.free() == (2,)


def test_where_completions_free_an_answer_frees_nothing(rig: Rig) -> None:
    rig.reset(backends=1, capacity=2)
    rig.push(request6())

    assert rig.push(reply(1, version=6))[2] == "REPLIED"
    assert rig.free() == (1,)


@pytest.mark.parametrize(
    "packet",
    [
        reply(1, version=6, udp_dport=40001),
        reply(1, version=6, ip_dst="fd00::9"),
        reply(1, version=6, udp_sport=SERVICE + 1),
        reply(2, version=6),
        reply(1, version=6, udp_len=200),
        reply(1, version=6, udp_len=7),
        reply(1, version=6, udp_chksum=0),
        reply(1, version=4),
    ],
    ids=["another port", "another client", "not the service", "no worker", "long", "short", "no checksum", "IPv4"],
)
def test_what_is_no_answer_to_a_request_passes(replying: Rig, packet: Packet) -> None:
    """Untouched, and no thread is freed."""
    replying.push(request6())

    assert replying.push(packet) == (PASS, bytes(packet), "PASS_NOT_LOCAL")
    assert replying.free() == (1,)


def test_an_answer_of_ipv4_may_have_no_checksum(replying: Rig) -> None:
    """And gets none; in IPv6 there must be one."""
    replying.push(request())
    packet = bytes(reply(1, udp_chksum=0))

    assert replying.push(packet)[2] == "REPLY_FREED"
    assert Ether(replying.egress.test_run(packet, ingress_ifindex=1).packet)[UDP].chksum == 0


def test_flows_of_the_families_are_told_apart(replying: Rig) -> None:
    """The same client asks by both; nobody answers for IPv4 by an IPv6 packet between mapped addresses."""
    replying.push(request())
    forged = bytes(reply(1, version=6, ip_src=f"::ffff:{address_of(1, 4)}", ip_dst=f"::ffff:{CLIENT}"))

    assert replying.push(forged) == (PASS, forged, "PASS_MARTIAN")
    assert replying.egress.test_run(forged, ingress_ifindex=1).verdict == DROP
    assert replying.push(reply(1, version=6))[2] == "PASS_NOT_LOCAL"
    replying.push(request6())
    assert [replying.push(reply(1, version=version))[2] for version in (6, 6, 4, 4)] == [
        "REPLY_FREED", "REPLIED", "REPLY_FREED", "REPLIED"
    ]  # fmt: skip


def test_a_request_that_waited_is_answered_too(replying: Rig) -> None:
    """It is carried by the answer to one of the other family."""
    for _ in range(2):
        replying.push(request())
    assert replying.push(request6(udp_sport=40009))[2] == "QUEUED"
    replying.push(reply(1))
    assert replying.carry(1)[0] == PASS

    assert replying.push(reply(1, version=6, udp_dport=40009))[2] == "REPLY_FREED"
