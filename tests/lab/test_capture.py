"""Links captured while frames really cross them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.utils import RawPcapReader

from netlab.errors import NetlabError
from netlab.kernel import syscalls
from netlab.lab.standing import Standing
from netlab.observe import packet_sockets
from netlab.observe.capture import Capture, Captured
from netlab.record.model import InterfaceRecord, LabRecord, LimitsRecord, NodeRecord
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import PARTB, ROOT, lab, netlab, stats, texts
from tests.lab.namespaces import HOST, Lab, own_namespace

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

QUIET = ("--set", "nodes.client.autostart=false")
FILE = "a.eth0--b.eth0.pcap"
PORT = 7
MACS = bytes.fromhex("ffffffffffff 020000000001")
EXPERIMENT = b"\x88\xb5"  # an EtherType for experiments (IEEE 802)
FRAME = MACS + EXPERIMENT + bytes(46)
VLAN_FRAME = MACS + b"\x81\x00\x60\x07" + EXPERIMENT + bytes(46)
FLOOD = """
import socket, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
sender.bind(("eth0", 0))
while True:
    sender.send(bytes.fromhex(sys.argv[1]))
"""


def pair(made: Lab, subnet: str = "") -> Standing:
    """Build hosts a and b on one link, and return as much of their lab as a capture reads.

    On the subnet "7" they are 10.0.7.1 and .2; without one, nobody sends anything by himself.
    """
    made.node("a", "b", sysctls=HOST if subnet else (*HOST, ("net.ipv6.conf.default.disable_ipv6", "1")))
    link = made.link("a", "b", subnet)
    made.build()
    eventually(lambda: all(is_up(made, end) for end in "ab"), "the kernel has seen that the link is up")
    nodes = {
        end.node: NodeRecord(
            "node",
            LimitsRecord(),
            {end.name: InterfaceRecord((), peer=end.peer, peer_interface=end.peer_interface)},
            (),
            (),
        )
        for end in link[:2]
    }
    return Standing(LabRecord(made.name, "", "netns", made.folder, nodes))


def is_up(made: Lab, node: str) -> bool:
    """Whether frames that a node sends on its link leave: until then the kernel drops them, and says nothing."""
    about = json.loads(made.ip(node, "-j", "link", "show", "dev", "eth0"))[0]
    return bool(about["operstate"] == "UP")


def datagrams(made: Lab, sender: str, target: str, payloads: list[bytes]) -> None:
    """Send these from one node to the other, and return once they have been received."""
    family = socket.AF_INET, socket.SOCK_DGRAM
    receiving = made.inside("b" if sender == "a" else "a", lambda: socket.socket(*family))
    sending = made.inside(sender, lambda: socket.socket(*family))
    with receiving, sending:
        receiving.bind((target, PORT))
        receiving.settimeout(PATIENCE_S)
        for payload in payloads:
            sending.sendto(payload, (target, PORT))
            assert receiving.recv(4096) == payload


def frames(made: Lab, sender: str, frame: bytes, count: int = 1) -> None:
    """Send a frame from a node's eth0 so many times."""
    with made.inside(sender, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sending:
        sending.bind(("eth0", 0))
        for _ in range(count):
            sending.send(frame)


def read(path: str | Path) -> tuple[list[bytes], list[int]]:
    """Return the frames in a file, and their times in nanoseconds."""
    with RawPcapReader(str(path)) as reader:
        found = [(frame, about.sec * 1_000_000_000 + about.usec) for frame, about in reader]
    return [frame for frame, _ in found], [time for _, time in found]


def packets(path: str | Path, layer: type[Packet]) -> list[Any]:
    """Return the packets of one protocol in a file."""
    found = [Ether(frame) for frame in read(path)[0]]
    return [packet[layer] for packet in found if layer in packet]


def in_time(stop: Callable[[], list[Captured]]) -> list[Captured]:
    """Return what `stop` returns; fail if it does not return."""
    found: list[Captured] = []
    stopping = threading.Thread(target=lambda: found.extend(stop()), daemon=True)
    stopping.start()
    stopping.join(PATIENCE_S)
    assert not stopping.is_alive()
    return found


def test_each_datagram_of_either_direction_is_there_once(one: Lab, tmp_path: Path) -> None:
    """All that crosses the link from `start` to `stop`, in order and at its time; nothing from before or after."""
    built = pair(one, "7")
    there, back = [b"one", b"two", b"three" * 250], [b"x", b"yy"]
    datagrams(one, "a", "10.0.7.2", [b"before"])
    capture = Capture(str(tmp_path))
    begun = time.time_ns()
    capture.start(built)
    datagrams(one, "a", "10.0.7.2", there)
    datagrams(one, "b", "10.0.7.1", back)
    assert one.ping("a", "10.0.7.2")
    (captured,) = capture.stop()
    ended = time.time_ns()
    datagrams(one, "a", "10.0.7.2", [b"after"])

    found, times = read(tmp_path / FILE)
    assert [bytes(packet.payload) for packet in packets(tmp_path / FILE, UDP)] == there + back
    assert sum(b"netlab" in frame for frame in found) == 2  # the echo request, and its reply
    assert [begun, *times, ended] == sorted([begun, *times, ended])
    assert (captured.path, captured.frames, captured.lost) == (str(tmp_path / FILE), len(found), 0)


def test_the_caller_stays_where_it_is(one: Lab, tmp_path: Path) -> None:
    """Its thread is in the host's namespace, before and after."""
    built = pair(one)
    before = own_namespace()
    capture = Capture(str(tmp_path))
    capture.start(built)
    capture.stop()

    assert own_namespace() == before


def test_signals_that_the_caller_blocks_stay_blocked(one: Lab, tmp_path: Path) -> None:
    """The thread does not take them in its stead."""
    built = pair(one)
    capture = Capture(str(tmp_path))
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    capture.start(built)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        capture.stop()
        pending = signal.sigpending()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGUSR1, handler)

    assert signal.SIGUSR1 in pending


