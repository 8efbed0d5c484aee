"""The balancer, fed with random and mutated frames by the hundred thousand, beside its model."""

import random
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.balancer import BY_REPLIES, BY_REPORTS
from tests.bpf import frames
from tests.bpf.both import MANY, Both
from tests.bpf.frames import NO_CHECKSUM
from tests.bpf.model import HEARD
from tests.bpf.rig import CLIENT, CLIENT6, LB, LB6, LOCAL, LONG, REDIRECT, SERVICE, SILENT, Rig, completion, request
from tests.bpf.table import CASES
from tests.bpf.test_healing import REPORTS, reply, report

pytestmark = [pytest.mark.root, pytest.mark.parametrize("rig", [SILENT], ids=["silent"], indirect=True)]

FRAMES = 1_000_000 if LONG else 70_000  # of all settings together
BATCH = 1000  # frames between two looks at the counts
CHECKSUMS = 10_000
ZEROS = 300
CAPACITY = (3, 1, 2)
SEEDS = [case.packet for case in CASES if case.packet]  # without claims, which are no frames
WORDS = [(worker, version) for worker in (1, 2, 3) for version in (4, 6)]
REQUESTS = [bytes(request(b"1", version)) for version in (4, 6)]
COMPLETIONS = [bytes(completion(worker, version=version)) for worker, version in WORDS]
REPLIES = [bytes(reply(worker, version=version)) for worker, version in WORDS]
TOTALS = ((0, 0), (1, 0), (3, 3), (200, 190), (2**31, 5), (2**32 - 1, 2**32 - 2))
TOLD = [
    bytes(report(worker, *totals, incarnation, version))
    for worker, version in WORDS
    for totals in TOTALS
    for incarnation in (7, 8)
]
SETTINGS: dict[str, tuple[dict[str, Any], list[list[bytes]]]] = {  # and what is fed more of, in turns
    "both families": ({}, [REQUESTS, COMPLETIONS]),
    "no IPv6": ({"without": {2: 6}}, [REQUESTS, COMPLETIONS]),
    "no IPv4": ({"without": {3: 4}}, [REQUESTS, COMPLETIONS]),
    "reports": ({"report_port": REPORTS}, [REQUESTS, COMPLETIONS * 8 + TOLD, TOLD]),
    "replies": ({"replies": True}, [REQUESTS, REPLIES]),
    "reports, held": ({"report_port": REPORTS, "holds": BY_REPORTS, "retries": 1}, [REQUESTS, COMPLETIONS * 8 + TOLD]),
    "replies, held": ({"replies": True, "holds": BY_REPLIES, "retries": 1}, [REQUESTS, REPLIES]),
}
WEIGHTS = [(1, 1, 1), (3, 1, 2), (0, 2, 1), (1, 0, 0), (0, 0, 0)]  # in turns
BYTES = (0, 1, 4, 17, 0x45, 128, 255)  # that mean something in some field
NEVER = {
    "DROP_NEIGHBOUR",  # nobody lives in the backends' network
    "PASS_UNCONFIGURED",  # it is set up
    "COMPLETION_WRONG_INTERFACE",  # all frames come in on one
    "REPORT_WRONG_INTERFACE",
    "REPLY_CARRIED",  # so a clone of a reply would leave where the reply does
    "DROP_COPY_FAILED",  # the kernel does not refuse
    "KICKED",  # what user space sends
    "KICK_NEEDLESS",
    "BACKEND_SILENT",
    "ROLE_RESUMED",
    "REPORT_REQUEST_LOST",  # takes longer than this
    "REPORT_RETURNED",
}


