"""The balancer's packet table, third part: what backends say, and what is carried to them."""

from collections.abc import Callable, Iterator
from typing import Any

from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP
from scapy.packet import Packet

from netlab.balancer import Healer
from tests.bpf import frames
from tests.bpf.cases import (
    BUSY,
    DRAINED,
    FULL_QUEUE,
    IDLE,
    JUMBO,
    LISTENING,
    MOST,
    NO_STORE,
    ONCE,
    REPORTS,
    REQUEST,
    TAKEN,
    UNDER_WAY,
    VERSIONS,
    WAITING,
    WAITS,
    Before,
    Case,
    carries,
    drops,
    frees,
    grown,
    leaves,
    moved,
    raw,
    returns,
    swept,
    unmoved,
    weighed,
)
from tests.bpf.cases_passed import ETHERNET, GROUPS, Y, carrying, extended, tagged, to_mac
from tests.bpf.cases_requests import flipped, of
from tests.bpf.rig import (
    CLIENT,
    CLIENT6,
    LB,
    LB6,
    PASS,
    REDIRECT,
    SERVICE,
    SILENT_S,
    Rig,
    address_of,
    completion,
    request,
)
from tests.bpf.test_healing import report

STRANGERS = {4: (CLIENT, LB, "10.0.4.2", "10.0.1.3", "10.0.1.1"), 6: (CLIENT6, LB6, "fd00:0:0:4::2", "fe80::1")}
SIZES = {version: (0, 1, 4, 512, most - 1, most, most + 100) for version, most in MOST.items()}


def data(length: int) -> bytes:
    return bytes(number % 251 for number in range(length))


# --- completions ------------------------------------------------------------------------------------------------------


def completions() -> Iterator[Case]:
    for version in VERSIONS:
        name, done = Y[version], completion(1, version=version)
        yield from swept(
            f"data of a completion, {name}",
            (
                frees(f"completion with {length} bytes, {name}", completion(1, data(length), version), TAKEN)
                for length in SIZES[version]
            ),
        )
        yield from swept(
            f"bytes behind a completion, {name}",
            (
                frees(f"{length} bytes behind a completion, {name}", raw(done) + bytes(length), TAKEN)
                for length in (1, 18, 900)
            ),
        )
        yield from swept(
            f"port that a completion is from, {name}",
            (
                frees(f"completion from port {port}, {name}", completion(1, b"", version, udp_sport=port), TAKEN)
                for port in (0, SERVICE, 9090, 65535)
            ),
        )
        yield frees(f"completion with a wrong checksum, {name}", flipped(completion(1, b"12", version)), TAKEN)
        yield frees(
            f"completion with its length below the packet's, {name}", completion(1, b"12", version, udp_len=8), TAKEN
        )
        packet = completion(1, b"", version, ip_dst="10.0.1.1" if version == 4 else "fd00:0:0:1::1")
        yield frees(f"completion to our other address, {name}", packet, TAKEN)
        packet = completion(1, raw(request(b"1", version)[UDP]), version)
        yield frees(f"completion that carries a request, {name}", packet, TAKEN)
        yield frees(f"completion of {name} where backends report", done, LISTENING)
        second = IDLE.then(REQUEST, REQUEST, free=(4, 4, 5))
        yield frees(f"the second worker's completion, {name}", completion(2, version=version), second, 2)
        six = IDLE.then(raw(request(b"1", 10 - version)), free=(4, 5, 5))
        yield frees(f"completion of {name} of the other family's request", done, six)
        yield drops(f"one too many, {name}", done, "COMPLETION_EXCESS", IDLE)
        yield drops(
            f"another worker's is one too many, {name}", completion(2, version=version), "COMPLETION_EXCESS", TAKEN
        )
        yield drops(f"one too many while another waits, {name}", done, "COMPLETION_EXCESS", UNDER_WAY)
        yield frees(f"none too many, {name}", done, TAKEN, near="COMPLETION_EXCESS")
        yield from late(version)
        yield from forged(version, completion, "COMPLETION", TAKEN)
        yield frees(f"completion from a backend, {name}", done, TAKEN, near="COMPLETION_STRANGER")
        yield frees(f"on the backend's interface, {name}", done, TAKEN, near="COMPLETION_WRONG_INTERFACE")
        yield returns(f"another waits, {name}", done, WAITING)
        yield returns(f"the queue is full of others, {name}", done, FULL_QUEUE)
        yield from swept(
            f"data of a completion that carries, {name}",
            (
                returns(
                    f"another waits, completion with {length} bytes, {name}",
                    completion(1, data(length), version),
                    WAITING,
                )
                for length in SIZES[version]
            ),
        )
        yield frees(f"none waits, {name}", done, BUSY, near="COMPLETION_CARRIED")
        yield returns(f"one waits, {name}", done, WAITING, near="COMPLETION_FREED")
        yield frees(f"one waits, but this one is drained, {name}", done, DRAINED, near="COMPLETION_CARRIED")
        yield returns(f"one waits, and this one is not drained, {name}", completion(2, version=version), DRAINED, 2)


