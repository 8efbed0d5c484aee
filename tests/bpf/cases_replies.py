"""The balancer's packet table, last part: answers of backends, and requests that are held."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from scapy.packet import Packet

from netlab.balancer import BY_REPLIES, BY_REPORTS
from tests.bpf import frames, sources
from tests.bpf.cases import (
    BUSY,
    LONGER_QUEUES,
    MOST,
    NO_LOAD,
    REPORTS,
    REQUEST,
    VERSIONS,
    WAITS,
    Before,
    Case,
    carries,
    drops,
    forwards,
    grown,
    leaves,
    passes,
    queues,
    raw,
    refuses,
    swept,
    unmoved,
)
from tests.bpf.cases_backends import data, tells
from tests.bpf.cases_passed import GROUPS, Y, carrying, to_mac
from tests.bpf.cases_requests import OURS, flipped, of
from tests.bpf.rig import CLIENT, CLIENT_MAC, LB, LB_MAC, PASS, REDIRECT, SERVICE, Rig, address_of, completion, request
from tests.bpf.test_healing import reply, report

FORGET: Callable[[Rig], None] = Rig.forget


def replying(*steps: bytes, frees: bool = True, free: int = 0, depth: int = 0, capacity: int = 2) -> Before:
    """Return the state of a worker that answers, after frames have come in; `frees` says whether that frees threads."""
    settings: dict[str, Any] = {"backends": 1, "capacity": capacity, "replies": frees}
    return Before(settings, steps, (free,), depth)


def asked(version: int, frees: bool = True) -> Before:
    """Return the state in which a worker of two threads has been asked once."""
    return replying(raw(request(b"1", version)), frees=frees, free=1)


def redirects(name: str, packet: Packet | bytes, reason: str, before: Before, **more: Any) -> Case:
    return unmoved(REDIRECT, name, packet, reason, before)._replace(**more)


def answers(name: str, packet: Packet | bytes, before: Before, **more: Any) -> Case:
    """Return a case of an answer that frees the thread of its request."""
    after = {"free": (before.free[0] + 1,), "gained": {"completions": 1}, "asked": -1}
    return redirects(name, packet, "REPLY_FREED", before)._replace(**{**after, **more})


# --- replies that come in ---------------------------------------------------------------------------------------------


def replies() -> Iterator[Case]:
    for version in VERSIONS:
        name, before, most = Y[version], asked(version), MOST[version]
        none = "PASS_NOT_LOCAL"
        yield from swept(
            f"data of a reply, {name}",
            (
                answers(f"reply of {length} bytes, {name}", reply(1, data(length), version), before)
                for length in (0, 1, 512, most - 1, most)
            ),
        )
        right = reply(1, version=version)
        yield answers(f"reply, {name}", right, before, near="REPLIED")
        yield answers(f"reply with bytes behind it, {name}", raw(right) + bytes(9), before)
        yield answers(f"reply with a wrong checksum, {name}", flipped(right), before)
        yield answers(f"reply to all hosts, {name}", to_mac(right, GROUPS[0]), before)
        yield answers(f"reply with its length below the packet's, {name}", reply(1, b"12", version, udp_len=9), before)
        yield answers(f"reply to the second of two, {name}", right, replying(*[raw(request(b"1", version))] * 2))
        client = request(b"1", version, udp_sport=SERVICE)
        packet = reply(1, version=version, udp_dport=SERVICE)
        yield answers(f"reply to a client's service port, {name}", packet, replying(raw(client), free=1))
        one = asked(version, frees=False)
        yield redirects(f"reply where completions free, {name}", right, "REPLIED", one, near="REPLY_FREED")
        done = before.then(raw(right), free=(2,))
        yield redirects(f"reply too many, {name}", right, "REPLIED", done, near="REPLY_FREED")
        # Its flow waits for an answer, but all threads are free: they have grown old.
        old = before.then(*[age] * sources.number("AGES"), free=(2,))
        yield redirects(f"reply too late, {name}", right, "REPLIED", old, asked=-1)
        for kind, packet in strange(version).items():
            yield passes(f"reply {kind}, {name}", packet, none, before)
        yield passes(f"reply elsewhere, {name}", right, none, before, interface="not home")
        yield passes(f"reply on no interface of ours, {name}", right, none, before, interface="not ours")
        yield passes(f"reply before any request, {name}", right, none, replying(free=2))
        yield passes(f"reply whose flow is forgotten, {name}", right, none, before.then(FORGET))
        other = asked(10 - version)
        yield passes(f"reply to a request of the other family, {name}", right, none, other, near="REPLIED")
        waits = BUSY._replace(settings={**BUSY.settings, "replies": True}).then(
            raw(request(b"2", version, udp_sport=40009)), depth=1
        )
        packet = reply(1, version=version, udp_dport=40009)
        yield passes(f"reply to a request that waits, {name}", packet, none, waits)
        yield answers(f"reply while another waits, on one interface, {name}", reply(1), waits, near="REPLY_CARRIED")
        yield from far(version)


def neighbours() -> Iterator[Case]:
    """Yield requests of clients that live in the backends' network, whom these would answer past the balancer."""
    dropped = "DROP_NEIGHBOUR"
    for version in VERSIONS:
        name, fresh = Y[version], replying(free=2)
        near: dict[str, Any] = {"near": dropped, "interface": "neighbours"}
        one = request(b"1", version)
        yield drops(f"from the backends' network, {name}", one, dropped, fresh, interface="neighbours")
        yield forwards(f"from the clients' network, {name}", one, fresh, near=dropped)
        yield forwards(f"where completions free, {name}", one, Before({"backends": 1, "capacity": 2}, (), (2,)), **near)
        other = {4: ("10.0.1.0", "11.0.0.2", "10.1.0.2"), 6: ("fd00:0:0:1::9", "fc00::2", "fd01::2")}[version]
        for address in other:
            packet = request(b"1", version, ip_src=address)
            yield forwards(f"from {address}, which is another network", packet, fresh, **near)
        own = request(b"1", version, ip_src=address_of(1, version))
        alone, crowd = "the first one's", "the first one's, and others'"
        yield forwards(f"from a backend itself, {name}", own, fresh, near=dropped, interface=alone)
        yield drops(f"from a backend among others, {name}", own, dropped, fresh, interface=crowd)
        mixed = f"{crowd} of IPv4"
        if version == 4:
            yield drops(f"from a backend among others of {name}", own, dropped, fresh, interface=mixed)
        else:
            yield forwards(f"from a backend alone in {name}", own, fresh, near=dropped, interface=mixed)


