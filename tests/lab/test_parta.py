"""Part A in real namespaces: a byte in each segment, the even ones dropped, and nobody else disturbed."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from netlab.testing import leaks
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import netlab
from tests.lab.parta import PARTA, SERVER, PartA, parta

pytestmark = pytest.mark.root

ISNS = {"odd": 1_000_001, "even": 1_000_000, "wrapping": 0xFFFFFFFA, "wrapping to odd": 0xFFFFFFFF, "first": 1}
QUIET = ("--set", "nodes.client.autostart=false")
ROLE_SERVER = [sys.executable, "roles/tcp_server.py"]
ROLE_CLIENT = [sys.executable, "roles/tcp_client.py"]
BULK = 10_000_000
SINK = """
import hashlib, socket
with socket.create_server(("", 7000)) as server:
    print("READY", flush=True)
    with server.accept()[0] as client:
        digest = hashlib.sha256()
        while data := client.recv(1 << 16):
            digest.update(data)
        client.sendall(digest.hexdigest().encode())
"""
SOURCE = """
import hashlib, random, socket, sys
data = random.Random(3).randbytes(int(sys.argv[1]))
with socket.create_connection(("server", 7000), 60) as server:
    server.sendall(data)
    server.shutdown(socket.SHUT_WR)
    assert server.recv(64, socket.MSG_WAITALL).decode() == hashlib.sha256(data).hexdigest()
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[PartA]:
    """A lab whose client runs when a test says so; what it leaves behind is looked for once all have used it."""
    before = leaks.snapshot()
    with parta("under-test-a", *QUIET) as made:
        yield made
    assert not leaks.settled(before)


def ends(started: "subprocess.Popen[str]") -> tuple[int, str]:
    """Return a command's exit code and what it has printed since; one that does not end in time is killed.

    Not by `communicate`: with a deadline it leaves out what `wait_for` has read ahead.
    """
    assert started.stdout
    deadline = threading.Timer(PATIENCE_S, started.kill)
    deadline.start()
    with started.stdout as stdout:
        text = stdout.read()
    code = started.wait()
    deadline.cancel()
    assert "Traceback" not in text
    return code, text


def wait_for(started: "subprocess.Popen[str]", beginning: str) -> str:
    """Return what a command has printed up to a line."""
    assert started.stdout
    lines = []
    for line in started.stdout:
        lines.append(line)
        if line.startswith(beginning):
            return "".join(lines)
    pytest.fail(f"no line {beginning!r} among {lines}")


# --- the exercise -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", SERVER)
@pytest.mark.parametrize("isn", ISNS.values(), ids=ISNS)
def test_of_ten_bytes_the_five_odd_ones_arrive(lab: PartA, isn: int, target: str) -> None:
    """Ten lines at the client, ten judged segments with numbers in a row, five at the server, whatever the ISN."""
    address = f"[{target}]:9000" if ":" in target else f"{target}:9000"
    (run,) = lab.results(lab.client("--isn", str(isn), "--delay", "0.01", "--target", address).stdout)

    run.check(10)
    assert (run.connected.isn, run.connected.server, len(run.arrived)) == (isn, address, 5)


def test_nothing_is_sent_again_nothing_is_reset_and_no_socket_stays(lab: PartA) -> None:
    names = ("RetransSegs", "OutRsts")
    before, left = lab.tcp(*names), lab.sockets()
    (run,) = lab.results(lab.client("--count", "30", "--delay", "0.01").stdout)

    assert [segment.what for segment in run.traced if segment.what in ("SYN", "RST", "FIN")] == ["SYN", "FIN"]
    assert before == lab.tcp(*names)
    assert [] == left
    eventually(lambda: not lab.sockets())


def test_ten_bytes_ten_times_in_a_row(lab: PartA) -> None:
    runs = lab.results(*(lab.client("--delay", "0.01").stdout for _ in range(10)))

    for run in runs:
        run.check(10)
    assert len({run.connected.client for run in runs}) == 10


def test_a_hundred_bytes_ten_times_in_a_row_beside_a_client_with_a_thousand(lab: PartA) -> None:
    """Two clients at a time: each has its own connection, and its own odd bytes."""
    long = lab.start("run", "client", "--count", "1000000", "--delay", "0.005")
    said = wait_for(long, "byte #1 ")
    texts = [lab.client("--count", "100", "--delay", "0.001").stdout for _ in range(10)]
    said += wait_for(long, "byte #1000 ")
    long.send_signal(signal.SIGINT)
    code, rest = ends(long)
    *runs, last = lab.results(*texts, said + rest)

    assert code == 130
    assert len(last.sent) >= 1000
    last.check(len(last.sent))
    for run in runs:
        run.check(100)


def test_a_port_that_comes_again_is_another_connection(lab: PartA) -> None:
    range_ = lab.netlab("exec", "client", "cat", "/proc/sys/net/ipv4/ip_local_port_range").stdout
    try:
        lab.netlab("exec", "client", "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40000")
        runs = lab.results(*(lab.client("--count", str(count), "--delay", "0").stdout for count in (3, 5)))
    finally:
        lab.netlab("exec", "client", "sysctl", "-qw", f"net.ipv4.ip_local_port_range={range_}")

    assert len({run.connected.client for run in runs}) == 1
    runs[0].check(3)
    runs[1].check(5)


