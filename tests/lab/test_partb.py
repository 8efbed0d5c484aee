"""Part B in real namespaces: every request served once, in order, whole, and everything seen."""

import fcntl
import os
import re
import sys
from pathlib import Path

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import PARTB, ROOT, background, frozen, inside, lab, netlab, pids, python, stats, texts, uncounted

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

BACKENDS = ("one", "two", "three")
QUIET = ("--set", "nodes.client.autostart=false")

BARE = """
name: bare
nodes:
  client: {}
  lb: {role: balancer, args: {backends: [one, two, three]}, xdp: {program: balancer, define: {TRACE: 0}}}
  one: {}
  two: {}
  three: {}
links: [[client, lb], [one, lb], [two, lb], [lb, three]]
"""
# Workers of our own: they answer every request with an empty completion, and write down what they got.
SINK = """
import os, socket, sys, threading
os.sched_setaffinity(0, {int(sys.argv[2])} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 8080))
print("READY", flush=True)
lock = threading.Lock()
def thread():
    while True:
        data, _ = server.recvfrom(4096)
        with lock:
            print(data.hex(), flush=True)
        server.sendto(b"", ("lb", 9090))
for _ in range(int(sys.argv[1])):
    threading.Thread(target=thread, daemon=True).start()
threading.Event().wait()
"""
SEND = """
import os, socket, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in sys.stdin:
    client.sendto(bytes.fromhex(line), ("lb", 8080))
"""
ALL_PAYLOADS = 1 << 20  # bytes of a pipe that holds them, each in a page of its own
CHECKSUM_ERRORS = "print(open('/proc/net/snmp').read().split('Udp:')[2].split()[6])"


def test_forty_requests_for_fifteen_threads() -> None:
    """15 at once, 25 queued and sent in order, each served once, all threads free at the end."""
    with lab(PARTB, *QUIET):
        with frozen(*pids("worker1", "worker2", "worker3")):  # as if each request took for ever
            netlab("run", "client", "--count", "40", "--sleep", "0.1", "--interval", "0.001")
            eventually(lambda: stats()["received"] == 40)
            at_once = stats()
        assert (at_once["forwarded"], at_once["queued"]) == (15, 25)
        eventually(lambda: stats()["completions"] == 40)
        end = stats()
        seen = texts("trace")
        received = [text for text in texts("logs", "worker1", "worker2", "worker3") if text.startswith("received")]

    assert (end["dequeued"], end["queue_depth"], end["dropped"]) == (25, 0, 0)
    assert {name: backend["free"] for name, backend in end["backends"].items()} == {f"worker{n}": 5 for n in (1, 2, 3)}
    assert len(received) == 40
    queued = [re.match(r"queue #(\d+)", text) for text in seen]
    dequeued = [re.match(r"dequeue #(\d+) to worker[123], depth (\d+)", text) for text in seen]
    assert [int(found[1]) for found in queued if found] == list(range(16, 41))
    # the n-th to leave lets 25 - n wait; two CPUs may print in another order than they decide in
    assert sorted((int(one[1]), int(one[2])) for one in dequeued if one) == [(15 + n, 25 - n) for n in range(1, 26)]


def test_short_sleeps_queue_nothing_and_every_step_is_seen() -> None:
    """Low load: each request shows at the client, in the trace and at a worker; none waits."""
    with lab(PARTB, *QUIET):
        shown = netlab("run", "client", "--count", "12", "--sleep", "0.02", "--interval", "0.05").stdout
        eventually(lambda: stats()["completions"] == 12)
        end, seen = stats(), texts("trace")
        workers = texts("logs", "worker1", "worker2", "worker3")

    assert (end["forwarded"], end["queued"]) == (12, 0)
    assert shown.count("0.02") >= 12
    for number in range(1, 13):
        assert any(f"request #{number} from 10.0.0." in text for text in seen)
        assert any(re.search(rf"forward #{number} to worker[123], free \d", text) for text in seen)
    assert sum("completion from worker" in text for text in seen) == 12
    assert sum(text.startswith("received") for text in workers) == 12
    assert not any("queue #" in text for text in seen)


