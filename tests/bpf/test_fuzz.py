"""The balancer, fed with random and mutated frames by the hundred thousand, beside its model."""

import math
import random
import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.bpf import frames
from tests.bpf.frames import NO_CHECKSUM
from tests.bpf.model import Model
from tests.bpf.rig import CLIENT, CLIENT6, LB, LB6, LOCAL, LONG, REDIRECT, SERVICE, SILENT, Rig, completion, request
from tests.bpf.test_balancer import FORGED, UNTOUCHED
from tests.bpf.test_ipv6 import FORGED_V6, LIES_V6, UNTOUCHED_V6

pytestmark = [pytest.mark.root, pytest.mark.parametrize("rig", [SILENT], ids=["silent"], indirect=True)]

FRAMES = 1_000_000 if LONG else 30_000
BATCH = 1000  # frames between two looks at the counts
CHECKSUMS = 10_000
ZEROS = 300
CAPACITY = (3, 1, 2)
SEEDS = [
    *(bytes(case[1]) for case in (*UNTOUCHED, *FORGED, *UNTOUCHED_V6, *FORGED_V6, *LIES_V6)),
    *(bytes(request(bytes(length))) for length in (0, 1, 1472, 1473)),
    *(bytes(request(bytes(length), 6)) for length in (0, 1, 1452, 1453)),
    *(bytes(completion(worker, version=version)) for worker in (1, 2, 3) for version in (4, 6)),
]
MORE = [  # of either, in turns
    [bytes(request(b"1", version)) for version in (4, 6)] * 20,
    [bytes(completion(worker, version=version)) for worker in (1, 2, 3) for version in (4, 6)] * 8,
]
FAMILIES = {"both": {}, "no IPv6": {2: 6}, "no IPv4": {3: 4}}  # which worker has no address of which
WEIGHTS = [(1, 1, 1), (3, 1, 2), (0, 2, 1), (1, 0, 0), (0, 0, 0)]  # in turns
BYTES = (0, 1, 4, 17, 0x45, 128, 255)  # that mean something in some field
UNREACHED = {
    "PASS_UNCONFIGURED",  # it is set up
    "COMPLETION_WRONG_INTERFACE",  # all frames come in on one
    "DROP_COPY_FAILED",  # the kernel does not refuse
}


def mutated(source: random.Random, seeds: list[bytes]) -> bytes:
    """Return a frame: noise, or a seed with bytes changed, mostly in its headers, cut, or made longer."""
    draw = source.random()
    if draw < 0.02:
        return source.randbytes(source.randrange(14, 200))
    frame = bytearray(source.choice(seeds))
    for _ in range(source.choice((0, 0, 1, 1, 2, 3, 8))):
        frame[source.randrange(min(len(frame), frames.udp_at(frame) + 12))] = source.choice(
            (*BYTES, source.randrange(256))
        )
    if draw < 0.1:
        del frame[source.randrange(14, len(frame) + 1) :]
    elif draw < 0.2:
        frame += source.randbytes(source.randrange(40))
    elif draw < 0.7 and len(frame) >= frames.ETHERNET + frames.IP:
        return frames.with_header_checksum(bytes(frame))  # or few would come further than to it
    return bytes(frame)


def batches(source: random.Random) -> Iterator[list[bytes]]:
    """Yield batches of which one fills the queue and the next empties it."""
    for number in range(math.ceil(FRAMES / len(FAMILIES) / BATCH)):
        seeds = SEEDS + MORE[number % 2]
        yield [mutated(source, seeds) for _ in range(BATCH)]


def feed(rig: Rig, model: Model, batch: list[bytes], source: random.Random) -> int:
    """Push frames in, and let some out as carriers, the way they came or not at all; return how many came in."""
    came_in = 0
    for frame in batch:
        if source.random() < 0.05:
            run, expected = rig.egress.test_run(frame), model.leave(frame)
        else:
            run = rig.program.test_run(frame)
            expected = model.arrive(frame, run.packet)
            came_in += 1
        assert (run.verdict, run.packet) == (expected.verdict, expected.packet or run.packet), (expected, frame.hex())
        if expected.reason == "COMPLETION_CARRIED" and source.random() < 0.9:
            run, expected = rig.egress.test_run(frame), model.leave(frame)
            assert (run.verdict, run.packet) == (expected.verdict, expected.packet or run.packet), frame.hex()
    return came_in


