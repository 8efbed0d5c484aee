"""A balancer that heals itself, in real namespaces: packets lost on purpose, workers killed, its own role killed."""

import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from netlab import balancer, record
from tests.lab.lab import PARTB, eventually, lab, netlab, pid, python, start, stats, texts
from tests.lab.lossy import LOSSY, lose, wires

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

REPORTING = (
    "--set", "nodes.lb.args.report_port=9091", "--set", "nodes.worker.args.report=lb:9091",
    "--set", "nodes.client.autostart=false",
)  # fmt: skip
FREE = {"worker1": 5, "worker2": 5, "worker3": 5}


def free() -> dict[str, int]:
    return {name: each["free"] for name, each in stats()["backends"].items()}


def reasons() -> dict[str, int]:
    return {name: each["packets"] for name, each in stats()["reasons"].items() if each["packets"]}


def ask(count: int, sleep: str, interval: str = "0.005") -> None:
    netlab("run", "client", "--count", str(count), "--sleep", *sleep.split(), "--interval", interval)


def served(*workers: str) -> Counter[str]:
    lines = (line for worker in workers or FREE for line in texts("logs", worker))
    return Counter(found[1] for line in lines if (found := re.match(r'received #\d+ from \S+: "(.*)" ', line)))


def test_what_is_lost_on_the_way_is_found_out(tmp_path: Path) -> None:
    """One request in seven, one completion in five, one marker in three: all threads are free again at the end."""
    (tmp_path / "lossy.yml").write_text(LOSSY)
    with lab(str(tmp_path / "lossy.yml"), name="lossy"):
        lose("lossy", tmp_path, REQUESTS=7, COMPLETIONS=5, MARKERS=3)
        eventually(lambda: reasons().get("REPORT_BEGUN") == 3)
        ask(140, "0.02 0.06", "0.002")
        eventually(lambda: stats()["queue_depth"] == 0 and free() == FREE)
        lost = Counter(line.rpartition(" ")[2] for line in texts("trace") if line.startswith("lost to port"))
        found, told = reasons(), texts("trace")
        reports = [each["reports"] for each in stats()["backends"].values()]

        assert lost["8080"] == 20
        assert sum(served().values()) == 140 - 20
        assert lost["9090"] >= 20
        assert 0 < found["REPORT_COMPLETION_LOST"] <= lost["9090"]  # a report may tell of two losses at once
        assert sum(each["lost_requests"] for each in reports) == lost["8080"]
        assert sum(each["lost_completions"] for each in reports) == lost["9090"]
        assert sum(each["received"] for each in reports) == sum(each["completed"] for each in reports) == 140 - 20
        assert sum(": a request was lost" in line for line in told) == found["REPORT_REQUEST_LOST"] > 0
        assert stats()["received"] == 140 == stats()["forwarded"] + stats()["dequeued"]


def test_a_lost_request_is_found_under_steady_traffic(tmp_path: Path) -> None:
    """Within a second: 130 requests a second come to each worker, of which one is lost, and there is never a pause."""
    (tmp_path / "lossy.yml").write_text(LOSSY)
    with lab(str(tmp_path / "lossy.yml"), name="steady"):
        pins = record.read("steady")["nodes"]["lb"]["pins"]
        lose("steady", tmp_path, REQUESTS=1000, COMPLETIONS=1_000_000)
        eventually(lambda: reasons().get("REPORT_BEGUN") == 3)
        client = start("client", "--count", "1900", "--sleep", "0.002", "0.006", "--interval", "0.0025")
        try:
            eventually(lambda: wires("steady").requests >= 1000)
            eventually(lambda: lost_requests(pins) == 1, 1.0)
            found = wires("steady").requests
            eventually(lambda: wires("steady").requests > found + 100)
            assert client.poll() is None
        finally:
            client.communicate(timeout=20)
        eventually(lambda: free() == FREE)
        assert (lost_requests(pins), stats()["received"]) == (1, 1900)


def lost_requests(pins: str) -> int:
    return sum(each.lost_requests for each in balancer.reporters(pins).values() if each)