def test_a_link_on_which_nothing_happens_has_an_empty_file(one: Lab, tmp_path: Path) -> None:
    """It is a pcap file all the same; and to stop twice, or what was never started, does no harm."""
    built = pair(one)
    capture = Capture(str(tmp_path))
    assert capture.stop() == []
    capture.start(built)
    first = capture.stop()

    assert capture.stop() == first
    assert (first[0].frames, read(first[0].path)) == (0, ([], []))


def test_a_capture_outlives_its_interface_going_down(one: Lab, tmp_path: Path) -> None:
    """What crosses the link once it is up again is in the file."""
    built = pair(one, "7")
    capture = Capture(str(tmp_path))
    capture.start(built)
    one.ip("a", "link", "set", "eth0", "down")
    one.ip("a", "link", "set", "eth0", "up")
    assert one.ping("a", "10.0.7.2")
    (captured,) = capture.stop()

    assert sum(b"netlab" in frame for frame in read(captured.path)[0]) == 2


def test_vlan_tags_are_in_the_file_also_of_frames_that_arrive(one: Lab, tmp_path: Path) -> None:
    """The kernel takes the tag off before a packet socket sees an arriving frame; in the file it is back."""
    built = pair(one)
    capture = Capture(str(tmp_path))
    capture.start(built)
    frames(one, "a", VLAN_FRAME + b"sent")
    frames(one, "b", VLAN_FRAME + b"received")
    eventually(lambda: capture._taps[0].frames == 2)
    capture.stop()

    assert read(tmp_path / FILE)[0] == [VLAN_FRAME + b"sent", VLAN_FRAME + b"received"]


@pytest.mark.parametrize(("buffer_bytes", "loses"), [(packet_sockets._BUFFER_BYTES, False), (1 << 18, True)])
def test_frames_written_and_lost_are_all_that_were_sent(
    one: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer_bytes: int, loses: bool
) -> None:
    """A flood while nobody reads: what the buffer has no room for is counted, and the rest is in the file."""
    monkeypatch.setattr(packet_sockets, "_BUFFER_BYTES", buffer_bytes)
    built = pair(one)
    capture = Capture(str(tmp_path))
    reading, may_read = capture._read, threading.Event()

    def read_late(buffer: memoryview) -> None:
        may_read.wait(PATIENCE_S)
        reading(buffer)

    monkeypatch.setattr(capture, "_read", read_late)
    capture.start(built)
    frames(one, "a", FRAME, 20_000)
    may_read.set()
    (captured,) = in_time(capture.stop)

    assert captured.frames + captured.lost == 20_000
    assert (captured.lost > 0) == loses
    assert read(captured.path)[0] == [FRAME] * captured.frames


