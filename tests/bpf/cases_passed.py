"""The balancer's packet table, first part: what is none of its own, and reaches the stack byte for byte."""

from collections.abc import Callable, Iterator

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, LLC, Ether
from scapy.packet import Packet, Raw

from tests.bpf import frames
from tests.bpf.cases import (
    BUSY,
    IDLE,
    LISTENING,
    MOST,
    REPORTS,
    TAKEN,
    UNSET,
    VERSIONS,
    Case,
    forwards,
    frees,
    passes,
    raw,
    swept,
)
from tests.bpf.rig import CLIENT, CLIENT6, CLIENT_MAC, COMPLETION, LB, LB6, LB_MAC, SERVICE, completion, request
from tests.bpf.test_healing import report

ETHERNET = Ether(src=CLIENT_MAC, dst=LB_MAC)  # or scapy would look for them
NOT_FIRST = {4: "10.0.1.1", 6: "fd00:0:0:1::1"}  # addresses of ours, but not the first
HOSTS = {4: IP(src=CLIENT, dst=LB), 6: IPv6(src=CLIENT6, dst=LB6)}
Y = {4: "IPv4", 6: "IPv6"}
KINDS: dict[str, Callable[..., Packet]] = {
    "request": lambda version, **fields: request(b"1", version, **fields),
    "completion": lambda version, **fields: completion(1, b"", version, **fields),
    "report": lambda version, **fields: report(1, 1, 1, version=version, **fields),
}


def each_kind(*versions: int) -> Iterator[tuple[str, int, Callable[..., Packet]]]:
    """Yield the three kinds of packets that concern the balancer, of each family, with a name."""
    for version in versions or VERSIONS:
        for kind, build in KINDS.items():
            yield f"{kind} of {Y[version]}", version, build


def with_type(packet: Packet | bytes, number: int) -> bytes:
    frame = raw(packet)
    return frame[:12] + number.to_bytes(2) + frame[14:]


def tagged(packet: Packet | bytes, *tags: tuple[int, int]) -> bytes:
    """Return a frame with VLAN tags: their types, and what they say."""
    frame = raw(packet)
    return frame[:12] + b"".join(kind.to_bytes(2) + tag.to_bytes(2) for kind, tag in tags) + frame[12:]


def to_mac(packet: Packet | bytes, mac: str) -> bytes:
    return frames.mac(mac) + raw(packet)[6:]


def written(packet: Packet | bytes, at: int, value: bytes) -> bytes:
    """Return a frame with some of its bytes written over, and its IPv4 header's checksum right."""
    frame = raw(packet)
    return frames.with_header_checksum(frame[:at] + value + frame[at + len(value) :])


def carrying(version: int, protocol: int, data: bytes) -> bytes:
    """Return a packet to us of any protocol."""
    header = HOSTS[version].copy()
    header.fields["proto" if version == 4 else "nh"] = protocol
    return raw(ETHERNET / header / Raw(data))


# --- frames that are no IP --------------------------------------------------------------------------------------------

Q, AD = 0x8100, 0x88A8