def age(rig: Rig) -> None:
    rig.run("age_run", bytes(14))


def strange(version: int) -> dict[str, Packet | bytes]:
    """Return packets of worker1's, or nearly, that answer no request of the client's."""
    build = partial(reply, 1, version=version)
    right = build()
    found: dict[str, Packet | bytes] = {
        "to a port that has not asked": build(udp_dport=40001),
        "to a host that has not asked": build(ip_dst="10.0.0.9" if version == 4 else "fd00::9"),
        "from another port": build(udp_sport=SERVICE + 1),
        "from no worker": reply(2, version=version),
        "from the client itself": build(ip_src=request(b"", version)[1].src),
        "to another host's MAC": to_mac(right, "02:00:00:00:00:99"),
        "with a UDP length too long": build(udp_len=200),
        "with a UDP length too short": build(udp_len=7),
    }
    if version == 4:
        return found | {
            "in a first fragment": build(ip_flags="MF"),
            "in a last fragment": build(ip_frag=3),
            "with options": build(ip_options=[b"\1"] * 4),
            "with a wrong header checksum": build(ip_chksum=1),
        }
    return found | {"without a checksum": build(udp_chksum=0)}


def far(version: int) -> Iterator[Case]:
    """Yield replies to clients that live behind another interface, so that a clone of the reply can carry."""
    elsewhere: dict[str, Any] = {"interface": "not the client's"}
    right, name = reply(1), Y[version]
    waits = replying(REQUEST, raw(request(b"2", version)), depth=1, capacity=1)
    carried = "REPLY_CARRIED"
    yield answers(
        f"reply while a request of {name} waits", right, waits, reason=carried, near="REPLY_FREED", **elsewhere
    )
    if version == 4:
        yield answers("reply while none waits", right, asked(4), near=carried, **elsewhere)
        drained = waits.then(lambda rig: rig.weigh(0))
        yield answers("reply while another waits, but it is drained", right, drained, near=carried, **elsewhere)
        many = waits.then(raw(right), free=(1,))
        yield redirects("reply too many while another waits", right, "REPLIED", many, near=carried, **elsewhere)
        full = replying(REQUEST, capacity=1).then(lambda rig: [rig.program.test_run(WAITS) for _ in range(9)], depth=8)
        yield answers("reply while the queue is full", right, full, reason=carried, builds=("silent",), **elsewhere)
    clone = carries(f"a reply's clone carries {name}", right, request(b"2", version), waits.then(raw(right), free=(1,)))
    yield clone._replace(interface="not the client's")
    empty = asked(4).then(raw(right), free=(2,))
    yield leaves(f"a reply's clone finds nothing, {name}", right, "CARRIER_EMPTY", empty, out=grown(right), **elsewhere)