def late(version: int) -> Iterator[Case]:
    """Yield completions that come after the report which has made up for them, and those that are not known to."""
    name, done, was_late = Y[version], completion(1, version=version), "COMPLETION_LATE"
    owed = reporting(version, 2, 2, 2)
    yield drops(f"late, {name}", done, was_late, owed)
    yield drops(
        f"late, of the other family than its report, {name}", completion(1, version=10 - version), was_late, owed
    )
    yield drops(f"two are late, {name}", done, was_late, owed.then(raw(done)))
    three = owed.then(raw(done), raw(done))
    yield drops(f"two are late, and one is too many, {name}", done, "COMPLETION_EXCESS", three, near=was_late)
    again = owed.then(raw(report(1, 0, 0, 8, version)))
    yield drops(f"from before it began again, {name}", done, "COMPLETION_EXCESS", again, near=was_late)
    yield frees(f"late, or the next one, {name}", done, reporting(version, 2, 2, 1), near=was_late)
    if version == 4:  # the state takes a while
        silent = reporting(version, 2, 2, 1).then(silence, free=(0,))
        yield drops("a silent worker's", done, was_late, silent, builds=ONCE)


def forged(version: int, build: Callable[..., Packet], kind: str, before: Before) -> Iterator[Case]:
    """Yield words of backends that are from others, or on other interfaces."""
    word, name = kind.lower(), Y[version]
    for length in (0, 1, 512, MOST[version]):
        packet = completion(1, data(length), version, ip_src=STRANGERS[version][0])
        if kind == "REPORT":
            packet = completion(1, data(length), version, ip_src=STRANGERS[version][0], udp_dport=REPORTS)
        case = drops(f"{word} of {length} bytes from the client, {name}", packet, f"{kind}_STRANGER", before)
        yield case._replace(sweep=f"data of a {word} from the client, {name}")
        packet[1].src = address_of(1, version)
        case = drops(f"{word} of {length} bytes elsewhere, {name}", rebuilt(packet), f"{kind}_WRONG_INTERFACE", before)
        yield case._replace(sweep=f"data of a {word} elsewhere, {name}", interface="not home")
    yield from swept(
        f"source of a {word}, {name}",
        (
            drops(f"{word} from {address}", build(1, version=version, ip_src=address), f"{kind}_STRANGER", before)
            for address in STRANGERS[version][1:]
        ),
    )
    packet = build(1, version=version, ip_src=STRANGERS[version][0])
    yield drops(f"{word} from the client, elsewhere, {name}", packet, f"{kind}_STRANGER", before, interface="not home")
    packet = to_mac(build(1, version=version), GROUPS[0])
    reason = f"{kind}_WRONG_INTERFACE"
    yield drops(f"{word} to all hosts, elsewhere, {name}", packet, reason, before, interface="not home")
    packet = build(1, version=version, ip_src=STRANGERS[version][0], udp_sport=SERVICE)
    yield drops(f"{word} from the client's service port, {name}", packet, f"{kind}_STRANGER", before)


def rebuilt(packet: Packet) -> Packet:
    """Return a packet with its checksums computed anew."""
    for layer in packet.layers():
        packet[layer].fields.pop("chksum", None)
    return packet


# --- carriers ---------------------------------------------------------------------------------------------------------