def no_ip() -> Iterator[Case]:
    for name, _, build in each_kind():
        packet = build(int(name[-1]))
        for kind, tags in {
            "with a VLAN tag": [(Q, 5)],
            "with an 802.1ad tag": [(AD, 5)],
            "with two tags (QinQ)": [(AD, 5), (Q, 7)],
        }.items():
            yield passes(f"{name} {kind}", tagged(packet, *tags), "PASS_NOT_IP", LISTENING)
    for version in VERSIONS:
        one = request(b"1", version)
        yield passes(f"priority tag, {Y[version]}", tagged(one, (Q, 7 << 13)), "PASS_NOT_IP", IDLE)
        yield passes(f"three tags, {Y[version]}", tagged(one, (AD, 1), (AD, 2), (Q, 3)), "PASS_NOT_IP", IDLE)
        yield passes(f"{Y[version]} in a frame of its type's bytes swapped", swapped(one), "PASS_NOT_IP", IDLE)
    yield from (
        passes(name, frame, "PASS_NOT_IP", IDLE)
        for name, frame in {
            "ARP request": ETHERNET / ARP(pdst=LB),
            "ARP reply": ETHERNET / ARP(op="is-at", pdst=LB),
            "MPLS": ETHERNET / MPLS(label=5) / request(b"1").payload,
            "PPPoE": with_type(request(b"1"), 0x8864),
            "LLDP": with_type(request(b"1"), 0x88CC),
            "802.3 with a length": with_type(ETHERNET / LLC() / b"1", 46),
            "Ethernet header alone": raw(ETHERNET)[:12] + b"\0\0",
            "tag that ends the frame": raw(request(b"1"))[:12] + b"\x81\x00\x00\x05",
        }.items()
    )
    yield forwards("request of IPv4 without a tag", request(b"1"), IDLE, near="PASS_NOT_IP")
    yield passes("ARP before the role has set it up", ETHERNET / ARP(pdst=LB), "PASS_UNCONFIGURED", UNSET)
    for name, version, build in each_kind():
        yield passes(f"{name} before the role has set it up", build(version), "PASS_UNCONFIGURED", UNSET)
    yield forwards("request once the role has set it up", request(b"1"), IDLE, near="PASS_UNCONFIGURED")


def swapped(packet: Packet) -> bytes:
    return with_type(packet, int.from_bytes(raw(packet)[12:14], "little"))


# --- lengths and versions that lie ------------------------------------------------------------------------------------


def malformed() -> Iterator[Case]:
    four, six = raw(request(b"1")), raw(request(b"1", 6))
    bad = [
        *(("IPv4 header cut", f"to {length} bytes", four[: 14 + length]) for length in (0, 1, 16, 19)),
        ("", "IPv4 packet cut by a byte", four[:-1]),
        ("", "IPv4 packet cut behind its header", four[:34]),
        *(("ihl", f"{words}", raw(request(b"1", ip_ihl=words))) for words in range(5)),
        *(("IPv4's version", f"{number}", raw(request(b"1", ip_version=number))) for number in (0, 5, 6, 15)),
        *(("total length", f"{length}", raw(request(b"1", ip_len=length))) for length in (0, 1, 19)),
        ("", "total length beyond the frame by one", raw(request(b"1", ip_len=30))),
        ("", "total length beyond any frame", raw(request(b"1", ip_len=65535))),
        ("", "total length beyond the frame, of a completion", raw(completion(1, ip_len=29))),
        ("", "ihl beyond the total length", raw(request(b"1", ip_ihl=15))),
        ("", "ihl beyond the total length by one", raw(request(b"", ip_ihl=8))),
        ("", "IPv6 in a frame of IPv4's type", with_type(six, 0x0800)),
        *(("IPv6 header cut", f"to {length} bytes", six[: 14 + length]) for length in (0, 1, 20, 39)),
        ("", "IPv6 packet cut by a byte", six[:-1]),
        ("", "IPv6 packet cut behind its header", six[:54]),
        *(("IPv6's version", f"{number}", raw(request(b"1", 6, ip_version=number))) for number in (0, 4, 7, 15)),
        ("", "payload length beyond the frame by one", raw(request(b"1", 6, ip_plen=10))),
        ("", "payload length beyond any frame", raw(request(b"1", 6, ip_plen=65535))),
        ("", "payload length beyond the frame, of a completion", raw(completion(1, version=6, ip_plen=9))),
        ("", "IPv4 in a frame of IPv6's type", with_type(request(bytes(40)), 0x86DD)),
    ]
    for sweep, name, frame in bad:
        yield passes(f"{sweep} {name}".strip(), frame, "PASS_MALFORMED_IP", LISTENING, sweep=sweep)
    for name, _, build in each_kind(4):
        right = raw(build(4))
        for kind, value in {
            "zero": b"\0\0",
            "off by one": (int.from_bytes(right[24:26]) ^ 1).to_bytes(2),
        }.items():
            frame = right[:24] + value + right[26:]
            yield passes(f"{name}, its header checksum {kind}", frame, "PASS_MALFORMED_IP", LISTENING)
    zero = raw(request(ip_id=int.from_bytes(raw(request(ip_id=0))[24:26])))  # what is missing to a sum of ones
    assert zero[24:26] == b"\0\0"
    yield forwards("header checksum that is zero", zero, IDLE, near="PASS_MALFORMED_IP")
    frame = zero[:24] + b"\xff\xff" + zero[26:]
    yield forwards("header checksum of ones in its place", frame, IDLE, near="PASS_MALFORMED_IP")