@pytest.mark.slow
def test_a_thousand_bytes_ten_times_in_a_row(lab: PartA) -> None:
    for run in lab.results(*(lab.client("--count", "1000", "--delay", "0.01").stdout for _ in range(10))):
        run.check(1000)


def test_bytes_without_a_delay_are_segments_of_their_own(lab: PartA) -> None:
    """No offload merges what is judged, nor what is shown."""
    (run,) = lab.results(lab.client("--count", "300", "--delay", "0").stdout)

    run.check(300)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_bytes(lab: PartA, count: int) -> None:
    texts = [lab.client("--count", str(count), "--delay", "0", "--isn", str(isn)).stdout for isn in (4, 5)]
    for run in lab.results(*texts):
        run.check(count)


@pytest.mark.usefixtures("no_leaks")
def test_up_plays_it() -> None:
    """As the topology has it, with the initial sequence number and the server's address chosen on the command line."""
    options = ("isn=4294967290", "target='[fd00::2]:9000'", "delay=0.01")
    settings = [word for option in options for word in ("--set", f"nodes.client.args.{option}")]
    with parta("under-test-up", *settings) as lab:
        eventually(
            lambda: any("exited with code 0" in line for line in lab.netlab("logs", "client").stdout.splitlines())
        )
        said = lab.netlab("logs", "client").stdout.splitlines()
        (run,) = lab.results("\n".join(line.split(" client ", 1)[1].strip() for line in said))

    run.check(10)
    assert (run.connected.isn, run.connected.server) == (0xFFFFFFFA, "[fd00::2]:9000")


@pytest.mark.usefixtures("no_leaks")
def test_every_segment_can_be_judged() -> None:
    """A client whose SYN is dropped says so and takes the next number; it ends in order though half of all is lost."""
    wanted = [(isn, count) for isn in (2000, 2001) for count in (0, 1, 2, 10)]
    options = [("--isn", str(isn), "--count", str(count), "--delay", "0.01") for isn, count in wanted]
    with parta("under-test-all", *QUIET, "--set", "nodes.server.xdp.define.JUDGE_ALL=1") as lab:
        outputs = [ends(one) for one in [lab.start("run", "client", *words) for words in options]]
        runs = lab.results(*(text for _, text in outputs))

    for (isn, count), (code, text), run in zip(wanted, outputs, runs, strict=True):
        refused = f"attempt 1: the SYN with sequence number {isn} is not answered; trying another number"
        of_bytes = [segment for segment in run.arrived if segment.data != "\0"]  # that comes with a FIN
        assert (0, run.closed, run.connected.isn) == (code, True, 2001)
        assert (isn == 2000) == (refused in text)
        assert list(range(2002, 2002 + count)) == [byte.seq for byte in run.sent]
        assert [byte.seq for byte in run.sent if byte.seq % 2] == [segment.seq for segment in of_bytes]
        assert all((s.what, s.verdict) == (("odd", "pass") if s.seq % 2 else ("even", "drop")) for s in run.traced)
        assert {byte.seq for byte in run.sent} <= {segment.seq for segment in run.judged}


# --- the others -------------------------------------------------------------------------------------------------------


def test_another_service_on_the_server_is_untouched(lab: PartA) -> None:
    """Ten million bytes by an ordinary client arrive whole while the dropper works, and none of them is dropped."""
    before = lab.reasons()
    sink = lab.start("exec", "server", sys.executable, "-c", SINK)
    wait_for(sink, "READY")
    judged = lab.start("run", "client", "--count", "50", "--delay", "0.01")
    said = wait_for(judged, "byte #1 ")
    lab.netlab("exec", "client", sys.executable, "-c", SOURCE, str(BULK))
    code, rest = ends(judged)
    (run,) = lab.results(said + rest)
    after = lab.reasons()

    run.check(50)
    assert (0, 0) == (code, ends(sink)[0])
    assert after["PASS_OTHER_PORT"] - before["PASS_OTHER_PORT"] >= BULK // 1500
    assert {name: after[name] - before[name] for name in after if name.startswith("DROP")} == {"DROP_EVEN": 25}


@pytest.mark.parametrize(("isn", "got"), [(4000, 1), (4001, 0)])
def test_a_stream_stops_at_the_first_even_byte(lab: PartA, isn: int, got: int) -> None:
    """TCP sends the lost byte again and again, with the same number, which is even again and again."""
    stream = ("--mode", "stream", "--isn", str(isn), "--delay", "0", "--patience", "0.7")
    lines = lab.client(*stream, code=1).stdout.splitlines()

    assert lines[-1].startswith(f"not acknowledged within 0.7 s; TCP: {got} of 10 bytes acknowledged, ")
    assert ", 0 retransmissions" not in lines[-1]