# --- replies that leave -----------------------------------------------------------------------------------------------


def sent_on(packet: Packet | bytes, address: str) -> bytes:
    """Return a reply as its client must get it, from an address of ours."""
    return frames.answered(raw(packet), frames.mac(CLIENT_MAC) + frames.mac(LB_MAC), frames.packed(address))


def leaves_as(name: str, packet: Packet | bytes, address: str, before: Before, **more: Any) -> Case:
    return leaves(name, packet, "REPLY_SENT", before)._replace(verdict=PASS, out=sent_on(packet, address), **more)


def departures() -> Iterator[Case]:
    for version in VERSIONS:
        name, before, right = Y[version], asked(version), reply(1, version=version)
        for kind, address in enumerate(OURS[version], 1):
            state = replying(raw(request(b"1", version, ip_dst=address)), free=1)
            yield from swept(
                f"data of a reply from our address {kind}, {name}",
                (
                    leaves_as(
                        f"reply of {length} bytes from {address}", reply(1, data(length), version), address, state
                    )
                    for length in (0, 1, 512, MOST[version])
                ),
            )
        ours, other = OURS[version]
        two = replying(*[raw(request(b"1", version, ip_dst=address)) for address in (ours, other)])
        yield leaves_as(f"reply to a client that has asked two addresses, {name}", right, other, two)
        yield leaves_as(f"reply leaves with a wrong checksum, {name}", flipped(right), ours, before)
        group = replying(to_mac(request(b"1", version), GROUPS[0]), free=1)
        yield leaves_as(f"reply leaves to a client that has asked all hosts, {name}", right, ours, group)
        yield leaves_as(f"reply leaves where completions free, {name}", right, ours, asked(version, frees=False))
        client = replying(raw(request(b"1", version, udp_sport=SERVICE)), free=1)
        packet = reply(1, version=version, udp_dport=SERVICE)
        yield leaves_as(f"reply leaves to a client's service port, {name}", packet, ours, client)
        yield leaves_as(f"reply whose flow is known, {name}", right, ours, before, near="REPLY_FORGOTTEN")
        forgotten = before.then(raw(right), FORGET, free=(2,))
        gone = "REPLY_FORGOTTEN"
        yield leaves(f"reply whose flow is forgotten on its way, {name}", right, gone, forgotten, near="REPLY_SENT")
        yield leaves(
            f"reply whose client has not asked, {name}", reply(1, version=version, udp_dport=40001), gone, before
        )
        packet = carrying(version, 6, bytes(20))
        yield leaves(f"no UDP on its way out, {name}", packet, "CARRIER_MALFORMED", before)
    packet = reply(1, udp_chksum=0)
    yield answers("reply without a checksum", packet, asked(4))
    yield leaves_as("reply leaves without a checksum", packet, LB, asked(4))
    mapped = reply(1, version=6, ip_src=f"::ffff:{address_of(1, 4)}", ip_dst="::ffff:10.0.0.2")
    yield passes("reply between mapped addresses", mapped, "PASS_MARTIAN", asked(4))
    yield leaves("reply between mapped addresses leaves", mapped, "CARRIER_MALFORMED", asked(4))