# --- protocols, fragments, options, extension headers -----------------------------------------------------------------


def not_udp() -> Iterator[Case]:
    for name, frame in {
        "ping": ETHERNET / HOSTS[4] / ICMP(),
        "port unreachable": ETHERNET / HOSTS[4] / ICMP(type=3, code=3) / request(b"1").payload,
        "TCP to the service port": ETHERNET / HOSTS[4] / TCP(dport=SERVICE),
        "TCP to the completion port": ETHERNET / HOSTS[4] / TCP(dport=COMPLETION),
        "fragment of a ping": ETHERNET / IP(src=CLIENT, dst=LB, flags="MF") / ICMP(),
        "ping of IPv6": ETHERNET / HOSTS[6] / ICMPv6EchoRequest(),
        "neighbour solicitation": ETHERNET / HOSTS[6] / ICMPv6ND_NS(tgt=LB6),
        "TCP of IPv6 to the service port": ETHERNET / HOSTS[6] / TCP(dport=SERVICE),
        "TCP of IPv6 to the completion port": ETHERNET / HOSTS[6] / TCP(dport=COMPLETION),
        "no next header": carrying(6, 59, b""),
        "no next header, but data": carrying(6, 59, raw(request(b"1", 6)[UDP])),
    }.items():
        yield passes(name, frame, "PASS_NOT_UDP", TAKEN)
    for version in VERSIONS:  # 0, 43, 44, 51, 60 and 135 are headers of IPv6's own
        for number in (1, 2, 4, 6, 16, 18, 41, 47, 50, 58, 132, 136, 140, 253, 255):
            case = passes(
                f"protocol {number}, {Y[version]}",
                carrying(version, number, raw(request(b"1", version)[UDP])),
                "PASS_NOT_UDP",
                TAKEN,
            )
            yield case._replace(sweep=f"protocol of {Y[version]}")
    yield forwards("protocol 17", carrying(4, 17, raw(request(b"1")[UDP])), IDLE, near="PASS_NOT_UDP")
    data = raw(request(b"1", 6)[UDP])
    yield forwards("protocol 17 of IPv6", carrying(6, 17, data), IDLE, near="PASS_NOT_UDP")


def fragments() -> Iterator[Case]:
    for name, _, build in each_kind(4):
        for kind, flags, offset in (("first", "MF", 0), ("middle", "MF", 3), ("last", 0, 3)):
            packet = build(4, ip_flags=flags, ip_frag=offset)
            is_request = kind == "first" and name.startswith("request")
            reason = "PASS_FRAGMENTED_REQUEST" if is_request else "PASS_FRAGMENT"
            yield passes(f"{kind} fragment of a {name}", packet, reason, LISTENING)
    yield passes("last fragment at the highest offset", request(ip_frag=8191), "PASS_FRAGMENT", TAKEN)
    yield passes("fragment that must not be one", request(ip_flags="MF+DF"), "PASS_FRAGMENTED_REQUEST", TAKEN)
    other = request(ip_flags="MF", udp_dport=SERVICE + 1)
    yield passes("first fragment to another port", other, "PASS_FRAGMENT", TAKEN, near="PASS_FRAGMENTED_REQUEST")
    flooded = to_mac(request(ip_flags="MF"), "02:00:00:00:00:99")
    yield passes("first fragment to another host", flooded, "PASS_FRAGMENT", TAKEN, near="PASS_FRAGMENTED_REQUEST")
    short = request(ip_flags="MF", ip_len=24)
    yield passes("first fragment without ports", short, "PASS_FRAGMENT", TAKEN)
    options = request(ip_flags="MF", ip_options=[b"\1"] * 4)
    yield passes("first fragment with options", options, "PASS_FRAGMENT", TAKEN)
    yield forwards("not to be fragmented", request(ip_flags="DF"), IDLE, near="PASS_FRAGMENT")
    yield forwards("the reserved bit", request(ip_flags=4), IDLE, near="PASS_FRAGMENT")


