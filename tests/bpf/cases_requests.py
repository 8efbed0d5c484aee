"""The balancer's packet table, second part: requests."""

from collections.abc import Iterator, Sequence

from scapy.packet import Packet

from netlab import balancer
from tests.bpf import frames
from tests.bpf.cases import (
    ALL_DRAINED,
    BUSY,
    FULL_QUEUE,
    IDLE,
    LAST_PLACE,
    LISTENING,
    LONGER_QUEUES,
    MOST,
    NO_LOAD,
    REQUEST,
    TAKEN,
    UNDER_WAY,
    VERSIONS,
    WAITING,
    Before,
    Case,
    drops,
    forwards,
    frees,
    moved,
    queues,
    raw,
    refuses,
    swept,
    weighed,
)
from tests.bpf.cases_passed import Y, each_kind
from tests.bpf.rig import COMPLETION, LB, LB6, SERVICE, address_of, completion, request

OURS = {4: (LB, "10.0.1.1"), 6: (LB6, "fd00:0:0:1::1")}


def flipped(packet: Packet | bytes) -> bytes:
    """Return a packet with a bit of its last byte wrong."""
    frame = raw(packet)
    return frame[:-1] + bytes([frame[-1] ^ 0x10])


def of(length: int, version: int = 4, **fields: object) -> Packet:
    return request(bytes(number % 251 for number in range(length)), version, **fields)


# --- lengths and checksums that lie -----------------------------------------------------------------------------------


def lies() -> Iterator[Case]:
    for name, version, build in each_kind():
        packet = build(version)
        room = len(packet) - frames.udp_at(raw(packet))
        yield from swept(
            f"UDP length of a {name}, too short",
            (
                drops(f"UDP length {length} of a {name}", build(version, udp_len=length), "DROP_BAD_LENGTH", LISTENING)
                for length in range(8)
            ),
        )
        yield from swept(
            f"UDP length of a {name}, too long",
            (
                drops(f"UDP length {length} of a {name}", build(version, udp_len=length), "DROP_BAD_LENGTH", LISTENING)
                for length in (room + 1, room + 1000, 65535)
            ),
        )
        frame = raw(build(version, udp_len=room + 4)) + bytes(4)
        name_of = f"UDP length of a {name} that only the frame has room for"
        yield drops(name_of, frame, "DROP_BAD_LENGTH", LISTENING)
    for name, _, build in each_kind(6):
        yield drops(f"{name} without a checksum", build(6, udp_chksum=0), "DROP_NO_CHECKSUM", LISTENING)
    for version in VERSIONS:
        packet = request(b"12345", version, udp_len=8 + 3)
        yield forwards(f"UDP length below the packet's, {Y[version]}", packet, IDLE, near="DROP_BAD_LENGTH")
        packet = request(b"12345", version, udp_len=8)
        yield forwards(f"UDP length of the header alone, {Y[version]}", packet, IDLE, near="DROP_BAD_LENGTH")
    packet = request(b"1", udp_chksum=0)
    yield forwards("request of IPv4 without a checksum", packet, IDLE, near="DROP_NO_CHECKSUM")
    packet = completion(1, b"", 4, udp_chksum=0)
    yield frees("completion of IPv4 without a checksum", packet, TAKEN, near="DROP_NO_CHECKSUM")
    packet = request(b"1", 6, udp_chksum=0xFFFF)
    yield forwards("request of IPv6 with a checksum of ones", packet, IDLE, near="DROP_NO_CHECKSUM")
    packet = request(bytes(MOST[6] + 1), 6, udp_chksum=0)
    yield drops("without a checksum, and too long", packet, "DROP_NO_CHECKSUM", TAKEN)


# --- requests that are forwarded --------------------------------------------------------------------------------------


def forwarded() -> Iterator[Case]:
    for version in VERSIONS:
        name, most = Y[version], MOST[version]
        for kind, address in enumerate(OURS[version], 1):
            lengths = (0, 1, 2, 3, 511, 512, 1280, most - 1, most)
            yield from swept(
                f"data of a request to our address {kind}, {name}",
                (
                    forwards(f"{length} bytes to {address}", of(length, version, ip_dst=address), IDLE)
                    for length in lengths
                ),
            )
        yield forwards(f"after another request, {name}", request(b"1", version), TAKEN, 2)
        yield forwards(f"wrong checksum, {name}", flipped(request(b"12", version)), IDLE)
        yield forwards(f"checksum that becomes zero, {name}", becomes_zero(version), IDLE)
        yield from swept(
            f"bytes behind a request, {name}",
            (
                forwards(f"{length} bytes behind a request, {name}", raw(request(b"7", version)) + bytes(length), IDLE)
                for length in (1, 17, 60, 1000)
            ),
        )
        frame = raw(of(most, version)) + bytes(200)
        yield forwards(f"bytes behind the longest request, {name}", frame, IDLE, near="DROP_TOO_LONG")
        yield from swept(
            f"client's port, {name}",
            (
                forwards(f"from port {port}, {name}", request(b"1", version, udp_sport=port), IDLE)
                for port in (0, 1, SERVICE, COMPLETION, 65535)
            ),
        )
        yield forwards(f"from a backend, {name}", request(b"1", version, ip_src=address_of(1, version)), IDLE)
        packet = request(b"1", version, ip_src=address_of(1, version), udp_sport=SERVICE)
        yield forwards(f"from a backend's service port, {name}", packet, IDLE)
        before = LISTENING
        yield forwards(f"where backends report, {name}", request(b"1", version), before, 2)
    for field, values in {"ip_tos": (1, 0xB8, 0xFF), "ip_ttl": (0, 1, 255), "ip_id": (0, 65535)}.items():
        yield from swept(
            f"{field} of a request",
            (forwards(f"{field} {value}", request(b"1", **{field: value}), IDLE) for value in values),
        )
    for field, values in {"ip_tc": (1, 0xFF), "ip_fl": (1, 0xFFFFF), "ip_hlim": (0, 1, 255)}.items():
        yield from swept(
            f"{field} of a request of IPv6",
            (forwards(f"{field} {value}", request(b"1", 6, **{field: value}), IDLE) for value in values),
        )