def carried() -> Iterator[Case]:
    for version in VERSIONS:
        name, carrier = Y[version], completion(1, version=version)
        for inner in VERSIONS:
            yield from swept(
                f"data of a request of {Y[inner]} that is carried, {name}",
                (
                    carries(
                        f"{length} bytes of {Y[inner]} on a completion of {name}", carrier, packet, under_way(packet)
                    )
                    for length in (0, 1, 2, 512, MOST[inner] - 1, MOST[inner])
                    for packet in [of(length, inner)]
                ),
            )
            packet = flipped(request(b"12", inner))
            yield carries(f"wrong checksum of {Y[inner]}, carried, {name}", carrier, packet, under_way(packet))
            packet = raw(request(b"12", inner)) + bytes(40)
            yield carries(f"bytes behind {Y[inner]}, carried, {name}", carrier, packet, under_way(packet))
        yield from swept(
            f"data of a carrier, {name}",
            (
                carries(
                    f"a carrier with {length} bytes, {name}", completion(1, data(length), version), WAITS, UNDER_WAY
                )
                for length in SIZES[version]
            ),
        )
        yield carries(f"bytes behind a carrier, {name}", raw(carrier) + bytes(50), WAITS, UNDER_WAY)
        yield carries(f"carrier is a report, {name}", report(1, 1, 1, version=version), WAITS, UNDER_WAY)
        full = FULL_QUEUE.then(raw(carrier), free=(1,))
        yield carries(f"a carrier for a full queue, {name}", carrier, WAITS, full, near="CARRIER_EMPTY")
        yield carries(f"to the second worker, {name}", completion(2, version=version), WAITS, SECOND, 2)
        yield leaves(f"none waits, carrier of {name}", carrier, "CARRIER_EMPTY", TAKEN, out=grown(carrier))
        yield leaves(
            f"none waits, long carrier of {name}",
            completion(1, data(1600), version),
            "CARRIER_EMPTY",
            TAKEN,
            out=grown(completion(1, data(1600), version)),
        )
        yield leaves(
            f"no thread is free, carrier of {name}",
            carrier,
            "CARRIER_EMPTY",
            WAITING,
            out=grown(carrier),
            near="CARRIER_SENT",
        )
        before = DRAINED.then(raw(completion(1)), free=(1, 0))
        yield leaves(f"drained meanwhile, carrier of {name}", carrier, "CARRIER_EMPTY", before, out=grown(carrier))
        yield leaves(f"cannot grow, carrier of {name}", carrier, "CARRIER_NO_ROOM", UNDER_WAY, builds=(JUMBO,))
        yield leaves(f"cannot grow, none waits, carrier of {name}", carrier, "CARRIER_NO_ROOM", TAKEN, builds=(JUMBO,))
        yield carries(f"can grow, carrier of {name}", carrier, WAITS, UNDER_WAY, near="CARRIER_NO_ROOM")
        not_filled: dict[str, Any] = {
            "gained": {"dequeued": 1, "retried": 1},
            "out": grown(carrier),
            "builds": (NO_STORE,),
        }
        yield leaves(f"not filled, carrier of {name}", carrier, "CARRIER_NOT_FILLED", UNDER_WAY)._replace(**not_filled)
        yield leaves(
            f"need not be filled, carrier of {name}", carrier, "CARRIER_EMPTY", TAKEN,
            out=grown(carrier), near="CARRIER_NOT_FILLED", builds=(NO_STORE,),
        )  # fmt: skip
        yield carries(f"filled, carrier of {name}", carrier, WAITS, UNDER_WAY, near="CARRIER_NOT_FILLED")
        for kind, frame in no_carriers(version).items():
            yield leaves(f"{kind}, {name}", frame, "CARRIER_MALFORMED", UNDER_WAY)
        yield carries(f"is a carrier, {name}", carrier, WAITS, UNDER_WAY, near="CARRIER_MALFORMED")
        yield from let_out(version)
    yield carries("no checksum, carried", completion(1), request(udp_chksum=0), under_way(request(udp_chksum=0)))
    yield leaves("ARP on its way out", ETHERNET / ARP(pdst=LB), "CARRIER_MALFORMED", UNDER_WAY)


SECOND = Before(
    {"backends": 2, "capacity": 1}, (REQUEST, REQUEST, WAITS, raw(completion(2))), (0, 1), 1
)  # whose carrier is under way


def under_way(waits: Packet | bytes) -> Before:
    """Return the state in which a request waits, and a carrier is on its way for it."""
    return BUSY.then(raw(waits), raw(completion(1)), free=(1,), depth=1)