OPTIONS = {
    "no operations": b"\1" * 4,
    "end of the list": b"\0" * 4,
    "router alert": b"\x94\x04\0\0",
    "record route": b"\x07\x07\x04\0\0\0\0\0",
    "timestamps": b"\x44\x08\x05\0\0\0\0\0",
    "source route": b"\x83\x07\x04\x0a\0\0\1\0",
    "of a length that lies": b"\x07\xff\x04\0",
}


def options() -> Iterator[Case]:
    for name, option in OPTIONS.items():
        yield passes(f"option: {name}", request(b"1", ip_options=[option]), "PASS_IP_OPTIONS", TAKEN)
    yield from swept(
        "length of the options",
        (
            passes(f"{words} words of options", request(b"1", ip_options=[b"\1"] * 4 * words), "PASS_IP_OPTIONS", TAKEN)
            for words in range(1, 11)
        ),
    )
    for name, _, build in each_kind(4):
        if not name.startswith("request"):
            packet = build(4, ip_options=[b"\1"] * 4)
            yield passes(f"{name} with options", packet, "PASS_IP_OPTIONS", LISTENING)
    longest = request(bytes(MOST[4] - 40), ip_options=[b"\1"] * 40)
    yield passes("as many options and as much data as the MTU allows", longest, "PASS_IP_OPTIONS", TAKEN)
    bare = request(ip_options=[b"\1"] * 4, ip_len=24)
    yield passes("options and nothing behind them", bare, "PASS_IP_OPTIONS", TAKEN)
    yield forwards("ihl 5: no options", request(b"\1\1\1\1"), IDLE, near="PASS_IP_OPTIONS")


EXTENSIONS = {
    "hop-by-hop options": 0,
    "routing": 43,
    "fragment": 44,
    "authentication": 51,
    "destination options": 60,
    "mobility": 135,
}
HEADERS = {
    "hop-by-hop and destination options": IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(),
    "routing to us": IPv6ExtHdrRouting(addresses=[LB6], segleft=1),
    "first fragment": IPv6ExtHdrFragment(m=1),
    "middle fragment": IPv6ExtHdrFragment(m=1, offset=3),
    "last fragment": IPv6ExtHdrFragment(offset=3),
    "fragment of its own (atomic)": IPv6ExtHdrFragment(),
}


def extended(packet: Packet, kind: int) -> bytes:
    """Return a packet with a header of eight bytes between IPv6 and UDP."""
    return raw(ETHERNET / IPv6(src=packet[IPv6].src, dst=LB6, nh=kind) / (b"\x11" + bytes(7) + bytes(packet[UDP])))


def extensions() -> Iterator[Case]:
    for kind, number in EXTENSIONS.items():
        for name, _, build in each_kind(6):
            packet = extended(build(6), number)
            is_request = kind == "fragment" and name.startswith("request")
            reason = "PASS_FRAGMENTED_REQUEST" if is_request else "PASS_IPV6_EXTENSION"
            case = passes(f"{kind} before a {name}", packet, reason, LISTENING)
            yield case._replace(sweep=f"extension header of a {name}")
    for name, header in HEADERS.items():
        packet = ETHERNET / HOSTS[6] / header / request(b"1", 6)[UDP]
        is_first = name.startswith(("first", "fragment"))
        yield passes(name, packet, "PASS_FRAGMENTED_REQUEST" if is_first else "PASS_IPV6_EXTENSION", TAKEN)
        packet = ETHERNET / HOSTS[6] / header / request(b"1", 6, udp_dport=SERVICE + 1)[UDP]
        yield passes(f"{name}, to another port", packet, "PASS_IPV6_EXTENSION", TAKEN)
    for name, header in HEADERS.items():
        packet = (
            ETHERNET / IPv6(src=completion(1, version=6)[IPv6].src, dst=LB6) / header / completion(1, version=6)[UDP]
        )
        yield passes(f"{name}, before a completion", packet, "PASS_IPV6_EXTENSION", TAKEN)
    yield passes("fragment header and no more", carrying(6, 44, b""), "PASS_IPV6_EXTENSION", TAKEN)
    plain = request(b"1", 6)
    yield forwards("no header between IPv6 and UDP", plain, IDLE, near="PASS_IPV6_EXTENSION")


