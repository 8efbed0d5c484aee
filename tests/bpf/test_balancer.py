"""What the balancer does to each packet, seen through BPF_PROG_TEST_RUN."""

import random

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from netlab import balancer
from netlab.errors import NetlabError
from tests.bpf.rig import (
    COMPLETION,
    DROP,
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
    one = bytes(request())
    for _ in range(3000):
        rig.program.test_run(one)
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