# --- requests that are held -------------------------------------------------------------------------------------------


def holding(*steps: bytes | Callable[[Rig], object], free: int, depth: int = 0, capacity: int = 2) -> Before:
    settings = {"backends": 1, "capacity": capacity, "report_port": REPORTS, "holds": BY_REPORTS}
    return Before(settings, steps, (free,), depth)


HELD = {"gained": {"held": 1}}


def holds() -> Iterator[Case]:
    for version in VERSIONS:
        name = Y[version]
        one = request(b"1", version)
        yield from swept(
            f"data of a request that is held, {name}",
            (
                forwards(f"{length} bytes are held, {name}", of(length, version), holding(free=2), gained={"held": 1})
                for length in (0, 1, 512, MOST[version])
            ),
        )
        frame = raw(one) + bytes(30)
        yield forwards(f"bytes behind a request that is held, {name}", frame, holding(free=2), gained={"held": 1})
        unheld: dict[str, Any] = {"gained": {"unheld": 1}, "builds": (NO_LOAD,)}
        yield forwards(f"cannot be copied, so it is not held, {name}", one, holding(free=2), **unheld)
        nine = holding(*[REQUEST] * 8, free=1, capacity=9)
        yield forwards(f"no room is left, so it is not held, {name}", one, nine, gained={"unheld": 1}, builds=EIGHT)
        eight = holding(*[REQUEST] * 8, free=0, capacity=8)
        yield refuses(f"no room is left, so it cannot wait, {name}", one, "DROP_QUEUE_FULL", eight, builds=EIGHT)
        yield queues(
            f"waits beside what is held, {name}", one, holding(REQUEST, free=0, capacity=1), builds=LONGER_QUEUES
        )
        waits = holding(REQUEST, raw(one), raw(completion(1)), free=1, depth=1, capacity=1)
        more: dict[str, Any] = {"gained": {"held": 1}, "builds": LONGER_QUEUES}
        yield carries(f"is held once it is carried, {name}", completion(1, version=version), one, waits, **more)
        told = report(1, 0, 0, version=version)
        before = holding(raw(told), REQUEST, free=1)
        heard = {"verdict": PASS}
        agreed, lost = "REPORT_AGREED", "REPORT_COMPLETION_LOST"
        yield tells(f"report goes on to the role, {name}", report(1, 1, 0, version=version), agreed, before, **heard)
        yield tells(
            f"report of a completion goes on, {name}", report(1, 1, 1, version=version), lost, before, 1, **heard
        )
        first = holding(REQUEST, free=1)
        yield tells(f"first report goes on, {name}", report(1, 1, 0, version=version), "REPORT_BEGUN", first, **heard)
        later = before.then(raw(report(1, 1, 1, version=version)), free=(2,))
        yield tells(f"old report does not go on, {name}", told, "REPORT_OLD", later)
        packet = report(1, 1, 1, 0, version)
        yield drops(f"malformed report does not go on, {name}", packet, "REPORT_MALFORMED", before)
        back = waits._replace(steps=(raw(told), *waits.steps[:2]), free=(0,))
        more = {"verdict": REDIRECT, "builds": LONGER_QUEUES}
        yield tells(
            f"report that carries does not go on, {name}", report(1, 1, 1, version=version), lost, back, 1, **more
        )


def put_back(number: int, name: str, verdict: int, reason: str, before: Before, **more: Any) -> Case:
    """Return a case in which the role has the request in the first slot wait again, if that has this number."""
    client = bytes(10) + b"\xff\xff" + frames.packed(CLIENT)
    claims = (0, number, client, 40000, 0)
    return unmoved(verdict, name, b"", reason, before)._replace(program="requeue_run", claims=claims, **more)