def test_a_killed_worker_gives_back_what_it_had() -> None:
    """It gets no requests while it is away, the others serve on; started again, it is used at once."""
    with lab(PARTB, *REPORTING, name="partb-killed"):
        eventually(lambda: reasons().get("REPORT_BEGUN") == 3)
        ask(15, "1.5")
        eventually(lambda: free() == dict.fromkeys(FREE, 0))
        os.kill(pid("worker2"), signal.SIGKILL)
        eventually(
            lambda: any("silent: worker2 gets no requests, 5 were in its hands" in line for line in texts("trace"))
        )
        assert reasons()["BACKEND_SILENT"] == 1
        shown = netlab("stats").stdout
        assert re.search(r"worker1 +\d +5 +1 +reporting +0 +0 +0", shown), shown
        assert re.search(r"worker2 +0 +5 +1 +silent for \d+\.\d s +0 +0 +0", shown), shown
        ask(20, "0.1")
        eventually(lambda: free() == {**FREE, "worker2": 0})
        before = sum(served("worker1", "worker3").values())
        assert before == 10 + 20

        again = start("worker2")
        try:
            eventually(lambda: free() == FREE, 3.0)
            ask(15, "0.2")
            eventually(lambda: free() == FREE)
            assert sum(served("worker1", "worker3").values()) - before == 10
            assert reasons()["REPORT_RESTARTED"] == 1
        finally:
            again.terminate()
            again.communicate(timeout=10)


def test_a_frozen_worker_comes_back() -> None:
    with lab(PARTB, *REPORTING, name="partb-frozen"):
        eventually(lambda: reasons().get("REPORT_BEGUN") == 3)
        os.kill(pid("worker1"), signal.SIGSTOP)
        try:
            eventually(lambda: free()["worker1"] == 0, 3.0)
        finally:
            os.kill(pid("worker1"), signal.SIGCONT)
        eventually(lambda: free() == FREE, 3.0)
        assert reasons()["REPORT_RETURNED"] == 1


def test_what_a_client_forges_changes_nothing() -> None:
    """Completions and reports, as itself and under a worker's address: each is dropped by name."""
    forge = """
import socket, struct, sys
data = struct.pack("!4sII4xQ16x", b"NLR1", 9, 9, 1)
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.sendto(b"", ("lb", 9090)); own.sendto(data, ("lb", 9091))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for port, payload in ((9090, b""), (9091, data)):
    udp = struct.pack("!HHHH", 8080, port, 8 + len(payload), 0) + payload
    to = socket.inet_aton(socket.gethostbyname("lb"))
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(sys.argv[1]), to)
    raw.sendto(ip + udp, (socket.inet_ntoa(to), 0))
"""
    with lab(PARTB, *REPORTING, name="partb-forged"):
        eventually(lambda: reasons().get("REPORT_BEGUN") == 3)
        ask(15, "1")
        eventually(lambda: free() == dict.fromkeys(FREE, 0))
        worker = netlab("exec", "client", "getent", "ahostsv4", "worker1").stdout.split()[0]
        python("client", forge, worker)

        names = ("COMPLETION_STRANGER", "COMPLETION_WRONG_INTERFACE", "REPORT_STRANGER", "REPORT_WRONG_INTERFACE")
        eventually(lambda: [reasons().get(name) for name in names] == [1, 1, 1, 1])
        assert free() == dict.fromkeys(FREE, 0)
        eventually(lambda: free() == FREE)


def test_the_balancers_role_may_die_under_traffic() -> None:
    """The program goes on without it, and it goes on with the program: no request is lost, none is served twice."""
    with lab(PARTB, *REPORTING, name="partb-orphaned"):
        eventually(lambda: reasons().get("REPORT_BEGUN") == 3)
        client = start("client", "--count", "200", "--sleep", "0.02", "0.03", "--interval", "0.005")
        eventually(lambda: stats()["received"] > 20)
        os.kill(pid("lb"), signal.SIGKILL)
        eventually(lambda: stats()["received"] > 80)
        again = start("lb")
        try:
            client.communicate(timeout=20)
            eventually(lambda: stats()["received"] == 200 and free() == FREE and not stats()["queue_depth"])
            assert sum(served().values()) == 200
            assert stats()["dropped"] == 0
        finally:
            again.terminate()
            said, _ = again.communicate(timeout=10)
        assert "the program is set up already; it keeps its settings and its state" in said
        assert reasons()["ROLE_RESUMED"] == sum("resumed: " in line for line in texts("trace")) == 1
