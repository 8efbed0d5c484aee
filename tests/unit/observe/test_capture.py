"""Where links are captured, and what a pcap file looks like, byte by byte and to scapy."""

import socket
import struct
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

from netlab.observe import capture, packet_sockets
from netlab.observe.capture import End, ends, packet_record
from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.record.model import LabRecord
from netlab.topology import document, validate
from tests.checkout import ROOT

TOPOLOGIES = Path(ROOT) / "topologies"
FRAME = bytes(range(60))
TRANSMITS = "int reflect(struct xdp_md *ctx) { return XDP_TX; }\n"

# --- where ------------------------------------------------------------------------------------------------------------


def described(path: Path) -> LabRecord:
    """Return the record that a topology would have."""
    return describe(plan(validate.topology(document.load(str(path)))), "/run/netlab/under-test")


def written(folder: Path, text: str) -> LabRecord:
    """Return the record of a topology given as text, beside which there is a program that answers by XDP_TX."""
    (folder / "reflect.c").write_text(TRANSMITS)
    (folder / "lab.yml").write_text(text)
    return described(folder / "lab.yml")


def test_parta_is_captured_at_the_client() -> None:
    """The server's dropper would hide from its own interface what it drops."""
    assert ends(described(TOPOLOGIES / "parta.yml")) == [End("client", "eth0", "server", "eth0")]


def test_partb_is_captured_at_everybody_but_the_balancer() -> None:
    """Every link once, at the end without a program, whichever end the file names first."""
    assert ends(described(TOPOLOGIES / "partb.yml")) == [
        End("client", "eth0", "lb", "eth0"),
        End("worker1", "eth0", "lb", "eth1"),
        End("worker2", "eth0", "lb", "eth2"),
        End("worker3", "eth0", "lb", "eth3"),
    ]


def test_without_programs_the_node_that_comes_first_is_captured_at() -> None:
    assert ends(described(TOPOLOGIES / "switch.yml")) == [
        End("sw", f"eth{number}", f"host{number + 1}", "eth0") for number in range(3)
    ]


def test_the_program_that_netlab_puts_at_a_peer_hides_nothing(tmp_path: Path) -> None:
    """An end that got a program only so that the other end's XDP_TX arrives is as good as one without."""
    lab = written(tmp_path, "name: x\nnodes: {a: {xdp: ./reflect.c}, b: {}}\nlinks: [[a, b]]\n")

    assert ends(lab) == [End("b", "eth0", "a", "eth0")]


def test_programs_at_both_ends_make_the_file_blind_and_say_so(tmp_path: Path) -> None:
    """Such a link is captured at the first end, with a note; the node's other link is not concerned."""
    nodes = "{a: {xdp: ./reflect.c}, b: {xdp: {program: ./reflect.c, interfaces: [eth0]}}, c: {}}"
    first, second = ends(written(tmp_path, f"name: x\nnodes: {nodes}\nlinks: [[b, a], [c, b]]\n"))

    assert (first, second) == (End("a", "eth0", "b", "eth0", is_blind=True), End("b", "eth1", "c", "eth0"))
    assert "a's program is in front of the capture" in first.note
    assert not second.note


def test_links_between_the_same_nodes_have_files_of_their_own(tmp_path: Path) -> None:
    """Both nodes and both interfaces are in the name."""
    lab = written(tmp_path, "name: x\nnodes: {a: {}, b: {}}\nlinks: [[a, b], [a, b]]\n")

    assert [end.file for end in ends(lab)] == ["a.eth0--b.eth0.pcap", "a.eth1--b.eth1.pcap"]


# --- what -------------------------------------------------------------------------------------------------------------


def at(seconds: int, nanoseconds: int) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, packet_sockets._SO_TIMESTAMPNS, struct.pack("@ll", seconds, nanoseconds)


def tagged(status: int, tci: int, tpid: int) -> tuple[int, int, bytes]:
    packed = struct.pack("=IIIHHHH", status, len(FRAME), len(FRAME), 0, 14, tci, tpid)
    return packet_sockets._SOL_PACKET, packet_sockets._PACKET_AUXDATA, packed


def stored(*ancillary: tuple[int, int, bytes]) -> bytes:
    """Return the frame as a file has it, without its record's header."""
    return packet_record(memoryview(FRAME), len(FRAME), list(ancillary))[16:]


def test_a_file_is_laid_out_as_the_draft_says() -> None:
    """draft-ietf-opsawg-pcap, 4 and 5: header and record, little-endian, of Ethernet with nanoseconds."""
    data = capture._HEADER + packet_record(memoryview(FRAME), len(FRAME), [at(0x01020304, 5), tagged(1, 0, 0)])

    assert data.hex(" ", -4) == (
        "4d3cb2a1 02000400 00000000 00000000 00000400 01000000 "
        "04030201 05000000 3c000000 3c000000 " + FRAME.hex(" ", -4)
    )


def test_scapy_reads_frames_times_and_lengths(tmp_path: Path) -> None:
    """To the nanosecond, up to the year 2106; of a frame that is longer than what there is of it, both lengths."""
    times = [(1_700_000_000, 0), (1_700_000_000, 1), (1_700_000_000, 999_999_999), ((1 << 32) - 1, 123_456_789)]
    records = [packet_record(memoryview(FRAME), len(FRAME) + count, [at(*time)]) for count, time in enumerate(times)]
    (tmp_path / "x.pcap").write_bytes(capture._HEADER + b"".join(records))

    with RawPcapReader(str(tmp_path / "x.pcap")) as reader:
        assert (reader.nano, reader.linktype, reader.snaplen) == (True, 1, packet_sockets.SNAPLEN)
        found = [(frame, (about.sec, about.usec), about.caplen, about.wirelen) for frame, about in reader]
    assert found == [(FRAME, time, 60, 60 + count) for count, time in enumerate(times)]


@pytest.mark.parametrize(
    ("status", "tag"), [(1 << 4 | 1 << 6, "88a8 6007"), (1 << 4, "8100 6007"), (1 << 6, ""), (0, "")]
)
def test_a_vlan_tag_that_the_kernel_put_aside_is_put_back(status: int, tag: str) -> None:
    """Behind the MACs, of the type that the kernel names, or of 802.1Q where it names none."""
    found = stored(at(1, 2), tagged(status, 0x6007, 0x88A8))

    assert found == FRAME[:12] + bytes.fromhex(tag) + FRAME[12:]