@pytest.mark.parametrize("families", FAMILIES)
def test_any_frame_leaves_as_the_model_says(rig: Rig, counted: Counter[str], families: str) -> None:
    """None aborts, each is counted once, by the right reason, which decides the verdict; the state stays in bounds."""
    without = FAMILIES[families]
    rig.reset(capacity=CAPACITY, without=without)
    source, model, came_in = random.Random(5), Model(CAPACITY, "most-free", rig.now().queue, without), 0
    for number, batch in enumerate(batches(source)):
        model.weigh(*WEIGHTS[number // 2 % len(WEIGHTS)])
        rig.weigh(*model.weights)
        came_in += feed(rig, model, batch, source)
        now, counts = rig.now(), rig.counts()

        assert {name: count.packets for name, count in counts.items() if count.packets} == model.reasons
        assert came_in == sum(count.packets for count in counts.values())
        assert rig.carrier_counts() == model.carrier_reasons
        assert now.counters["received"] == sum(now.counters[name] for name in ("forwarded", "queued", "dropped"))
        assert all(0 <= now.free[name] <= capacity for name, capacity in now.capacity.items())
        assert (list(now.free.values()), rig.waiting(), now.counters) == (model.free, model.waiting, model.counters)
        counted["fuzz packets"] += BATCH
    of_others = {
        name for name in rig.reasons if name.startswith(("REPLI", "REPLY", "REPORT", "KICK", "BACKEND", "ROLE"))
    }
    unreached = UNREACHED if without else {*UNREACHED, "PASS_OTHER_FAMILY"}
    assert set(rig.reasons) - set(model.reasons) - of_others == unreached


def test_incremental_checksums_equal_full_ones(rig: Rig, counted: Counter[str]) -> None:
    """Random requests leave with the checksums that a full computation gives."""
    rig.reset(capacity=CHECKSUMS)
    source = random.Random(7)
    for _ in range(CHECKSUMS):
        run = rig.program.test_run(frame := drawn(source))

        assert (run.verdict, run.packet) == (REDIRECT, frames.checksummed(run.packet))
        assert run.packet == frames.addressed(frame, run.packet[4])  # worker N has the MAC 02:00:00:00:N:02
        counted["checksums compared"] += 1


def drawn(source: random.Random) -> bytes:
    """Return a random request, of the family of one of our addresses."""
    to = source.choice(LOCAL)
    hosts = {4: f"10.{source.randrange(256)}.{source.randrange(256)}.{source.randrange(1, 255)}"}
    hosts[6] = socket.inet_ntop(socket.AF_INET6, b"\x20" + source.randbytes(15))
    return frames.udp(
        source.randbytes(source.choice((source.randrange(4), source.randrange(1453)))),
        hosts[6 if ":" in to else 4],
        to,
        (source.randrange(65536), SERVICE),
        tos=source.randrange(256),
        id=source.randrange(65536),
        flow=source.randrange(1 << 28),
        ttl=source.randrange(1, 256),
    )


@pytest.mark.parametrize("version", [4, 6])
def test_a_checksum_that_becomes_zero_is_written_as_ones(rig: Rig, version: int) -> None:
    """Where the address makes it zero, whatever the rest is: RFC 768 writes 0xffff, and IPv6 knows no other."""
    rig.reset(capacity=ZEROS)
    source, sender, to = random.Random(11), *((CLIENT, LB) if version == 4 else (CLIENT6, LB6))
    for number in range(ZEROS):
        data = source.randbytes(2 * source.randrange(700))
        bare = frames.addressed(frames.udp(data + NO_CHECKSUM, sender, to), number % 3 + 1)
        at = frames.udp_at(bare) + 6
        run = rig.program.test_run(frames.udp(data + bare[at : at + 2], sender, to))

        assert run.packet[4] == number % 3 + 1
        assert run.packet[at : at + 2] == b"\xff\xff"
        assert run.packet == frames.checksummed(run.packet)
