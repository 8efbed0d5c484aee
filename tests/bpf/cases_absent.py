"""The balancer's packet table: backends that get no requests, because they refuse or are ill."""

import struct
from collections.abc import Iterator
from typing import Any

from netlab.balancer import BY_REPLIES
from tests.bpf import frames
from tests.bpf.cases import REPORTS, VERSIONS, Before, Case, drops, forwards, passes, queues, raw, unmoved
from tests.bpf.cases_backends import tells
from tests.bpf.cases_passed import GROUPS, Y, to_mac
from tests.bpf.rig import CLIENT, CLIENT6, SERVICE, Rig, address_of, completion, request
from tests.bpf.test_healing import reply, report

CLIENTS = {4: CLIENT, 6: CLIENT6}


def refusal(version: int, worker: int = 1, port: int = 40000, **more: Any) -> bytes:
    return frames.refusal(address_of(worker, version), more.pop("client", CLIENTS[version]), port, **more)


def exclude(rig: Rig) -> None:
    rig.run("exclude_run", raw(completion(1)))


def readmit(rig: Rig) -> None:
    rig.run("readmit_run", raw(completion(1)))


def silence(rig: Rig) -> None:
    rig.later(3600)
    rig.run("watch_run", raw(completion(1)))


def two(*steps: Any, free: tuple[int, int] = (2, 2), **settings: Any) -> Before:
    """Return the state of two workers of two threads each; the first is asked first."""
    return Before({"backends": 2, "capacity": 2, "policy": "first-free", **settings}, steps, free)


def changed(frame: bytes, at: int, *values: int) -> bytes:
    """Return a frame with other bytes; of IPv4, with its header's checksum right."""
    return frames.with_header_checksum(frame[:at] + bytes(values) + frame[at + len(values) :])


def refusals() -> Iterator[Case]:
    none, refused = "PASS_NOT_LOCAL", "BACKEND_REFUSED"
    for version in VERSIONS:
        name, one = Y[version], raw(request(b"1", version))
        right, out = refusal(version), {"free": (0, 2), "asked": -1}
        before = two(one, free=(1, 2), replies=True)
        yield drops(f"port unreachable, {name}", right, refused, before, **out, near=none)
        yield drops(f"port unreachable to all hosts, {name}", to_mac(right, GROUPS[0]), refused, before, **out)
        yield drops(f"port unreachable with bytes behind it, {name}", right + bytes(9), refused, before, **out)
        packets = two(one, free=(1, 2))
        yield drops(f"port unreachable where completions free, {name}", right, refused, packets, **out)
        both = two(one, one, right, free=(0, 2), replies=True)
        yield drops(f"port unreachable once more, {name}", right, "REFUSED_AGAIN", both, asked=-1, near=refused)
        ill = before.then(exclude, free=(0, 2))
        yield drops(f"port unreachable of one that is ill, {name}", right, "REFUSED_AGAIN", ill, asked=-1)
        done = before.then(raw(reply(1, version=version)), free=(2, 2))
        yield passes(f"port unreachable, but it was answered, {name}", right, none, done, near=refused)
        yield passes(
            f"port unreachable twice, {name}", right, none, before.then(right, free=(0, 2)), near="REFUSED_AGAIN"
        )
        yield passes(f"port unreachable elsewhere, {name}", right, none, before, interface="not home", near=refused)
        yield passes(f"port unreachable on no interface of ours, {name}", right, none, before, interface="not ours")
        for kind, frame in strange(version, right).items():
            yield passes(f"port unreachable {kind}, {name}", frame, none, before, near=refused)
        numbered = two(one, free=(1, 2), replies=True, holds=BY_REPLIES)
        own = refusal(version, port=1025)
        yield drops(f"port unreachable for a number, {name}", own, refused, numbered, **out)
        yield passes(f"port unreachable for the client's port, {name}", right, none, numbered)


def strange(version: int, right: bytes) -> dict[str, bytes]:
    """Return what is nearly a refusal of worker1."""
    icmp = 54 if version == 6 else 34
    ip, udp = icmp + 8, icmp + 8 + (40 if version == 6 else 20)
    other = frames.packed("10.0.9.9" if version == 4 else "fd00::99")
    at = 38 if version == 6 else 30  # where it goes to
    found = {
        "of no backend": refusal(version, worker=9),
        "of a backend that was not asked": refusal(version, worker=2),
        "for a port that has not asked": refusal(version, port=40001),
        "for a host that has not asked": refusal(version, client="10.0.0.9" if version == 4 else "fd00::9"),
        "to another host's MAC": to_mac(right, "02:00:00:00:00:99"),
        "that is another error": changed(right, icmp + 1, 1),
        "that is an echo": changed(right, icmp, 8 if version == 4 else 128, 0),
        "that quotes another protocol": changed(right, ip + (6 if version == 6 else 9), 6),
        "that quotes another version": changed(right, ip, 0x55),
        "that quotes another port": changed(right, udp + 2, *struct.pack("!H", SERVICE + 1)),
        "that quotes another destination": changed(right, udp - len(other), *other),
        "to another than it quotes": changed(right, at, *other),
    }
    short = changed(
        right[:-1], 16 if version == 4 else 18, *struct.pack("!H", len(right) - 1 - (54 if version == 6 else 14))
    )
    found["that is cut"] = short
    if version == 4:
        found["with a wrong header checksum"] = right[:24] + b"\0\0" + right[26:]
        found["that is a fragment"] = changed(right, 20, 0x20)
        found["that quotes options"] = changed(right, ip, 0x46)
    return found