def mutated(source: random.Random, seeds: list[bytes]) -> bytes:
    """Return a frame: noise, or a seed with bytes changed, mostly in its headers, cut, or made longer."""
    draw = source.random()
    if draw < 0.02:
        return source.randbytes(source.randrange(14, 200))
    frame = bytearray(source.choice(seeds))
    for _ in range(source.choice((0, 0, 1, 1, 2, 3, 8))):
        frame[source.randrange(min(len(frame), frames.udp_at(frame) + 32))] = source.choice(
            (*BYTES, source.randrange(256))
        )
    if draw < 0.1:
        del frame[source.randrange(14, len(frame) + 1) :]
    elif draw < 0.2:
        frame += source.randbytes(source.randrange(40))
    elif draw < 0.7 and len(frame) >= frames.ETHERNET + frames.IP:
        return frames.with_header_checksum(bytes(frame))  # or few would come further than to it
    return bytes(frame)


def batches(source: random.Random, name: str) -> Iterator[list[bytes]]:
    """Yield the batches for settings: the seeds as they are, then by turns one that fills the queue or empties it."""
    yield SEEDS
    more = SETTINGS[name][1]
    for number, _ in enumerate(range(list(SETTINGS).index(name), FRAMES // BATCH, len(SETTINGS))):
        seeds = SEEDS, more[number % len(more)]
        yield [mutated(source, source.choice(seeds)) for _ in range(BATCH)]


def feed(both: Both, batch: list[bytes], source: random.Random) -> int:
    """Push frames in, let some out, and let go of some that are held; return how many came in."""
    came_in = 0
    for frame in batch:
        if source.random() < 0.05:
            both.leave(frame)
        else:
            came_in += 1
            expected = both.arrive(frame)
            is_sent = expected.reason.startswith(("COMPLETION", "REPL")) or expected.reason == HEARD
            if is_sent and expected.verdict == REDIRECT and source.random() < 0.9:
                both.leave(frame)
        if both.model.replies and source.random() < 0.2 and both.model.flows:
            came_in += 1
            if answer := both.answer(source.randrange(8)):
                both.leave(answer)
        if both.model.replies and source.random() < 0.05:
            came_in += both.answer_in_fragments(source.randrange(8))
        if source.random() < 0.03:
            came_in += sum(both.refuse(which) for which in range(8))
            came_in += both.look_after(source.randrange(len(CAPACITY)), source.random() < 0.7)  # counted if it is news
        if both.model.holds and source.random() < 0.1 and (held := list(both.model.held)):
            came_in += both.let_go(source.choice(held), source.random() < 0.3) == 2  # it is counted as it goes
    return came_in


@pytest.mark.parametrize("name", SETTINGS)
def test_any_frame_leaves_as_the_model_says(rig: Rig, counted: Counter[str], name: str) -> None:
    """None aborts, each is counted once, by the right reason, which decides the verdict; the state stays in bounds."""
    settings, _ = SETTINGS[name]
    rig.reset(capacity=CAPACITY, **settings)
    both, source, came_in = Both(rig, CAPACITY, **settings), random.Random(5), 0
    for number, batch in enumerate(batches(source, name)):
        both.weigh(*WEIGHTS[number // 2 % len(WEIGHTS)])
        came_in += feed(both, batch, source)
        both.age()
        if number % 8 == 7:
            both.begin(number // 8 % len(CAPACITY))
        both.compare()
        if len(both.model.flows) > MANY:
            both.forget()

        assert came_in == sum(count.packets for count in rig.counts().values())
        assert all(0 <= free <= capacity for free, capacity in zip(rig.threads().free, CAPACITY, strict=True))
        counted["fuzz packets"] += len(batch)
    both.forget()
    met = {name for name, count in rig.counts().items() if count.packets}
    assert {name for name in rig.counts() if is_met(name, settings)} <= met


def is_met(reason: str, settings: dict[str, Any]) -> bool:
    """Whether a reason can be met with these settings."""
    rests_on = {
        "PASS_OTHER_FAMILY": "without" in settings,
        "COMPLETION": "replies" not in settings,
        "COMPLETION_LATE": "report_port" in settings,
        "REPLY": "replies" in settings,
        "REPORT": "report_port" in settings,
        "DROP_RETRIES_SPENT": "holds" in settings,
    }
    return reason not in NEVER and all(on for prefix, on in rests_on.items() if reason.startswith(prefix))


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