def truncated() -> Iterator[Case]:
    for version in VERSIONS:
        yield from swept(
            f"bytes behind the header of {Y[version]}",
            (
                passes(f"{room} bytes where UDP should be, {Y[version]}", frame, "PASS_TRUNCATED_UDP", TAKEN)
                for room in range(8)
                for frame in [carrying(version, 17, raw(request(b"1", version)[UDP])[:room])]
            ),
        )
        yield from swept(
            f"claim of less than a UDP header, {Y[version]}",
            (
                passes(f"claim of {room} bytes behind the header of {Y[version]}", frame, "PASS_TRUNCATED_UDP", TAKEN)
                for room in (0, 4, 7)
                for frame in [claiming(request(b"1", version), room)]
            ),
        )
        one = claiming(completion(1, version=version), 7)
        yield passes(f"completion that claims less, {Y[version]}", one, "PASS_TRUNCATED_UDP", TAKEN)
        packet = request(b"", version)
        yield forwards(f"UDP header and no more, {Y[version]}", packet, IDLE, near="PASS_TRUNCATED_UDP")


def claiming(packet: Packet, room: int) -> bytes:
    """Return a packet that claims to have so many bytes behind its IP header."""
    ipv6 = IPv6 in packet
    return written(packet, 18 if ipv6 else 16, (room if ipv6 else 20 + room).to_bytes(2))


# --- ports and addresses ----------------------------------------------------------------------------------------------


def ports() -> Iterator[Case]:
    for version in VERSIONS:
        for port in (0, 53, SERVICE - 1, SERVICE + 1, COMPLETION + 2, 0x901F, 65535):  # 0x901f: its bytes swapped
            case = passes(f"to port {port}, {Y[version]}", to_port(version, port), "PASS_OTHER_PORT", LISTENING)
            yield case._replace(sweep=f"port of {Y[version]}")
        packet = to_port(version, 40000, udp_sport=SERVICE)
        yield passes(f"from the service port to another, {Y[version]}", packet, "PASS_OTHER_PORT", TAKEN)
        packet = report(1, 1, 1, version=version)
        yield passes(f"report where nobody reports, {Y[version]}", packet, "PASS_OTHER_PORT", TAKEN)
        yield passes(f"port 0 where nobody reports, {Y[version]}", to_port(version, 0), "PASS_OTHER_PORT", TAKEN)
        packet = request(b"1", version, udp_dport=53, udp_len=3)
        yield passes(f"lying UDP length to another port, {Y[version]}", packet, "PASS_OTHER_PORT", TAKEN)
        yield forwards(f"to the service port, {Y[version]}", to_port(version, SERVICE), IDLE, near="PASS_OTHER_PORT")
    replying = BUSY._replace(settings={**BUSY.settings, "replies": True})
    yield passes("completion where replies free", completion(1), "PASS_OTHER_PORT", replying)
    yield passes("completion of IPv6 where replies free", completion(1, version=6), "PASS_OTHER_PORT", replying)
    packet = request(udp_dport=53, ip_chksum=1)
    yield passes("wrong header checksum to another port", packet, "PASS_OTHER_PORT", TAKEN)
    packet = request(b"1", 6, udp_dport=53, udp_chksum=0)
    yield passes("no checksum, of IPv6, to another port", packet, "PASS_OTHER_PORT", TAKEN)