def becomes_zero(version: int) -> Packet:
    """Return a request whose checksum is zero once it is addressed to worker1, before the rule that writes ones."""
    bare = frames.addressed(raw(request(b"ab\0\0", version)), 1)
    at = frames.udp_at(bare) + 6
    return request(b"ab" + bare[at : at + 2], version)


# --- requests that wait, or cannot ------------------------------------------------------------------------------------


def waiting() -> Iterator[Case]:
    for version in VERSIONS:
        name, most = Y[version], MOST[version]
        yield from swept(
            f"data of a request that waits, {name}",
            (
                queues(f"{length} bytes wait, {name}", of(length, version), BUSY)
                for length in (0, 1, 2, 512, most - 1, most)
            ),
        )
        packet = request(b"1", version)
        yield queues(f"no thread is free, {name}", packet, BUSY, near="FORWARDED")
        yield forwards(f"a thread is free, {name}", packet, IDLE, near="QUEUED")
        yield queues(f"bytes behind a request that waits, {name}", raw(packet) + bytes(17), BUSY)
        yield queues(f"many bytes behind a request that waits, {name}", raw(of(most, version)) + bytes(300), BUSY)
        yield queues(f"wrong checksum, waits, {name}", flipped(packet), BUSY)
        yield queues(f"UDP length below the packet's, waits, {name}", request(b"12345", version, udp_len=9), BUSY)
        yield queues(f"behind another, {name}", packet, WAITING, builds=LONGER_QUEUES)
        yield queues(f"a thread is free, but another waits, {name}", packet, UNDER_WAY, builds=LONGER_QUEUES)
        yield queues(f"all are drained, {name}", packet, ALL_DRAINED)
        yield queues(f"to all hosts, waits, {name}", b"\xff" * 6 + raw(packet)[6:], BUSY)
        yield queues(f"from a backend, waits, {name}", request(b"1", version, ip_src=address_of(1, version)), BUSY)
        yield queues(f"the last place of the queue, {name}", packet, LAST_PLACE, near="DROP_QUEUE_FULL")
        yield refuses(f"the queue is full, {name}", packet, "DROP_QUEUE_FULL", FULL_QUEUE, near="QUEUED")
        yield refuses(f"the queue is full, most data, {name}", of(most, version), "DROP_QUEUE_FULL", FULL_QUEUE)
        yield refuses(f"the queue is full, no data, {name}", of(0, version), "DROP_QUEUE_FULL", FULL_QUEUE)
        full = FULL_QUEUE.then(raw(completion(1)), free=(1,))
        yield refuses(f"the queue is full, a carrier is under way, {name}", packet, "DROP_QUEUE_FULL", full)
        yield from too_long(version)
        yield refuses(f"cannot be copied, {name}", packet, "DROP_COPY_FAILED", BUSY, builds=(NO_LOAD,))
        yield refuses(
            f"cannot be copied, most data, {name}", of(most, version), "DROP_COPY_FAILED", BUSY, builds=(NO_LOAD,)
        )
        yield queues(f"can be copied, {name}", of(3, version), BUSY, near="DROP_COPY_FAILED")
        yield forwards(f"need not be copied, {name}", packet, IDLE, near="DROP_COPY_FAILED", builds=(NO_LOAD,))
    yield queues("no checksum, waits", request(b"1", udp_chksum=0), BUSY)