def no_carriers(version: int) -> dict[str, Packet | bytes]:
    """Return frames that leave by our doors, and are neither requests nor from a backend."""
    done = completion(1, version=version)
    return {
        "carrier from the client": completion(1, version=version, ip_src=STRANGERS[version][0]),
        "carrier from ourselves": completion(1, version=version, ip_src=STRANGERS[version][1]),
        "carrier cut behind its IP header": raw(done)[: frames.udp_at(raw(done))],
        "carrier cut by a byte": raw(done)[:-1],
        "Ethernet header of a carrier": raw(done)[:14],
        "carrier with a tag": tagged(done, (0x8100, 5)),
        "carrier that is a fragment": completion(1, ip_flags="MF") if version == 4 else extended(done, 44),
        "carrier with another header": completion(1, ip_options=[b"\1"] * 4) if version == 4 else extended(done, 60),
        "carrier of TCP": carrying(version, 6, bytes(20)),
    }


def let_out(version: int) -> Iterator[Case]:
    """Yield requests on their way out, which are counted when they are forwarded: both kinds leave by one program."""
    name = Y[version]
    for worker in (1, 2):
        sent = frames.addressed(raw(request(b"1", version)), worker)
        yield leaves(f"a request to worker{worker} leaves, {name}", sent, "", TAKEN, verdict=PASS)
    sent = frames.addressed(raw(request(b"1", version)), 1)
    yield leaves(
        f"a request leaves while others wait, {name}", sent, "", UNDER_WAY, verdict=PASS, near="CARRIER_MALFORMED"
    )
    sent = frames.addressed(raw(of(MOST[version], version)), 1)
    yield leaves(f"the longest request leaves, {name}", sent, "", TAKEN, verdict=PASS)
    client = request(b"1", version, ip_src=address_of(2, version))
    sent = frames.addressed(raw(client), 1)
    yield leaves(f"a backend's request to another leaves, {name}", sent, "", TAKEN, verdict=PASS)
    client = request(b"1", version, ip_src=address_of(2, version), udp_sport=SERVICE)
    sent = frames.addressed(raw(client), 1)
    yield leaves(f"a backend's request to another from its service port leaves, {name}", sent, "", TAKEN, verdict=PASS)
    client = request(b"1", version, udp_sport=SERVICE)
    sent = frames.addressed(raw(client), 1)
    yield leaves(f"a client's request from its service port, {name}", sent, "", TAKEN, verdict=PASS)


# --- reports ----------------------------------------------------------------------------------------------------------


def reporting(version: int, sent: int = 2, received: int = 0, completed: int = 0, waiting: int = 0) -> Before:
    """Return the state of one worker of two threads that has begun to report, and then got requests, and told so."""
    told = report(1, received, completed, version=version)
    steps = [
        raw(report(1, 0, 0, version=version)),
        *[REQUEST] * sent,
        *[raw(told)] * bool(received),
        *[WAITS] * waiting,
    ]
    settings = {"backends": 1, "capacity": 2, "report_port": REPORTS}
    return Before(settings, tuple(steps), (2 - sent + completed,), waiting)


def tells(name: str, packet: Packet | bytes, reason: str, before: Before, by: int = 0, **more: Any) -> Case:
    """Return a case of a report by which worker1 has so many free threads more."""
    return drops(name, packet, reason, before)._replace(free=moved(before.free, 1, by), **more)