@pytest.mark.parametrize("cpu", [0, 1])
def test_queued_payloads_leave_whole_on_empty_completions(cpu: int, tmp_path: Path) -> None:
    """1 to 1,472 bytes, odd and even, forwarded and queued, from either CPU: byte for byte, checksums right."""
    if cpu not in os.sched_getaffinity(0):
        pytest.skip(f"no CPU {cpu} here")
    sizes = [1, 2, 3, 17, 18, 64, 511, 512, 1000, 1001, 1399, 1400, 1470, 1471, 1472] * 3
    payloads = [(bytes([number]) * size).hex() for number, size in enumerate(sizes, 1)]
    (tmp_path / "bare.yml").write_text(BARE)
    with lab(str(tmp_path / "bare.yml")):
        sinks = [background(n, ["python3", "-c", SINK, "5", str((cpu + len(n)) % 2)]) for n in BACKENDS]
        try:
            for sink in sinks:
                assert sink.stdout
                # one of them may get nearly all, and nobody reads before the end
                fcntl.fcntl(sink.stdout, fcntl.F_SETPIPE_SZ, ALL_PAYLOADS)
                assert sink.stdout.readline() == "READY\n"
            with frozen(*(sink.pid for sink in sinks)):
                python("client", SEND, str(cpu), input="\n".join(payloads), stdin=None)
                eventually(lambda: stats()["received"] == len(payloads))
            eventually(lambda: stats()["completions"] == len(payloads))
            errors = [python(n, CHECKSUM_ERRORS).stdout.strip() for n in BACKENDS]
            end = stats()
        finally:
            for sink in sinks:
                sink.terminate()
        got = [line for sink in sinks for line in sink.communicate()[0].splitlines()]

    assert sorted(payloads) == sorted(got)
    assert errors == ["0", "0", "0"]
    assert (end["forwarded"], end["queued"], end["dequeued"]) == (15, 30, 30)


def test_the_node_stays_an_ordinary_host() -> None:
    """Ping and TCP reach the balancer and, through it, a worker; UDP sent straight to a worker is not touched."""
    serve = (
        "import socket; s = socket.create_server(('', 7000)); print('READY', flush=True); "
        "s.accept()[0].sendall(b'hello')"
    )
    ask = "import socket, sys; print(socket.create_connection((sys.argv[1], 7000), 60).recv(10).decode())"
    direct = (
        "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'0', ('worker2', 8080))"
    )
    with lab(PARTB, *QUIET):
        for name in ("lb", "worker1", "worker3"):
            assert " 0% packet loss" in inside("client", "ping", "-c2", "-i0.2", "-W60", name).stdout
            assert " 0% packet loss" in inside("client", "ping", "-6", "-c2", "-i0.2", "-W60", name).stdout
        for name in ("lb", "worker1"):
            server = background(name, ["python3", "-c", serve])
            try:
                assert server.stdout
                assert server.stdout.readline() == "READY\n"
                assert python("client", ask, name).stdout == "hello\n"
            finally:
                server.communicate(timeout=PATIENCE_S)
        python("client", direct)
        eventually(lambda: any("received" in text for text in texts("logs", "worker2")))
        assert stats()["received"] == 0


def test_the_reasons_sum_to_the_frames() -> None:
    """Every frame that the balancer's interfaces received has exactly one reason."""
    with lab(PARTB, *QUIET):
        before = uncounted()
        netlab("run", "client", "--count", "30", "--sleep", "0.1", "--interval", "0")
        inside("client", "ping", "-c3", "-i0.2", "worker1")
        eventually(lambda: stats()["completions"] == 30)
        after, found = uncounted(), stats()
        handled = found["received"], found["forwarded"] + found["queued"] + found["dropped"]
        carriers = sum(count["packets"] for count in found["carriers"].values())

    assert before == after
    assert handled == (30, 30)
    assert carriers == 2 * found["reasons"]["COMPLETION_CARRIED"]["packets"]  # a clone and the original each


def test_a_worker_that_is_a_client_too() -> None:
    """Requests and completions of one node, in one batch, both find their way.

    A kernel takes a packet from its own address for forged, unless it is told otherwise.
    """
    with lab(PARTB, *QUIET, "--set", "nodes.worker.sysctls={net.ipv4.conf.all.accept_local: 1}"):
        options = ["--target", "lb:8080", "--count", "200", "--sleep", "0.001", "--interval", "0"]
        inside("worker1", sys.executable, "roles/client.py", *options, env={**os.environ, "PYTHONPATH": ROOT})
        eventually(lambda: stats()["completions"] == 200)
        found = stats()

    assert (found["dropped"], found["queue_depth"]) == (0, 0)
    assert all(backend["free"] == 5 for backend in found["backends"].values())