def retries() -> Iterator[Case]:
    one = numbered(REQUEST, free=1)
    once, never = (one._replace(settings={**one.settings, "retries": retries}) for retries in (1, 0))
    spent = "DROP_RETRIES_SPENT"
    again: dict[str, Any] = {"joins": REQUEST, "gained": {"held": -1, "retried": 1}, "asked": -1, "near": spent}
    gone: dict[str, Any] = {"gained": {"held": -1}, "asked": -1}
    yield put_back(1, "a request waits again", 1, "", one, **again)
    yield put_back(1, "a request waits again once", 1, "", once, **again)
    yield put_back(1, "a request waits again never", 2, spent, never, **gone)
    yield put_back(2, "another request waits again never", 0, "", never, near=spent)


def numbered(*steps: bytes | Callable[[Rig], object], free: int, depth: int = 0, capacity: int = 2) -> Before:
    """Return the state of a worker whose answers tell which request they answer, by its port: 1025, 1026 ..."""
    settings = {"backends": 1, "capacity": capacity, "replies": True, "holds": BY_REPLIES}
    return Before(settings, steps, (free,), depth)


def held_by_replies() -> Iterator[Case]:
    done = {"completions": 1, "held": -1}
    for version in VERSIONS:
        name, one = Y[version], request(b"1", version)
        fresh, first = numbered(free=2), numbered(raw(one), free=1)
        yield from swept(
            f"data of a request that is numbered, {name}",
            (
                forwards(f"{length} bytes from a port that is their number, {name}", packet, fresh)._replace(
                    out=frames.addressed(raw(packet), 1, 1025), gained={"received": 1, "forwarded": 1, "held": 1}
                )
                for length in (0, 1, 512, MOST[version])
                for packet in [of(length, version)]
            ),
        )
        more: dict[str, Any] = {"gained": {"unheld": 1}, "builds": EIGHT}
        nine = numbered(*[REQUEST] * 8, free=1, capacity=9)
        out = frames.addressed(raw(one), 1, 1033)
        yield forwards(f"no room is left for a numbered one, {name}", one, nine, out=out, **more)
        waits = numbered(raw(one), WAITS, raw(reply(1, version=version, udp_dport=1025)), free=1, depth=1, capacity=1)
        out, carrier = frames.addressed(WAITS, 1, 1026), completion(1, version=version)
        more = {"gained": {"held": 1}, "out": out, "builds": LONGER_QUEUES}
        yield carries(f"is numbered once it is carried, {name}", carrier, WAITS, waits, **more)
        answer = reply(1, version=version, udp_dport=1025)
        yield answers(f"answer by its number, {name}", answer, first, gained=done)
        both = numbered(raw(one), raw(one), free=0)
        second = reply(1, version=version, udp_dport=1026)
        yield answers(f"answer to the second by its number, {name}", second, both, gained=done, builds=LONGER_QUEUES)
        again = first.then(raw(answer), free=(2,))
        yield redirects(f"answer by its number, once more, {name}", answer, "REPLIED", again)
        packet = reply(1, version=version)
        yield passes(f"answer to the client's own port, {name}", packet, "PASS_NOT_LOCAL", first)
        packet = reply(1, version=version, udp_dport=1026)
        yield passes(f"answer by another number, {name}", packet, "PASS_NOT_LOCAL", first)
        frame, to_port = sent_on(answer, OURS[version][0]), frames.udp_at(raw(one)) + 2
        for port in (40000, 0):
            before = numbered(raw(request(b"1", version, udp_sport=port)), free=1)
            out = frames.rewritten(frame, frame[:12], (to_port, port.to_bytes(2)))
            kind = f"answer by its number leaves to port {port}, {name}"
            yield leaves(kind, answer, "REPLY_SENT", before, verdict=PASS, out=out)
        before = numbered(to_mac(one, GROUPS[0]), free=1)
        out = frames.rewritten(frame, frame[:12], (to_port, (40000).to_bytes(2)))
        kind = f"answer by its number leaves to a client that has asked all hosts, {name}"
        yield leaves(kind, answer, "REPLY_SENT", before, verdict=PASS, out=out)


EIGHT = ("silent", "traced")  # requests that may be kept
PARTS = (replies, neighbours, departures, holds, retries, held_by_replies)