def test_a_socket_takes_from_its_first_frame_on_only_what_it_shall(one: Lab) -> None:
    """Nothing here, in the middle of a flood, of which another socket tells."""
    place = pair(one).runtime.netns_path("a")
    made: list[socket.socket] = []

    def open_each(filters: Iterator[bytes]) -> None:
        made.extend(packet_sockets.packet_socket(place, "eth0", takes) for takes in filters)

    syscalls.in_threads(1, open_each, [packet_sockets.RETURN_NOTHING, b""])
    quiet, loud = made
    argv = ["ip", "netns", "exec", f"{one.name}.a", sys.executable, "-c", FLOOD, FRAME.hex()]
    with quiet, loud, subprocess.Popen(argv) as flooding:
        try:
            eventually(lambda: _has_frame(loud), "frames of the flood")
            assert not _has_frame(quiet)
        finally:
            flooding.kill()


def _has_frame(opened: socket.socket) -> bool:
    try:
        return bool(opened.recv(100))
    except BlockingIOError:
        return False


def test_stopping_in_the_middle_of_a_flood_comes_to_an_end(one: Lab, tmp_path: Path) -> None:
    """What arrives while the capture stops is left out, however much of it there is."""
    built = pair(one)
    capture = Capture(str(tmp_path))
    capture.start(built)
    argv = ["ip", "netns", "exec", f"{one.name}.a", sys.executable, "-c", FLOOD, FRAME.hex()]
    with subprocess.Popen(argv) as flooding:
        try:
            eventually(lambda: os.path.getsize(tmp_path / FILE) > 1 << 20)
            (captured,) = in_time(capture.stop)
            assert flooding.poll() is None
        finally:
            flooding.kill()

    assert len(read(captured.path)[0]) == captured.frames > 0


def test_what_cannot_be_captured_is_said_and_nothing_stays_open(one: Lab, tmp_path: Path) -> None:
    """A folder that is not there, and an interface that is not."""
    built = pair(one)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(NetlabError, match=rf"cannot capture at a eth0: .*/missing/{re.escape(FILE)}"):
        Capture(f"{tmp_path}/missing").start(built)
    one.ip("a", "link", "delete", "eth0")
    capture = Capture(str(tmp_path))
    with pytest.raises(NetlabError, match=r"cannot capture at a eth0: .*No such device"):
        capture.start(built)

    assert capture.stop() == []
    assert os.listdir("/proc/self/fd") == before


def test_a_full_disk_ends_the_capture_with_the_reason(one: Lab, tmp_path: Path) -> None:
    """`stop` says that the files are not complete, and why."""
    built = pair(one)
    syscalls.mount("small", str(tmp_path), "tmpfs", data="size=64k")
    try:
        capture = Capture(str(tmp_path))
        capture.start(built)
        frames(one, "a", FRAME, 2000)

        with pytest.raises(NetlabError, match="not complete: No space left on device"):
            capture.stop()
    finally:
        syscalls.umount(str(tmp_path))


def test_segments_that_the_dropper_drops_are_in_the_file(tmp_path: Path) -> None:
    """Captured at the client: all ten bytes, although the server's stack sees but every other one."""

    def arrived() -> list[int]:
        found = (re.match(r"segment on \S+: seq (\d+)", text) for text in texts("logs", "server"))
        return [int(each[1]) for each in found if each]

    with lab(f"{ROOT}/topologies/parta.yml", *QUIET) as name:
        capture = Capture(str(tmp_path))
        capture.start(Standing.read(name))
        netlab("run", "client", "--count", "10", "--delay", "0", "--isn", "999")
        (captured,) = capture.stop()
        eventually(lambda: len(arrived()) >= 5)
        seen = arrived()

    segments = packets(captured.path, TCP)
    assert [one.seq for one in segments if one.dport == 9000 and one.payload] == list(range(1000, 1010))
    assert seen == [1001, 1003, 1005, 1007, 1009]


def test_what_a_program_redirects_is_in_the_files_of_both_links(tmp_path: Path) -> None:
    """Part B: each request on its way to the balancer, and once more on its way to a worker."""
    with lab(PARTB, *QUIET) as name:
        capture = Capture(str(tmp_path))
        capture.start(Standing.read(name))
        netlab("run", "client", "--count", "12", "--sleep", "0.02", "--interval", "0.01")
        eventually(lambda: stats()["completions"] == 12)
        captured = capture.stop()

    requests = [sum(packet.dport == 8080 for packet in packets(each.path, UDP)) for each in captured]
    assert requests[0] == sum(requests[1:]) == 12