def to_port(version: int, port: int, **fields: object) -> Packet:
    return request(b"1", version, udp_dport=port, **fields)


OTHERS = {
    4: ["10.0.1.2", "10.0.0.3", "10.0.0.0", "10.0.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "0.0.0.0"],  # noqa: S104  (nothing is bound)
    6: ["fd00:0:0:1::2", "fd00::3", "fd00::", "fe80::1", "ff02::1", "ff05::8", "::1", "::"],
}


def not_local() -> Iterator[Case]:
    for version in VERSIONS:
        yield from swept(
            f"destination of {Y[version]}",
            (
                passes(f"to {address}", request(b"1", version, ip_dst=address), "PASS_NOT_LOCAL", TAKEN)
                for address in OTHERS[version]
            ),
        )
    for name, version, build in each_kind():
        packet = build(version, ip_dst=OTHERS[version][0])
        yield passes(f"{name}, routed to a worker", packet, "PASS_NOT_LOCAL", LISTENING)
        for kind, odd in {"TCP": 6, "an unknown protocol": 253}.items():
            if name.startswith("request"):
                frame = written(packet, 23 if version == 4 else 20, bytes([odd]))
                yield passes(f"{kind} of {Y[version]}, routed", frame, "PASS_NOT_LOCAL", TAKEN)
    yield passes("fragment, routed", request(ip_dst="10.0.1.2", ip_flags="MF"), "PASS_NOT_LOCAL", TAKEN)
    yield passes("options, routed", request(ip_dst="10.0.1.2", ip_options=[b"\1"] * 4), "PASS_NOT_LOCAL", TAKEN)
    packet = request(ip_dst="10.0.1.2", ip_chksum=1)
    yield passes("wrong header checksum, routed", packet, "PASS_NOT_LOCAL", TAKEN)
    routed = extended(request(b"1", 6), 43)
    frame = routed[:38] + frames.packed("fd00::3") + routed[54:]
    yield passes("extension header, routed", frame, "PASS_NOT_LOCAL", TAKEN)
    for version, address in NOT_FIRST.items():
        packet = request(b"1", version, ip_dst=address)
        none, lacks = written(request(b"1", 6), 38, bytes(16)), f"without an address of {Y[version]}"
        yield passes(f"to ::, on an interface {lacks}", none, "PASS_NOT_LOCAL", TAKEN, interface=lacks)
        yield forwards(f"to {address}, our address of another interface", packet, IDLE, near="PASS_NOT_LOCAL")


MACS = ("02:00:00:00:00:02", "02:00:00:00:01:02", "00:00:00:00:00:00", "02:00:00:00:01:01", "02:01:00:00:00:01")
GROUPS = ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "03:00:00:00:00:01")


def other_hosts() -> Iterator[Case]:
    for name, version, build in each_kind():
        yield from swept(
            f"MAC of a {name}",
            (passes(f"{name} to {mac}", to_mac(build(version), mac), "PASS_OTHER_HOST", LISTENING) for mac in MACS),
        )
        packet = build(version)
        yield passes(f"{name} on no interface of ours", packet, "PASS_OTHER_HOST", LISTENING, interface="not ours")
    for version in VERSIONS:
        yield from swept(
            f"group's MAC, {Y[version]}",
            (
                forwards(f"request of {Y[version]} to {mac}", frame, IDLE, near="PASS_OTHER_HOST")
                for mac in GROUPS
                for frame in [to_mac(request(b"1", version), mac)]
            ),
        )
        frame = to_mac(completion(1, version=version), GROUPS[0])
        yield frees(f"completion of {Y[version]} to all hosts", frame, TAKEN, near="PASS_OTHER_HOST")
        frame = to_mac(request(b"1", version), GROUPS[0])
        name = f"request of {Y[version]} to all hosts, on no interface of ours"
        yield passes(name, frame, "PASS_OTHER_HOST", LISTENING, interface="not ours")


