"""What the balancer does to each packet, seen through BPF_PROG_TEST_RUN."""

import random

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from netlab import balancer
from netlab.errors import NetlabError
from tests.bpf.rig import (
    CLIENT,
    CLIENT_MAC,
    COMPLETION,
    DROP,
    LB,
    LB_MAC,
    LOCAL,
    PASS,
    REDIRECT,
    SERVICE,
    Rig,
    addressed,
    backend,
    completion,
    request,
)

pytestmark = pytest.mark.root


def chosen(out: bytes) -> int:
    """Which worker a forwarded packet is addressed to."""
    return int(Ether(out)[IP].dst.split(".")[2])


ETHERNET = Ether(src=CLIENT_MAC, dst=LB_MAC)  # or scapy would look for them
MARTIANS = ("0.0.0.1", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255")
# name, packet, reason
UNTOUCHED = [
    ("arp", ETHERNET / ARP(), "PASS_NOT_IP"),
    ("vlan tag", ETHERNET / Dot1Q(vlan=5) / IP(dst=LB) / UDP(dport=SERVICE), "PASS_NOT_IP"),
    ("ethernet header alone", ETHERNET / b"", "PASS_NOT_IP"),
    ("ip header cut", bytes(request())[:30], "PASS_MALFORMED_IP"),
    ("ihl too small", bytes(request(ip_ihl=4)), "PASS_MALFORMED_IP"),
    ("version 6 in an IPv4 frame", bytes(request(ip_version=6)), "PASS_MALFORMED_IP"),
    ("total length below the header", bytes(request(ip_len=19)), "PASS_MALFORMED_IP"),
    ("total length beyond the frame", bytes(request(ip_len=30)), "PASS_MALFORMED_IP"),
    ("ihl beyond the total length", bytes(request(ip_ihl=15)), "PASS_MALFORMED_IP"),
    ("ping", ETHERNET / IP(dst=LB) / ICMP(), "PASS_NOT_UDP"),
    ("tcp to the service port", ETHERNET / IP(dst=LB) / TCP(dport=SERVICE), "PASS_NOT_UDP"),
    ("routed udp to a worker", request(ip_dst="10.0.1.2"), "PASS_NOT_LOCAL"),
    ("routed udp to the completion port", completion(1, ip_dst="10.0.2.2"), "PASS_NOT_LOCAL"),
    ("first fragment", request(ip_flags="MF"), "PASS_FRAGMENT"),
    ("last fragment", request(ip_frag=10), "PASS_FRAGMENT"),
    ("ip options", bytes(ETHERNET / IP(dst=LB, options=[b"\x01"] * 4) / UDP(dport=SERVICE) / b"1"), "PASS_IP_OPTIONS"),
    ("no room for ports", ETHERNET / IP(dst=LB, proto=17) / b"1234", "PASS_TRUNCATED_UDP"),
    (
        "padding where ports would be",
        bytes(ETHERNET / IP(dst=LB, proto=17, len=24) / b"12341234"),
        "PASS_TRUNCATED_UDP",
    ),
    ("another port", request(udp_dport=53), "PASS_OTHER_PORT"),
    ("another host's MAC", Ether(src=CLIENT_MAC, dst="02:00:00:00:00:99") / request().payload, "PASS_OTHER_HOST"),
    ("wrong header checksum", request(ip_chksum=1), "PASS_MALFORMED_IP"),
    ("completion with a wrong header checksum", completion(1, ip_chksum=1), "PASS_MALFORMED_IP"),
    *((f"from {source}", request(ip_src=source), "PASS_MARTIAN") for source in MARTIANS),
]


@pytest.mark.parametrize(("packet", "reason"), [case[1:] for case in UNTOUCHED], ids=[case[0] for case in UNTOUCHED])
def test_what_is_no_request_passes_untouched(rig: Rig, packet: object, reason: str) -> None:
    """Everything but requests and completions reaches the stack byte for byte, for a named reason."""
    rig.reset()
    verdict, out, counted = rig.push(bytes(packet))  # type: ignore[call-overload]

    assert (verdict, counted, out) == (PASS, reason, bytes(packet))  # type: ignore[call-overload]
    assert (rig.free(), rig.now().depth) == ((5, 5, 5), 0)


def test_everything_passes_before_the_role_has_set_it_up(rig: Rig) -> None:
    """A program without settings is transparent."""
    rig.reset(ready=False)

    assert rig.push(request())[::2] == (PASS, "PASS_UNCONFIGURED")


@pytest.mark.parametrize("length", [7, 0, 10, 65535])
def test_a_request_whose_udp_length_lies_is_dropped(rig: Rig, length: int) -> None:
    """A UDP length below its header or beyond the packet would be dropped by any receiver."""
    rig.reset()

    assert rig.push(request(udp_len=length))[::2] == (DROP, "DROP_BAD_LENGTH")
    assert rig.free() == (5, 5, 5)


@pytest.mark.parametrize("payload", [b"", b"1", b"12", b"0.25", bytes(511), bytes(range(256)) * 5, bytes(1472)])
@pytest.mark.parametrize("address", [LB, "10.0.1.1"])
def test_a_request_goes_to_a_worker_with_its_checksums_right(rig: Rig, payload: bytes, address: str) -> None:
    """MACs, destination and both checksums are those of a packet built for the worker; the source stays."""
    rig.reset()
    packet = request(payload, ip_dst=address)
    verdict, out, counted = rig.push(packet)

    assert (verdict, counted) == (REDIRECT, "FORWARDED")
    assert out == addressed(packet, 1)
    assert rig.free() == (4, 5, 5)


def test_a_computed_zero_checksum_is_written_as_ones(rig: Rig) -> None:
    """RFC 768: 0 would mean that the sender computed none."""
    rig.reset()
    # The two last bytes of the data are chosen so that the checksum for worker1 is zero before the rule.
    bare = bytearray(addressed(request(b"ab\0\0"), 1))
    filler = Ether(bytes(bare))[UDP].chksum
    packet = request(b"ab" + filler.to_bytes(2, "big"))
    _, out, _ = rig.push(packet)

    assert Ether(out)[UDP].chksum == 0xFFFF
    assert out == addressed(packet, 1)


def test_no_checksum_stays_none(rig: Rig) -> None:
    """A zero UDP checksum means there is none, and none is invented."""
    rig.reset()
    packet = request(b"1", udp_chksum=0)
    _, out, _ = rig.push(packet)

    assert Ether(out)[UDP].chksum == 0
    assert out == addressed(packet, 1)


def test_a_wrong_checksum_stays_wrong(rig: Rig) -> None:
    """The balancer does not launder what arrived damaged."""
    rig.reset()
    right, wrong = request(b"1"), bytearray(bytes(request(b"1")))
    wrong[-1] ^= 0x10
    _, out, _ = rig.push(bytes(wrong))
    expected = bytearray(addressed(right, 1))
    expected[-1] ^= 0x10

    assert out == bytes(expected)


def test_ethernet_padding_is_not_queued(rig: Rig) -> None:
    """A short frame padded to 60 bytes leaves the queue as long as its IP packet."""
    rig.reset(backends=1, capacity=1)
    rig.push(request())
    rig.push(bytes(request(b"7")) + bytes(17))
    rig.push(completion(1))

    assert rig.carry(1) == (PASS, addressed(request(b"7"), 1))


def test_what_stands_behind_a_packet_is_not_forwarded(rig: Rig) -> None:
    """A trailer could make the frame too long for the backend's link, and a thread would be lost with it."""
    rig.reset()
    verdict, out, _ = rig.push(bytes(request(b"7")) + bytes(1000))

    assert (verdict, out) == (REDIRECT, addressed(request(b"7"), 1))


@pytest.mark.parametrize("mac", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"])
def test_a_request_to_a_group_of_hosts_is_ours(rig: Rig, mac: str) -> None:
    """As the stack would have it."""
    rig.reset()

    assert rig.push(Ether(dst=mac) / request().payload)[2] == "FORWARDED"


def test_setting_up_again_keeps_the_state(rig: Rig) -> None:
    """The state must not be written under traffic: what may have been changed since stays, other ports are refused."""
    rig.reset(capacity=2)
    rig.push(request())
    backends = tuple(backend(index, 2) for index in (1, 2, 3))
    same = balancer.Settings(SERVICE, COMPLETION, "most-free", backends, (balancer.Interface("lo", LB_MAC, LOCAL),))

    assert not balancer.set_up(rig.pins, same)
    assert rig.counts()["ROLE_RESUMED"].packets == 1
    assert rig.free() == (1, 2, 2)
    assert not balancer.set_up(rig.pins, same._replace(policy="random"))
    assert (rig.now().policy, rig.free()) == ("most-free", (1, 2, 2))
    for other in (same._replace(service_port=8081), same._replace(replies=True)):
        with pytest.raises(NetlabError, match="other ports"):
            balancer.set_up(rig.pins, other)


def test_slots_too_small_for_the_links_are_refused(rig: Rig) -> None:
    """A request that can be forwarded can also wait."""
    rig.reset(ready=False)
    long = (backend(1)._replace(mtu=3000),)
    with pytest.raises(NetlabError, match="compiled for frames of"):
        balancer.set_up(rig.pins, balancer.Settings(SERVICE, COMPLETION, "random", long, ()))


ORDERS = [
    ("most-free", [1, 2, 3, 1, 2, 3, 1, 2, 3]),
    ("round-robin", [1, 2, 3, 1, 2, 3, 1, 2, 3]),
    ("first-free", [1, 1, 1, 2, 2, 2, 3, 3, 3]),
]


@pytest.mark.parametrize(("policy", "order"), ORDERS)
def test_policies_choose_in_their_order(rig: Rig, policy: str, order: list[int]) -> None:
    """Nine requests to three workers with three threads each."""
    rig.reset(capacity=3, policy=policy)

    assert [chosen(rig.push(request())[1]) for _ in order] == order
    assert rig.push(request())[2] == "QUEUED"


def test_most_free_prefers_the_idler(rig: Rig) -> None:
    """The worker with most free threads is taken, whoever's turn it is; round robin goes by turn."""
    for policy, expected in (("most-free", 2), ("round-robin", 3)):
        rig.reset(capacity=3, policy=policy)
        for _ in range(8):  # worker3 keeps one free thread
            rig.push(request())
        rig.push(completion(2))
        rig.push(completion(2))

        assert chosen(rig.push(request())[1]) == expected


def test_random_uses_every_worker_about_equally(rig: Rig) -> None:
    """Each of three workers gets a third of 3,000 requests, within five standard deviations."""
    rig.reset(capacity=2000, policy="random")
    for _ in range(3000):
        rig.push(request())
    used = [2000 - free for free in rig.free()]

    assert sum(used) == 3000
    assert all(abs(each - 1000) < 5 * (3000 * 1 / 3 * 2 / 3) ** 0.5 for each in used)


def test_random_skips_workers_without_a_free_thread(rig: Rig) -> None:
    """No request waits while any thread is free."""
    rig.reset(capacity=4, policy="random")

    assert {rig.push(request())[2] for _ in range(12)} == {"FORWARDED"}
    assert rig.free() == (0, 0, 0)


def test_requests_wait_in_order_and_leave_whole(rig: Rig) -> None:
    """Requests of every length leave first in, first out, to the worker whose thread became free, byte for byte."""
    rig.reset(backends=2, capacity=1)
    source = random.Random(1)
    for _ in range(2):
        rig.push(request())
    waiting = [request(source.randbytes(length), ip_id=length) for length in (1, 2, 17, 512, 1471, 1472, 0, 3)]
    for depth, packet in enumerate(waiting, 1):
        assert rig.push(packet)[::2] == (DROP, "QUEUED")
        assert rig.now().depth == depth

    for number, packet in enumerate(waiting):
        worker = number % 2 + 1
        assert rig.push(completion(worker))[::2] == (REDIRECT, "COMPLETION_CARRIED")
        assert rig.carry(worker) == (PASS, addressed(packet, worker))
    assert rig.now().counters == {
        "received": 10, "forwarded": 2, "queued": 8, "dropped": 0, "dequeued": 8, "completions": 8, "expired": 0,
        "retried": 0, "unheld": 0, "held": 0,
    }  # fmt: skip


def test_nothing_overtakes_the_queue(rig: Rig) -> None:
    """While a request waits, a new one goes behind it, even if a thread has just become free."""
    rig.reset(backends=1, capacity=1)
    rig.push(request(b"first"))
    rig.push(request(b"second"))
    rig.push(completion(1))  # its carrier has not run yet

    assert rig.push(request(b"third"))[2] == "QUEUED"
    assert rig.carry(1)[1] == addressed(request(b"second"), 1)
    assert rig.free() == (0,)


def test_a_full_queue_drops_and_counts(rig: Rig) -> None:
    """The queue holds QUEUE requests; what comes then is dropped by name, and room made is used again."""
    rig.reset(backends=1, capacity=1)
    size = rig.now().queue
    reasons = [rig.push(request())[2] for _ in range(size + 3)]

    assert reasons == ["FORWARDED"] + ["QUEUED"] * size + ["DROP_QUEUE_FULL"] * 2
    for turn in range(3 * size):  # the ring and the stack of slots go round more than once
        rig.push(completion(1))
        assert rig.carry(1)[0] == PASS
        assert rig.push(request(str(turn).encode()))[2] == "QUEUED"
    now = rig.now()
    assert (now.depth, now.counters["dropped"]) == (size, 2)
    assert now.counters["received"] == sum(now.counters[name] for name in ("forwarded", "queued", "dropped"))


def test_a_request_too_long_for_the_links_is_dropped_by_name(rig: Rig) -> None:
    """A frame that no worker's link could carry takes no thread and no slot."""
    rig.reset()

    assert rig.push(request(bytes(1473)))[::2] == (DROP, "DROP_TOO_LONG")
    assert (rig.free(), rig.now().counters["dropped"]) == ((5, 5, 5), 1)


@pytest.mark.parametrize("payload", [b"", b"1", b"anything", bytes(512), bytes(1472)])
def test_a_completion_frees_one_thread_whatever_it_carries(rig: Rig, payload: bytes) -> None:
    """Its data is never read."""
    rig.reset()
    rig.push(request())
    verdict, _, counted = rig.push(completion(1, payload))

    assert (verdict, counted, rig.free()) == (DROP, "COMPLETION_FREED", (5, 5, 5))


FORGED = [
    ("from the client", completion(1, ip_src=CLIENT), "COMPLETION_STRANGER"),
    ("from the balancer itself", completion(1, ip_src=LB), "COMPLETION_STRANGER"),
    ("one too many", completion(2), "COMPLETION_EXCESS"),
    ("udp length lies", completion(1, udp_len=3), "DROP_BAD_LENGTH"),
]


@pytest.mark.parametrize(("packet", "reason"), [case[1:] for case in FORGED], ids=[case[0] for case in FORGED])
def test_what_only_looks_like_a_completion_changes_nothing(rig: Rig, packet: object, reason: str) -> None:
    """It is counted under its own name."""
    rig.reset()
    rig.push(request())

    assert rig.push(packet)[::2] == (DROP, reason)
    assert (rig.free(), rig.now().counters["completions"]) == ((4, 5, 5), 0)


def test_a_completion_on_another_interface_changes_nothing(rig: Rig) -> None:
    """A backend's address alone is not enough: the packet must come from where the backend lives."""
    rig.reset()
    rig.push(request())
    with rig.backend_interface(1, ifindex=4711):
        assert rig.push(completion(1))[::2] == (DROP, "COMPLETION_WRONG_INTERFACE")
    assert rig.free() == (4, 5, 5)


def test_a_carrier_that_finds_nothing_leaves_the_thread_free(rig: Rig) -> None:
    """Two completions, one waiting request: one carrier goes empty, and its thread serves the next arrival."""
    rig.reset(backends=2, capacity=1)
    for _ in range(3):
        rig.push(request())
    rig.push(completion(1))
    rig.push(completion(2))

    assert (rig.carry(2)[0], rig.carry(1)[0]) == (PASS, DROP)
    assert rig.carrier_counts() == {"CARRIER_SENT": 1, "CARRIER_EMPTY": 1}
    assert (rig.free(), rig.push(request())[2]) == ((1, 0), "FORWARDED")


def test_a_carrier_takes_nothing_for_a_thread_that_is_taken(rig: Rig) -> None:
    """A worker never gets more requests than it has threads, however many carriers come its way."""
    rig.reset(backends=1, capacity=1)
    for _ in range(4):
        rig.push(request())

    assert [rig.carry(1)[0] for _ in range(3)] == [DROP] * 3
    assert (rig.free(), rig.now().depth) == ((0,), 3)


def test_egress_lets_forwarded_requests_out_unchanged(rig: Rig) -> None:
    """Both kinds of frames leave through one egress program, because a batch to a device has only one."""
    rig.reset()
    sent = addressed(request(b"1"), 2)
    run = rig.egress.test_run(sent)

    assert (run.verdict, run.packet, rig.carrier_counts()) == (PASS, sent, {})


def test_a_request_from_a_backend_is_a_request(rig: Rig) -> None:
    """A worker may be a client too."""
    rig.reset()

    assert rig.push(request(ip_src="10.0.1.2"))[2] == "FORWARDED"


def test_ports_are_told_apart(rig: Rig) -> None:
    """The completion port takes no requests."""
    rig.reset()

    assert rig.push(request(udp_dport=COMPLETION))[2] == "COMPLETION_STRANGER"