def too_long(version: int) -> Iterator[Case]:
    name, most = Y[version], MOST[version]
    yield from swept(
        f"data that is too long, {name}",
        (
            refuses(f"{length} bytes, {name}", of(length, version), "DROP_TOO_LONG", TAKEN)
            for length in (most + 1, most + 2, most + 500)
        ),
    )
    long = of(most + 1, version)
    yield refuses(f"too long, no thread is free, {name}", long, "DROP_TOO_LONG", BUSY)
    yield refuses(f"too long, others wait, {name}", long, "DROP_TOO_LONG", WAITING)
    yield refuses(f"too long, the queue is full, {name}", long, "DROP_TOO_LONG", FULL_QUEUE)
    yield refuses(f"too long, all are drained, {name}", long, "DROP_TOO_LONG", ALL_DRAINED)
    yield forwards(f"not too long, {name}", of(most, version), TAKEN, 2, near="DROP_TOO_LONG")


# --- who is chosen ----------------------------------------------------------------------------------------------------


def state_of(policy: str, *done: bytes | tuple[int, ...], capacity: Sequence[int] = (2, 2, 2)) -> Before:
    """Return the state of three workers, after frames have come in and weights have been given."""
    before = Before({"capacity": tuple(capacity), "policy": policy}, (), tuple(capacity))
    return before.then(*(each if isinstance(each, bytes) else weighed(*each) for each in done))


ONE, TWO, THREE = (raw(completion(index)) for index in (1, 2, 3))
R = REQUEST
# What has been done before, then who is chosen, and how many threads are free then, by each policy but random
CHOICES: dict[str, tuple[Sequence[bytes | tuple[int, ...]], dict[str, tuple[int, tuple[int, ...]]]]] = {
    "nothing": ([], {"most-free": (1, (2, 2, 2)), "round-robin": (1, (2, 2, 2)), "first-free": (1, (2, 2, 2))}),
    "one request": ([R], {"most-free": (2, (1, 2, 2)), "round-robin": (2, (1, 2, 2)), "first-free": (1, (1, 2, 2))}),
    "two": ([R] * 2, {"most-free": (3, (1, 1, 2)), "round-robin": (3, (1, 1, 2)), "first-free": (2, (0, 2, 2))}),
    "three": ([R] * 3, {"most-free": (1, (1, 1, 1)), "round-robin": (1, (1, 1, 1)), "first-free": (2, (0, 1, 2))}),
    "one, completed": (
        [R, ONE],
        {"most-free": (2, (2, 2, 2)), "round-robin": (2, (2, 2, 2)), "first-free": (1, (2, 2, 2))},
    ),
    "five, one completed": (
        [R] * 5 + [ONE],
        {"most-free": (3, (1, 0, 1)), "round-robin": (3, (1, 0, 1)), "first-free": (1, (1, 0, 1))},
    ),
    "six, two completed": (
        [R] * 6 + [THREE, THREE, ONE],
        {"most-free": (3, (1, 0, 2)), "round-robin": (1, (1, 0, 2)), "first-free": (1, (1, 0, 2))},
    ),
    "the second is drained": (
        [(1, 0, 1), R],
        {"most-free": (3, (1, 2, 2)), "round-robin": (3, (1, 2, 2)), "first-free": (1, (1, 2, 2))},
    ),
    "the third weighs three times as much": (
        [(1, 1, 3), R],
        {"most-free": (3, (2, 2, 1)), "round-robin": (2, (1, 2, 2)), "first-free": (1, (1, 2, 2))},
    ),
    "the first is to get three in a row": (
        [(3, 1, 1), R],
        {"most-free": (1, (1, 2, 2)), "round-robin": (1, (1, 2, 2)), "first-free": (1, (1, 2, 2))},
    ),
}


def choices() -> Iterator[Case]:
    for what, (done, chosen) in CHOICES.items():
        for policy, (worker, free) in chosen.items():
            before = state_of(policy, *done)._replace(free=free)
            yield forwards(f"{policy} after: {what}", request(b"1"), before, worker)
    for policy in balancer.POLICIES:
        for worker in (1, 2, 3):  # the only one that can be chosen: also what random may choose
            weights = [int(index == worker) for index in (1, 2, 3)]
            before = state_of(policy, tuple(weights))
            case = forwards(f"{policy}, all but worker{worker} are drained", request(b"1", 6), before, worker)
            yield case._replace(sweep=f"{policy}, all but one are drained")
            before = state_of(policy, *[R] * 6, raw(completion(worker)))._replace(free=moved((0, 0, 0), worker, 1))
            case = forwards(f"{policy}, only worker{worker} has a free thread", request(b"1"), before, worker)
            yield case._replace(sweep=f"{policy}, only one has a free thread")
        yield queues(f"{policy}, no thread is free", request(b"1"), state_of(policy, *[R] * 6)._replace(free=(0, 0, 0)))
        yield queues(f"{policy}, all are drained", request(b"1"), state_of(policy, (0, 0, 0)))
        before = state_of(policy, (0, 1, 0), R, R)._replace(free=(2, 0, 2))
        yield queues(f"{policy}, only the drained have free threads", request(b"1"), before)
        before = state_of(policy, capacity=(0, 0, 4))
        yield forwards(f"{policy}, only the last has threads at all", request(b"1"), before, 3)


PARTS = (lies, forwarded, waiting, choices)