MARTIANS = {
    4: ("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "240.0.0.1", "255.255.255.255"),  # noqa: S104
    6: ("::", "::1", "ff00::", "ff02::1", "ff0e::8", "ffff::1"),
}
NO_MARTIANS = {
    4: ("1.0.0.0", "126.255.255.255", "128.0.0.1", "223.255.255.255"),
    6: ("::2", "::1:0:1", "fe80::1", "feff::1", "64:ff9b::a00:2", "::fffe:10.0.0.2", "::1:ffff:10.0.0.2"),
}
MAPPED = ("::ffff:10.0.0.2", "::ffff:127.0.0.1", "::ffff:0.0.0.0")


def martians() -> Iterator[Case]:
    for name, version, build in each_kind():
        yield from swept(
            f"source of a {name} that no host has",
            (
                passes(f"{name} from {address}", build(version, ip_src=address), "PASS_MARTIAN", LISTENING)
                for address in MARTIANS[version]
            ),
        )
    for version in VERSIONS:
        yield from swept(
            f"source of {Y[version]} that a host may have",
            (
                forwards(f"request from {address}", request(b"1", version, ip_src=address), IDLE, near="PASS_MARTIAN")
                for address in NO_MARTIANS[version]
            ),
        )
    yield from swept(
        "mapped source",
        (passes(f"request from {each}", request(b"1", 6, ip_src=each), "PASS_MARTIAN", TAKEN) for each in MAPPED),
    )
    for name, _, build in each_kind(6):
        if not name.startswith("request"):
            packet = build(6, ip_src="::ffff:10.0.1.2")
            yield passes(f"{name} from worker1's IPv4 address, mapped", packet, "PASS_MARTIAN", LISTENING)
        packet = build(6, ip_dst="::ffff:10.0.0.1")
        yield passes(f"{name} to our IPv4 address, mapped", packet, "PASS_MARTIAN", LISTENING)
    for version in VERSIONS:
        ours, other = (LB, LB6)[version == 6], NOT_FIRST[version]
        for source, to in ((ours, ours), (ours, other), (other, other)):
            packet = request(b"1", version, ip_src=source, ip_dst=to)
            yield passes(f"request from {source}, our own, to {to}", packet, "PASS_MARTIAN", TAKEN)
        packet = request(b"1", version, ip_src=other)
        yield forwards(f"request from {other}, our own, but not the first", packet, IDLE, near="PASS_MARTIAN")
    packet = written(request(b"1", 6, ip_src=MAPPED[0]), 20, b"\6")
    yield passes("TCP from a mapped address", packet, "PASS_MARTIAN", TAKEN)


ONE_FAMILY = {
    missing: IDLE._replace(settings={"without": {2: missing}, "report_port": REPORTS}) for missing in VERSIONS
}


def families() -> Iterator[Case]:
    for missing in VERSIONS:
        there, before = 10 - missing, ONE_FAMILY[missing]
        packet = request(b"1", missing)
        yield passes(f"request of {Y[missing]}, which worker2 lacks", packet, "PASS_OTHER_FAMILY", before)
        frame = raw(packet) + bytes(9)
        yield passes(f"bytes behind a request of {Y[missing]}, which worker2 lacks", frame, "PASS_OTHER_FAMILY", before)
        packet = request(bytes(MOST[missing] + 1), missing)
        yield passes(f"request of {Y[missing]}, which worker2 lacks, too long", packet, "PASS_OTHER_FAMILY", before)
        name = f"request of {Y[there]}, where {Y[missing]} lacks"
        yield forwards(name, request(b"1", there), before, near="PASS_OTHER_FAMILY")
        taken = before.then(raw(request(b"1", there)), free=(4, 5, 5))
        packet = completion(1, version=missing)
        yield frees(f"completion of {Y[missing]}, which worker2 lacks", packet, taken, near="PASS_OTHER_FAMILY")


PASSED = [
    case
    for part in (
        *(no_ip, malformed, not_udp, fragments, options, extensions, truncated),
        *(ports, not_local, other_hosts, martians, families),
    )
    for case in part()
]