def reports() -> Iterator[Case]:
    for version in VERSIONS:
        name = Y[version]
        two = reporting(version)

        def reported(received: int, completed: int, incarnation: int = 7, version: int = version) -> Packet:
            return report(1, received, completed, incarnation, version)

        agreed = "REPORT_AGREED"
        yield tells(f"report that agrees, {name}", reported(2, 0), agreed, two)
        yield tells(
            f"report that agrees, of the other family, {name}", reported(2, 0, version=10 - version), agreed, two
        )
        yield tells(f"report that agrees, requests are under way, {name}", reported(1, 0), agreed, two)
        yield tells(f"report that agrees, to all hosts, {name}", to_mac(reported(2, 0), GROUPS[0]), agreed, two)
        yield tells(f"report with bytes behind it, {name}", raw(reported(2, 0)) + bytes(20), agreed, two)
        yield tells(
            f"report with a wrong checksum, {name}", report(1, 2, 0, version=version, udp_chksum=1), agreed, two
        )
        yield tells(f"report that is told again, {name}", reported(2, 0), agreed, reporting(version, 2, 2))
        first = two._replace(steps=two.steps[1:])
        yield tells(f"the first report, {name}", reported(2, 0), "REPORT_BEGUN", first, near=agreed)
        yield tells(f"the first report of a long life, {name}", reported(1002, 1000), "REPORT_BEGUN", first)
        yield tells(f"the second report, {name}", reported(2, 0), agreed, two, near="REPORT_BEGUN")
        yield tells(f"begun again with nothing, {name}", reported(0, 0, 8), "REPORT_RESTARTED", two, 2)
        yield tells(f"begun again with one, {name}", reported(1, 0, 8), "REPORT_RESTARTED", two, 1)
        yield tells(f"not begun again, {name}", reported(2, 0, 7), agreed, two, near="REPORT_RESTARTED")
        lost = "REPORT_COMPLETION_LOST"
        yield tells(f"a completion was lost, {name}", reported(2, 1), lost, two, 1)
        yield tells(f"two completions were lost, {name}", reported(2, 2), lost, two, 2)
        yield tells(f"no completion was lost, {name}", reported(2, 0), agreed, two, near=lost)
        doubled = two.then(raw(completion(1)), free=(1,))
        yield tells(f"a completion too many, {name}", reported(2, 0), "REPORT_COMPLETION_DOUBLED", doubled, -1)
        yield tells(
            f"no completion too many, {name}", reported(2, 1), agreed, doubled, near="REPORT_COMPLETION_DOUBLED"
        )
        yield from late_by_report(version)
        later = reporting(version, 2, 2, 1)
        yield tells(f"older by a completion, {name}", reported(2, 0), "REPORT_OLD", later)
        yield tells(f"older by a request, {name}", reported(1, 1), "REPORT_OLD", later)
        yield tells(f"older by half of all numbers, {name}", reported(2, 1 + 2**31), "REPORT_OLD", later)
        yield tells(f"no older, {name}", reported(2, 1), agreed, later, near="REPORT_OLD")
        if version == 4:  # the state takes a second
            silent = two.then(silence, free=(0,))
            yield tells("back from silence", reported(2, 0), "REPORT_RETURNED", silent, builds=ONCE)
            yield tells(
                "back from silence with nothing in hand", reported(2, 2), "REPORT_RETURNED", silent, 2, builds=ONCE
            )
        yield tells(f"never silent, {name}", reported(2, 0), agreed, two, near="REPORT_RETURNED")
        yield from malformed_reports(version)
        yield from forged(
            version, lambda index, version, **fields: report(index, 2, 2, version=version, **fields), "REPORT", two
        )
        yield tells(f"report from a backend, {name}", reported(2, 2), lost, two, 2, near="REPORT_STRANGER")
        yield tells(f"report on its interface, {name}", reported(2, 2), lost, two, 2, near="REPORT_WRONG_INTERFACE")
        waits = reporting(version, waiting=1)
        yield tells(f"lost, and another waits, {name}", reported(2, 1), lost, waits, 1, verdict=REDIRECT)
        yield tells(
            f"begun again, and another waits, {name}", reported(0, 0, 8), "REPORT_RESTARTED", waits, 2, verdict=REDIRECT
        )
        yield tells(f"nothing lost, and another waits, {name}", reported(2, 0), agreed, waits)
        freed = waits.then(raw(completion(1)), free=(1,))
        name_of = f"nothing lost, a thread is free and another waits, {name}"
        yield tells(name_of, reported(2, 1), agreed, freed, verdict=REDIRECT)
        drained = waits.then(weighed(0))
        yield tells(f"lost, another waits, but it is drained, {name}", reported(2, 1), lost, drained, 1)


def late_by_report(version: int) -> Iterator[Case]:
    """Yield reports after a completion that is owed, and has freed a thread, or after one that is not."""
    name, done, told = Y[version], raw(completion(1)), report(1, 2, 1, version=version)
    late, doubled = "REPORT_COMPLETION_LATE", "REPORT_COMPLETION_DOUBLED"
    came = reporting(version, 2, 2, 1).then(done, free=(2,))
    yield tells(f"a completion was late, {name}", told, late, came, -1)
    yield tells(f"one was late, {name}", told, late, came, -1, near=doubled)
    yield tells(f"it was the next one, {name}", report(1, 2, 2, version=version), "REPORT_AGREED", came, near=late)
    twice = came.then(raw(told), done)
    yield tells(f"a completion was late, and another one is too many, {name}", told, doubled, twice, -1, near=late)