def absent() -> Iterator[Case]:
    """Yield what becomes of frames while worker1 gets no requests."""
    for version in VERSIONS:
        name, one = Y[version], raw(request(b"1", version))
        for kind, step in (("refuses", refusal(version)), ("is ill", exclude)):
            gone = two(one, step, free=(0, 2), replies=True)
            yield forwards(f"request while the first {kind}, {name}", request(b"2", version), gone, to=2)
            alone = Before({"backends": 1, "capacity": 2, "replies": True}, (one, step), (0,))
            yield queues(
                f"request while the only one {kind}, {name}", request(b"2", version), alone, builds=("silent",)
            )
            late = two(one, one, step, free=(0, 2), replies=True)
            yield unmoved(4, f"reply of one that {kind}, {name}", reply(1, version=version), "REPLIED", late)._replace(
                asked=-1
            )
            worked = two(one, step, free=(0, 2))
            packet = completion(1, version=version)
            yield drops(f"completion of one that {kind}, {name}", packet, "COMPLETION_LATE", worked)
        told = report(1, 1, 0, version=version)
        refuses = two(one, raw(report(1, 1, 0)), refusal(version), free=(0, 2), report_port=REPORTS)
        yield tells(f"report of one that refuses, {name}", told, "REPORT_RETURNED", refuses, 1)
        ill = two(one, raw(report(1, 1, 0)), exclude, free=(0, 2), report_port=REPORTS)
        yield tells(f"report of one that is ill, {name}", told, "REPORT_AGREED", ill, near="REPORT_RETURNED")


def first_reports() -> Iterator[Case]:
    """Yield first reports of a backend that is absent: its threads counted as taken, which says nothing of requests."""
    one = raw(request())
    for markers, heard in (("markers", (0, 0, 0)), ("no markers", None)):
        for received, done, free in ((0, 0, 2), (1, 0, 1), (2, 2, 2)):
            first = report(1, received, done, heard=heard)
            name = f"{received} received, {done} done, reads {markers}"
            refuses = two(one, one, refusal(4), free=(0, 2), report_port=REPORTS)
            yield tells(f"first report of one that refuses, {name}", first, "REPORT_BEGUN", refuses, free)
            ill = two(one, one, exclude, raw(first), readmit, free=(0, 2), report_port=REPORTS)
            yield tells(f"report of one that was ill for its first, {name}", first, "REPORT_RETURNED", ill, free)


def looked_after() -> Iterator[Case]:
    """Yield what user space has done to backends."""
    one, frame = raw(request()), completion(1)
    out, back = "BACKEND_EXCLUDED", "BACKEND_READMITTED"
    well, ill = two(one, free=(1, 2)), two(one, exclude, free=(0, 2))
    refuses = two(one, refusal(4), free=(0, 2))
    told = two(one, raw(report(1, 1, 0)), free=(1, 2), report_port=REPORTS)
    for name, program, verdict, reason, before, free, near in (
        ("is ill", "exclude_run", 1, out, well, (0, 2), ""),
        ("is ill still", "exclude_run", 0, "", ill, (0, 2), out),
        ("is ill and refuses", "exclude_run", 0, "", refuses, (0, 2), out),
        ("is well again", "readmit_run", 1, back, ill, (2, 2), ""),
        ("listens again", "readmit_run", 1, back, refuses, (2, 2), ""),
        ("was well", "readmit_run", 0, "", well, (1, 2), back),
        ("is well, and has to report", "readmit_run", 2, "", told.then(exclude, free=(0, 2)), (0, 2), back),
        ("refuses, and has to report", "readmit_run", 2, "", told.then(refusal(4), free=(0, 2)), (0, 2), back),
        ("is silent", "readmit_run", 0, "", told.then(silence, free=(0, 2)), (0, 2), back),
    ):
        case = unmoved(verdict, f"one that {name}", frame, reason, before)
        yield case._replace(program=program, free=free, near=near, builds=("silent", "traced"))
    stranger = completion(9)
    for program in ("exclude_run", "readmit_run"):
        yield unmoved(0, f"{program} of nobody", stranger, "", well)._replace(program=program)


def aged() -> Iterator[Case]:
    """Yield that no thread of one that is absent grows old."""
    eight = [lambda rig: rig.run("age_run", bytes(14))] * 7
    for name, step in (("refuses", refusal(4)), ("is ill", exclude)):
        before = two(raw(request()), step, *eight, free=(0, 2))
        yield unmoved(0, f"threads of one that {name} grow old", bytes(14), "", before)._replace(program="age_run")


PARTS = (refusals, absent, first_reports, looked_after, aged)