def test_without_the_dropper_everything_arrives(lab: PartA) -> None:
    """The same clients at a port that nobody judges: TCP delivers all, be it sent as segments or as a stream."""
    server = lab.start("exec", "server", *ROLE_SERVER, "--port", "9001")
    said = wait_for(server, "ready")
    segments = lab.client("--target", "server:9001", "--delay", "0").stdout
    stream = lab.client("--target", "server:9001", "--delay", "0", "--mode", "stream").stdout
    said += wait_for(server, "end of file on #2")
    server.send_signal(signal.SIGTERM)
    code, rest = ends(server)

    assert "closed: the server has acknowledged the FIN, and sent its own" in segments
    assert stream.splitlines()[-1].startswith("TCP: 10 of 10 bytes acknowledged, 0 retransmissions, ")
    assert said.count('TCP delivered 10 bytes in order: "abcdefghij"') == 2
    assert (code, rest.splitlines()[-1][:24]) == (0, "stopped: 2 connections, ")


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_client_that_is_stopped_closes_in_good_order(lab: PartA, how: signal.Signals) -> None:
    eventually(lambda: not lab.sockets())  # those of tests before may end by a reset
    resets = lab.tcp("OutRsts")
    client = lab.start("run", "client", "--count", "1000", "--delay", "0.02")
    said = wait_for(client, "byte #3 ")
    client.send_signal(how)
    code, rest = ends(client)
    (run,) = lab.results(said + rest)

    run.check(len(run.sent))
    assert (130, True) == (code, 3 <= len(run.sent) < 1000)
    assert resets == lab.tcp("OutRsts")
    eventually(lambda: not lab.sockets())


def test_a_stream_that_is_stopped_says_how_far_it_got(lab: PartA) -> None:
    client = lab.start("run", "client", "--mode", "stream", "--isn", "4000", "--delay", "0.2")
    wait_for(client, "byte #2 ")
    client.send_signal(signal.SIGTERM)
    code, rest = ends(client)

    assert code == 130
    assert rest.splitlines()[-1].startswith("stopped; TCP: 1 of ")
    eventually(lambda: not lab.sockets())


def test_a_server_that_stops_is_noticed(lab: PartA) -> None:
    server = lab.start("exec", "server", *ROLE_SERVER, "--port", "9001")
    wait_for(server, "ready")
    client = lab.start("run", "client", "--target", "server:9001", "--delay", "20")
    wait_for(server, "segment on #1")
    eventually(lambda: all(line.split()[4] == "00000000:00000000" for line in lab.sockets(9001)))  # it has read that
    server.send_signal(signal.SIGTERM)
    ends(server)
    code, rest = ends(client)

    assert code == 1
    assert "the server has ended the connection" in rest


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("server:9", "10.0.0.2:9: Connection refused"),
        ("[fd00::2]:9", "[fd00::2]:9: Connection refused"),
        ("10.0.0.77:9000", "10.0.0.77:9000: No route to host"),
        pytest.param(
            "192.0.2.1:9000", "cannot connect to 192.0.2.1:9000: none of 30 SYNs was answered", marks=pytest.mark.slow
        ),
    ],
)
def test_a_server_that_is_not_there(lab: PartA, target: str, why: str) -> None:
    done = lab.client("--target", target, code=1)

    assert done.stderr.splitlines()[-1] == f"tcp_client: {why}"


def test_a_port_in_use(lab: PartA) -> None:
    done = lab.role("server", *ROLE_SERVER, "--port", "9000", code=1)

    assert done.stderr == "tcp_server: cannot listen on port 9000: Address already in use\n"


def test_without_the_rights_a_role_says_which_it_needs(lab: PartA) -> None:
    bare = ["setpriv", "--bounding-set=-net_raw,-net_admin"]
    client = lab.role("client", *bare, *ROLE_CLIENT, "--target", "server:9000", code=1)
    server = lab.role("server", *bare, *ROLE_SERVER, "--port", "9001", code=1)

    assert client.stderr.startswith("tcp_client: sending segments needs the rights to raw sockets (CAP_NET_RAW)")
    assert server.stderr.startswith("tcp_server: seeing segments needs the rights to packet sockets (CAP_NET_RAW")


def test_a_stream_needs_no_rights(lab: PartA) -> None:
    bare = ["setpriv", "--bounding-set=-net_raw,-net_admin"]
    stream = ["--target", "server:9000", "--mode", "stream", "--count", "0"]

    assert "TCP: 0 of 0 bytes" in lab.role("client", *bare, *ROLE_CLIENT, *stream).stdout


@pytest.mark.parametrize("option", ["isn=0", "isn=4294967296", "target=nobody:9000", "mode=both", "count=-1"])
def test_a_wrong_argument_is_refused_before_anything_is_built(option: str) -> None:
    done = netlab("up", PARTA, "--set", f"nodes.client.args.{option}", code=2)

    assert option.partition("=")[0] in done.stderr


def test_a_client_that_is_killed_leaves_the_server_to_the_others(lab: PartA) -> None:
    """The last test here: the server hears nothing of that end, and keeps the connection until TCP gives it up."""
    client = lab.start("run", "client", "--count", "1000", "--delay", "0.02")
    wait_for(client, "byte #3 ")
    client.kill()
    ends(client)
    (run,) = lab.results(lab.client("--delay", "0").stdout)

    run.check(10)