def silence(rig: Rig) -> None:
    """Let worker1 not report for so long that nobody is taken to be there."""
    slept(rig)
    Healer(rig.pins).watch()


def slept(rig: Rig) -> None:
    """Let so much time pass that whoever does not report is silent."""
    rig.later(SILENT_S)


def malformed_reports(version: int) -> Iterator[Case]:
    name, right = Y[version], raw(report(1, 2, 2, version=version)[UDP].payload)
    two = reporting(version)

    def saying(what: bytes, **fields: object) -> Packet:
        return completion(1, what, version, udp_dport=REPORTS, **fields)

    yield from swept(
        f"length of a report, {name}",
        (
            drops(f"report of {length} bytes, {name}", saying(right[:length]), "REPORT_MALFORMED", two)
            for length in (0, 1, 4, len(right) - 1)
        ),
    )
    for kind, packet in {
        "noise for a report": saying(data(512)),
        "most noise for a report": saying(data(MOST[version])),
        "another magic": saying(b"NLR2" + right[4:]),
        "no magic": saying(bytes(4) + right[4:]),
        "no incarnation": report(1, 2, 2, 0, version),
        "UDP length that ends before it does": saying(right, udp_len=8 + len(right) - 1),
        "UDP length of the header alone": saying(right, udp_len=8),
    }.items():
        yield drops(f"report: {kind}, {name}", packet, "REPORT_MALFORMED", two)
    yield tells(
        f"report that is none too short, {name}",
        saying(right),
        "REPORT_COMPLETION_LOST",
        two,
        2,
        near="REPORT_MALFORMED",
    )
    longer = saying(right + bytes(8 * 64))
    yield tells(f"report with digests, {name}", longer, "REPORT_COMPLETION_LOST", two, 2)


# --- carriers of user space's -----------------------------------------------------------------------------------------


def kicks() -> Iterator[Case]:
    kick = {"program": "kick_run"}
    for version in VERSIONS:
        name, carrier = Y[version], completion(1, version=version)
        yield drops(f"kick, {name}", carrier, "KICKED", UNDER_WAY, verdict=REDIRECT, **kick)
        yield drops(
            f"kick for a full queue, {name}",
            carrier,
            "KICKED",
            FULL_QUEUE.then(raw(carrier), free=(1,)),
            verdict=REDIRECT,
            **kick,
        )
        needless = "KICK_NEEDLESS"
        yield drops(f"kick, none waits, {name}", carrier, needless, TAKEN, near="KICKED", **kick)
        yield drops(f"kick, no thread is free, {name}", carrier, needless, WAITING, near="KICKED", **kick)
        drained = DRAINED.then(raw(completion(1)), free=(1, 0))
        yield drops(f"kick for a drained one, {name}", carrier, needless, drained, **kick)
        other = completion(1, version=version, ip_src=STRANGERS[version][0])
        yield drops(f"kick for nobody, {name}", other, needless, UNDER_WAY, **kick)
        yield drops(f"kick by a frame that is cut, {name}", raw(carrier)[:-1], needless, UNDER_WAY, **kick)
        yield drops(f"needed kick, {name}", carrier, "KICKED", UNDER_WAY, verdict=REDIRECT, near=needless, **kick)
    yield drops("kick by ARP", ETHERNET / ARP(pdst=LB), "KICK_NEEDLESS", UNDER_WAY, **kick)


def by_user_space() -> Iterator[Case]:
    """Yield what is counted when user space runs programs of the same file."""
    two, packet = reporting(4), completion(1)
    for name, verdict, reason, before, more in (
        ("is silent now", 1, "BACKEND_SILENT", two.then(slept), {"free": (0,), "builds": ONCE}),
        ("is silent still", 1, "", two.then(silence, free=(0,)), {"builds": ONCE}),
        ("reports", 0, "", two, {"near": "BACKEND_SILENT"}),
        ("has never reported", 0, "", TAKEN, {"near": "BACKEND_SILENT"}),
    ):
        case = unmoved(verdict, f"watch over one that {name}", packet, reason, before)
        yield case._replace(program="watch_run", **more)
    yield unmoved(1, "the role starts again", packet, "ROLE_RESUMED", two)._replace(program="resume_run")
    yield unmoved(1, "policy and weights hold", packet, "", two)._replace(program="arrange_run", near="ROLE_RESUMED")


PARTS = (completions, carried, reports, kicks, by_user_space)
