"""`netlab capture`: what programs make of each packet, told under traffic, and taken out again whatever happens."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from netlab import paths
from netlab.programs import pinned
from netlab.programs.maps import LoadedProgram
from netlab.record import store
from netlab.testing import labs
from netlab.testing.waiting import PATIENCE_S, eventually
from tests import pcapng
from tests.lab.lab import LAB, PARTB, frozen, inside, lab, netlab, pids, stats
from tests.lab.parta import PARTA, parta

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

MANY = 120_000
FLOODED = (str(MANY), "24")  # packets, and bytes of each
FLOOD = """
import socket, sys
number, size = int(sys.argv[1]), int(sys.argv[2])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_UDP, 103, size)  # UDP_SEGMENT: the kernel makes a packet of each piece
for _ in range(number // 40):
    sender.sendto(bytes(40 * size), ("server", 4711))
"""
OTHER = ("--set", "nodes.server.xdp.define.PORT=9001")  # a program of the same name
QUIET = ("--set", "nodes.client.autostart=false")
DROP, PASS = 1, 2
BY_XDP = 2  # the kind of a verdict, in pcapng
ROUTER = """
name: told
nodes:
  a: {}
  b: {}
  r:
    xdp: {program: ./twice.c, function: arriving, interfaces: [eth0]}
    tc: {egress: {program: ./mark.c, interfaces: [eth1]}}
links: [[a, r], [r, b]]
"""
ARRIVING = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int arriving(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Proprietary";
"""
MARK = """
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

static __attribute__((noinline)) int odd(struct __sk_buff *skb)
{
	return skb->len & 1;
}

SEC("tc")
int tc_egress(struct __sk_buff *skb)
{
	return odd(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
"""


@contextmanager
def capturing(*words: str, stdout: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `netlab capture` until the block ends, and then end it by Ctrl-C; its messages are in `stderr`."""
    argv = [*labs.command(), "capture", *words]
    out = subprocess.DEVNULL if stdout is None else stdout
    with subprocess.Popen(argv, stdout=out, stderr=subprocess.PIPE) as process:
        assert process.stderr
        try:
            first = process.stderr.readline().decode()
            assert "capturing at" in first, first + process.stderr.read().decode()
            yield process
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
        finally:
            process.kill()


def unread(process: "subprocess.Popen[bytes]") -> bytes:
    """Return what a process has said since the last look, without waiting."""
    assert process.stderr
    os.set_blocking(process.stderr.fileno(), False)
    return process.stderr.read() or b""


def attached(node: str) -> set[int]:
    """Return the numbers of the XDP programs that are attached in a node."""
    links = json.loads(inside(node, "ip", "-d", "-j", "link").stdout)
    return {link["xdp"]["prog"]["id"] for link in links if "xdp" in link}


def planned(key: str) -> int:
    """Return the number of the program that a lab has for a node."""
    record = store.read(LAB)
    (program,) = (each for each_key, each in record.programs() if each_key == key)
    with LoadedProgram.open(pinned.functions(program.pins)[program.name]) as found:
        return found.id


def test_twenty_segments_of_part_a_have_the_verdicts_of_the_trace(tmp_path: Path) -> None:
    """The file has each judged segment once where it met the program, also the dropped ones, by the logs' clock."""
    with parta(LAB, *QUIET) as made:
        before = attached("server")
        with capturing("--verdicts", "-w", str(tmp_path / "a.pcapng")):
            assert before.isdisjoint(attached("server"))
            assert "problems" not in netlab("status").stdout
            (run,) = made.results(made.client("--count", "20").stdout)
        after = attached("server")
    found = pcapng.read((tmp_path / "a.pcapng").read_bytes())
    judged = [each for each in found.packets if each.verdict and len(each.data) == 55]

    assert [(s.seq, "XDP_DROP DROP_EVEN" if s.verdict == "drop" else "XDP_PASS PASS_ODD") for s in run.judged] == [
        (int.from_bytes(each.data[38:42]), each.comment.removeprefix("dropper: ")) for each in judged
    ]
    assert [(BY_XDP, DROP if int.from_bytes(each.data[38:42]) % 2 == 0 else PASS) for each in judged] == [
        each.verdict for each in judged
    ]
    assert before == after
    assert {"client:eth0": 0, "server:eth0": 0} == found.lost
    assert sorted(each.ns for each in found.packets) == [each.ns for each in found.packets]


def test_forty_of_forty_are_served_while_verdicts_come_and_go() -> None:
    """The balancer's programs, also those in devmaps, are wrapped and unwrapped three times; no request is lost."""
    with lab(PARTB, *QUIET):
        argv = [*labs.command(), "run", "client", "--count", "40", "--interval", "0.1", "--sleep", "0.05"]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as client:
            for _ in range(3):
                netlab("capture", "lb", "--verdicts", "--for", "0.2", timeout=PATIENCE_S)
            client.wait(PATIENCE_S)
        eventually(lambda: stats()["completions"] == 40)

        assert {planned("lb")} == attached("lb")


def test_a_queued_request_is_told_twice(tmp_path: Path) -> None:
    """It is dropped as QUEUED, and leaves later by the egress program, whose bytes after are those of the request."""
    with lab(PARTB, *QUIET), capturing("lb", "udp", "--verdicts", "-w", str(tmp_path / "b.pcapng")):
        with frozen(*pids("worker1", "worker2", "worker3")):
            netlab("run", "client", "--count", "18", "--interval", "0", "--sleep", "0.01", timeout=PATIENCE_S)
            eventually(lambda: stats()["queue_depth"] == 3)
        eventually(lambda: stats()["completions"] == 18)
        queued = stats()["reasons"]["QUEUED"]["packets"]
    found = pcapng.read((tmp_path / "b.pcapng").read_bytes())
    requests = [each for each in found.packets if each.comment.endswith("QUEUED")]
    carried = [each for each in found.packets if each.comment.startswith("egress_devmap: XDP_PASS CARRIER_SENT")]
    left = [each for each in found.packets if each.comment == "as egress_devmap has left it"]

    assert queued == len(requests) == len(carried) > 0
    assert [each.data[42:] for each in requests] == [each.data[42:] for each in left]
    assert {each.packet_id for each in carried} == {each.packet_id for each in left}


def test_what_was_not_caught_is_counted(tmp_path: Path) -> None:
    """More packets come than the ring of a stopped reader holds: told and lost are all that the program met."""
    with (
        lab(PARTA, *QUIET),
        nullcontext(met()) as earliest,
        capturing("server", "--verdicts", "-w", str(tmp_path / "a.pcapng")) as process,
    ):
        before = met()
        process.send_signal(signal.SIGSTOP)
        inside("client", sys.executable, "-c", FLOOD, *FLOODED)
        eventually(lambda: met() - before >= MANY)
        after = met()
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
        assert process.stderr
        said = process.stderr.read().decode()
        latest = met()
    found = pcapng.read((tmp_path / "a.pcapng").read_bytes())
    caught = sum(1 for each in found.packets if each.verdict)
    lost = re.search(r"note: server \(dropper\): (\d+) packets lost", said)

    assert lost
    assert after - before <= caught + int(lost[1]) <= latest - earliest  # a few come at its ends
    assert f"server (dropper): {lost[1]} not caught" == found.notes["server:eth0"]


def met() -> int:
    """Return how many packets the dropper has counted."""
    reasons = json.loads(netlab("stats", "--format", "json").stdout)["programs"]["server"]["reasons"]
    return sum(count["packets"] for count in reasons.values())


def test_the_way_of_each_queued_request_is_told_with_its_wait(tmp_path: Path) -> None:
    """From the client through the queue to a worker; those that need not wait do not."""
    with lab(PARTB, *QUIET):
        argv = [*labs.command(), "follow", "dst", "port", "8080", "--json"]
        with (
            open(tmp_path / "told", "wb") as into,
            subprocess.Popen(argv, stdout=into, stderr=subprocess.PIPE) as process,
        ):
            assert process.stderr
            assert b"following dst port 8080" in process.stderr.readline()
            netlab("run", "client", "--count", "18", "--interval", "0", "--sleep", "1.5", timeout=PATIENCE_S)
            eventually(lambda: stats()["completions"] == 18)
            queued = stats()["reasons"]["QUEUED"]["packets"]
            process.send_signal(signal.SIGINT)
            said = process.stderr.read().decode()
            process.wait(PATIENCE_S)
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    ends = [each for each in told if each["kind"] == "end"]
    waited = {each["packet"] for each in ends if each["waited_ns"]}
    places = {
        number: [each["node"] for each in told if each["packet"] == number and "node" in each] for number in waited
    }

    assert ["arrived"] * 18 == [each["what"] for each in ends]
    assert all(each["text"].startswith("arrived at worker") for each in ends)
    assert queued == len(waited) > 0
    assert all(way[:3] == ["client", "lb", "lb"] and way[3].startswith("worker") for way in places.values())
    assert "18 packets followed: 18 arrived" in said


def test_programs_without_source_and_tc_are_told(tmp_path: Path) -> None:
    """An object that is not under the GPL, and a tc program with a function of its own, are wrapped, too."""
    (tmp_path / "told.yml").write_text(ROUTER.replace("twice.c", "twice.o"))
    (tmp_path / "mark.c").write_text(MARK)
    (tmp_path / "twice.c").write_text(ARRIVING)
    include = f"-I/usr/include/{os.uname().machine}-linux-gnu"
    argv = ["clang", "-O2", "-g", "-target", "bpf", include, "-c", f"{tmp_path}/twice.c", "-o", f"{tmp_path}/twice.o"]
    subprocess.run(argv, check=True)
    (tmp_path / "twice.c").unlink()
    with (
        lab(str(tmp_path / "told.yml")),
        open(tmp_path / "told", "wb") as into,
        capturing("r", "icmp[0] == 0 or icmp[0] == 8", "--verdicts", "--json", stdout=into.fileno()),
    ):
        inside("a", "ping", "-c", "1", "-s", "56", "b")
        inside("a", "ping", "-c", "1", "-W", "1", "-s", "57", "b", code=1)
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    seen = [(each["interface"], each["direction"], (each["verdict"] or {}).get("name")) for each in told]

    assert [
        ("eth0", "in", "XDP_PASS"),
        ("eth1", "out", "TC_ACT_OK"),
        ("eth1", "in", None),
        ("eth0", "out", None),
        ("eth0", "in", "XDP_PASS"),
        ("eth1", "out", "TC_ACT_SHOT"),
    ] == seen


@pytest.mark.parametrize("mends", [("reload", "server"), ("capture", "server", "--verdicts", "--for", "0.1"), ()])
def test_a_capture_that_was_killed_is_mended(mends: tuple[str, ...]) -> None:
    """Packets pass meanwhile; the next reload or capture puts the program back, and `down` removes all."""
    with parta(LAB, *QUIET) as made:
        before = attached("server")
        with capturing("--verdicts") as process:
            process.kill()
            process.wait()
        assert before != attached("server")
        (run,) = made.results(made.client("--count", "4").stdout)
        run.check(4)
        if mends:
            netlab(*mends)

            assert {planned("server")} == attached("server")
            assert "another" not in netlab("status").stdout


@pytest.mark.parametrize("words", [("reload", "server"), ("apply", PARTA, *OTHER)])
def test_verdicts_go_on_after_another_build_is_put_in(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The capture says so, and each packet that the new build meets is told."""
    with lab(PARTA, *QUIET), open(tmp_path / "told", "wb") as into:
        with capturing("server", "icmp[0] == 8", "--verdicts", "--json", stdout=into.fileno()) as process:
            netlab(*words, *(QUIET if words[0] == "apply" else ()))
            eventually(lambda: b"put in server anew" in unread(process), "the capture goes on")
            inside("client", "ping", "-c", "3", "-i", "0.01", "server")
        after = attached("server")

        assert {planned("server")} == after
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert ["XDP_PASS"] * 3 == [each["verdict"]["name"] for each in told]


def test_only_one_reads_verdicts() -> None:
    """Another one is told whose they are, and ten captures without verdicts run beside it."""
    with lab(PARTA, *QUIET), capturing("--verdicts") as process:
        refused = netlab("capture", "--verdicts", code=1)
        netlab("capture", "--for", "0.1")

    assert f"verdicts of {LAB}: process {process.pid} reads them already" in refused.stderr


@pytest.mark.parametrize("verdicts", [(), ("--verdicts",)])
def test_a_lab_that_goes_down_ends_its_capture(tmp_path: Path, verdicts: tuple[str, ...]) -> None:
    """It says so, and the file is whole."""
    with lab(PARTA, *QUIET), capturing(*verdicts, "-w", str(tmp_path / "a.pcapng")) as process:
        inside("client", "ping", "-c", "1", "server")
        netlab("down")
        process.wait(PATIENCE_S)
        assert process.stderr
        said = process.stderr.read().decode()

    assert f"netlab: {LAB} is down" in said
    assert "note: " not in said
    assert len(pcapng.read((tmp_path / "a.pcapng").read_bytes()).packets) >= 4


def test_a_reader_that_stalls_holds_nobody_up() -> None:
    """Traffic goes on; after Ctrl-C the capture ends, and tells what it could not write."""
    out, into = os.pipe()
    try:
        with lab(PARTA, *QUIET), capturing("-w", "-", "--verdicts", stdout=into) as process:
            inside("client", "ping", "-q", "-c", "300", "-i", "0.002", "-s", "1400", "server")
            assert process.stderr
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
            said = process.stderr.read().decode()
    finally:
        os.close(out)
        os.close(into)

    assert re.search(r"note: \d+ bytes at the end were not written, as nobody reads them", said)


def test_whoever_reads_and_goes_ends_the_capture() -> None:
    """As Wireshark that is closed: no message of an error."""
    out, into = os.pipe()
    with lab(PARTA, *QUIET), capturing("-w", "-", stdout=into) as process:
        os.close(into)
        os.close(out)
        inside("client", "ping", "-c", "2", "server")
        process.wait(PATIENCE_S)
        assert process.stderr
        assert "packets" in process.stderr.read().decode()
        assert process.returncode == 0


def test_files_rotate_and_the_last_ones_stay(tmp_path: Path) -> None:
    """Each is whole by itself, and no packet is missing between two."""
    with lab(PARTA, *QUIET), capturing("client", "icmp", "-w", str(tmp_path / "r.pcapng"), "--rotate", "2k:2"):
        inside("client", "ping", "-q", "-c", "40", "-i", "0.002", "server")
    names = sorted(os.listdir(tmp_path))
    numbers = [
        int.from_bytes(each.data[40:42])
        for name in names
        for each in pcapng.read((tmp_path / name).read_bytes()).packets
        if each.data[34] == 8
    ]

    assert len(names) == 2
    assert list(range(numbers[0], 41)) == numbers


def test_a_program_that_cannot_tell_is_refused_and_stays() -> None:
    """Without its instructions, such as after a fault, the message says what to do, and nothing has changed."""
    with lab(PARTA, *QUIET):
        before = attached("server")
        for name in os.listdir(paths.code(store.read(LAB).folder)):
            os.unlink(f"{paths.code(store.read(LAB).folder)}/{name}")
        refused = netlab("capture", "--verdicts", code=1).stderr
        after = attached("server")

    assert "server: dropper cannot tell of its packets: its instructions are not kept" in refused
    assert before == after


def test_a_node_that_is_called_like_a_word_of_filters_is_said(tmp_path: Path) -> None:
    """The node is meant; in quotes and brackets it is the filter."""
    (tmp_path / "udp.yml").write_text("name: udp\nnodes: {udp: {}, b: {}}\nlinks: [[udp, b]]\n")
    with lab(str(tmp_path / "udp.yml")):
        node = netlab("capture", "udp", "--for", "0.1").stderr
        words = netlab("capture", "(udp port 5)", "--for", "0.1").stderr

    assert "note: udp is the node of this name; a filter stands in quotes and brackets: '(udp ...)'" in node
    assert "capturing at 1 interface," in node
    assert "capturing at 2 interfaces" in words


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--verdicts", "client"), 2, "--verdicts: no program is at client"),
        (("nosuchnode", "udp"), 2, "before a filter there may be NODE or NODE:INTERFACE, of client, server"),
        (("client:eth7",), 2, "client:eth7: client has eth0, and no eth7"),
        (("udp", "prot", "5"), 2, "filter 'udp prot 5': expected one in tcpdump's words"),
        (("--rotate", "1M"), 2, "--rotate: expected -w FILE"),
        (("--rotate", "1T", "-w", "x"), 2, "expected a size and a number of files, as 10M or 10M:5"),
        (("-w", "/dev/null"), 2, "-w /dev/null: expected the name of a new file, and there is one already"),
        (("-w", "/no/such/x"), 2, "-w /no/such/x: expected a file that can be made: No such file or directory"),
    ],
)
def test_what_cannot_be_captured_is_refused(shared: None, words: tuple[str, ...], code: int, text: str) -> None:
    assert text in netlab("capture", *words, code=code).stderr


@pytest.mark.parametrize("words", [("",), (" ", "")])
def test_an_empty_filter_follows_nothing(shared: None, words: tuple[str, ...]) -> None:
    assert "follow takes a filter in tcpdump's words" in netlab("follow", *words, code=2).stderr


@pytest.fixture(scope="module")
def shared() -> Iterator[None]:
    """Have a lab for all that is refused."""
    with lab(PARTA, *QUIET):
        yield
