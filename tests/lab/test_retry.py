"""Requests at a worker that fails, in real namespaces: each is served at least once, if need be by another worker."""

import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.lab import lossy
from tests.lab.lab import PARTB, background, eventually, lab, netlab, pid, python, start, stats, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

RETRY = (
    "--set", "nodes.lb.args.report_port=9091", "--set", "nodes.worker.args.report=lb:9091",
    "--set", "nodes.client.autostart=false", "--set", "nodes.lb.args.on_worker_failure=retry",
)  # fmt: skip
WORKERS = ("worker1", "worker2", "worker3")
FREE = dict.fromkeys(WORKERS, 5)
# Sends N requests, each of another data, that ask for SECONDS (and a little more each, by which they are told apart).
ASK = """
import socket, sys, time
count, seconds, interval = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(count):
    own.sendto(b"%.6f" % (seconds + number / 1e6), ("lb", 8080))
    time.sleep(interval)
"""


def free() -> dict[str, int]:
    return {name: each["free"] for name, each in stats()["backends"].items()}


def ask(count: int, seconds: float, interval: float = 0.002) -> set[str]:
    """Send requests that differ in their data; return that."""
    python("client", ASK, str(count), str(seconds), str(interval))
    return asked(count, seconds)


def asked(count: int, seconds: float) -> set[str]:
    return {f"{seconds + number / 1e6:.6f}" for number in range(count)}


def served(*workers: str) -> Counter[str]:
    """Return how often each request was done, by its data."""
    done: Counter[str] = Counter()
    for worker in workers or WORKERS:
        data = {}
        for line in texts("logs", worker):
            if found := re.match(r'received (#\d+) from \S+: "(.*)" ', line):
                data[found[1]] = found[2]
            elif (found := re.match(r"finished (#\d+): ", line)) and found[1] in data:
                done[data[found[1]]] += 1
    return done


def begun() -> None:
    eventually(lambda: stats()["reasons"]["REPORT_BEGUN"]["packets"] == 3)


def settled() -> bool:
    """Whether nothing waits and nothing is held."""
    now = stats()
    return not now["queue_depth"] and not now["held"]


def test_what_a_killed_worker_had_in_hand_is_served_by_others() -> None:
    """Those five first, and then what has been waiting; nothing else is sent twice."""
    with lab(PARTB, *RETRY, name="retry-killed"):
        begun()
        wanted = ask(20, 1.5)
        eventually(lambda: stats()["held"] == 15)
        assert stats()["queue_depth"] == 5
        had = {line.split('"')[1] for line in texts("logs", "worker2") if line.startswith("received")}
        os.kill(pid("worker2"), signal.SIGKILL)
        eventually(settled)

        done = served("worker1", "worker3")
        now = stats()
        assert done == Counter(wanted)
        assert had <= set(done)
        assert len(had) == 5
        assert (now["retried"], now["unheld"], free()) == (5, 0, {**FREE, "worker2": 0})
        put_back = [line for line in texts("trace") if line.startswith("retry #")]
        assert len(put_back) == 5
        assert all("which was at worker2" in line for line in put_back)
        assert "retry: 5 requests wait again, which were lost with their workers" in texts("logs", "lb")
        assert "0 held, 5 retried, 0 not held" in netlab("stats").stdout


def test_what_a_worker_had_before_it_began_again_is_served() -> None:
    """It is started again before anybody has noticed that it was gone."""
    with lab(PARTB, *RETRY, name="retry-again"):
        begun()
        wanted = ask(15, 1.0)
        eventually(lambda: stats()["held"] == 15)
        os.kill(pid("worker2"), signal.SIGKILL)
        again = start("worker2")
        try:
            eventually(settled)
            assert stats()["retried"] == 5
            eventually(lambda: free() == FREE)
        finally:
            again.terminate()
            said, _ = again.communicate(timeout=10)
        done = served("worker1", "worker3") + Counter(re.findall(r'received #\d+ from \S+: "(.*)" ', said))
        assert set(done) == wanted


def test_a_worker_that_was_frozen_does_its_requests_too() -> None:
    """They were given to others meanwhile: served at least once, twice for those that it had."""
    with lab(PARTB, *RETRY, name="retry-frozen"):
        begun()
        wanted = ask(15, 0.8)
        eventually(lambda: stats()["held"] == 15)
        worker = pid("worker1")
        os.kill(worker, signal.SIGSTOP)
        try:
            eventually(lambda: stats()["retried"] == 5)
            eventually(lambda: set(served("worker2", "worker3")) == wanted)
        finally:
            os.kill(worker, signal.SIGCONT)
        eventually(lambda: sum(served().values()) == 20)
        eventually(lambda: settled() and free() == FREE)
        assert set(served()) == wanted


def test_what_is_lost_on_the_way_is_sent_again(tmp_path: Path) -> None:
    """Requests and completions are lost; each request is served, and nothing is held for ever."""
    (tmp_path / "lossy.yml").write_text(lossy.LOSSY)
    with lab(str(tmp_path / "lossy.yml"), "--set", "nodes.lb.args.on_worker_failure=retry", name="lossy"):
        lossy.lose("lossy", tmp_path, REQUESTS=7, COMPLETIONS=5)
        begun()
        wanted = ask(100, 0.02)
        eventually(lambda: settled() and free() == FREE, 30.0)

        assert set(served()) == wanted
        assert stats()["retried"] >= 100 // 7


def test_what_is_lost_is_sent_again_while_others_come(tmp_path: Path) -> None:
    """No pause is needed in which the role has read all that the program has heard."""
    (tmp_path / "lossy.yml").write_text(lossy.LOSSY)
    with lab(str(tmp_path / "lossy.yml"), "--set", "nodes.lb.args.on_worker_failure=retry", name="lossy"):
        lossy.lose("lossy", tmp_path, REQUESTS=100, COMPLETIONS=1 << 30)
        begun()
        asking = background("client", [sys.executable, "-c", ASK, "2000", "0.002", "0.002"])
        try:
            eventually(lambda: stats()["retried"] > 0)
            assert asking.poll() is None
        finally:
            asking.communicate(timeout=30)
        eventually(settled)
        assert set(served()) == asked(2000, 0.002)


def test_reports_may_be_lost() -> None:
    """Nobody hears them while the role is away; the next ones tell the same."""
    with lab(PARTB, *RETRY, name="retry-unheard"):
        begun()
        os.kill(pid("lb"), signal.SIGKILL)
        wanted = ask(60, 0.01)
        eventually(lambda: set(served()) == wanted and free() == FREE)
        assert stats()["held"] == 60
        again = start("lb")
        try:
            eventually(settled)
            assert (stats()["retried"], served()) == (0, Counter(wanted))
        finally:
            again.terminate()
            again.communicate(timeout=10)


def test_the_role_may_be_stopped_for_a_while() -> None:
    """It goes on where it was, and hears what has been told meanwhile."""
    with lab(PARTB, *RETRY, name="retry-stopped"):
        begun()
        role = pid("lb")
        os.kill(role, signal.SIGSTOP)
        try:
            wanted = ask(30, 0.01)
            eventually(lambda: set(served()) == wanted and free() == FREE)
            assert stats()["held"] == 30
        finally:
            os.kill(role, signal.SIGCONT)
        eventually(settled)
        assert (stats()["retried"], served()) == (0, Counter(wanted))


def test_the_role_may_die_before_the_worker() -> None:
    """The one that is started again finds in the maps what is held, and for whom."""
    with lab(PARTB, *RETRY, name="retry-orphaned"):
        begun()
        wanted = ask(15, 0.5)
        eventually(lambda: stats()["held"] == 15)
        os.kill(pid("lb"), signal.SIGKILL)
        os.kill(pid("worker3"), signal.SIGKILL)
        eventually(lambda: sum(served("worker1", "worker2").values()) == 10)
        again = start("lb")
        try:
            eventually(settled)
            assert (stats()["retried"], served("worker1", "worker2")) == (5, Counter(wanted))
        finally:
            again.terminate()
            again.communicate(timeout=10)


ECHO = """
import socket
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.bind(("", 8080))
print("READY", flush=True)
while True:
    data, sender = own.recvfrom(2048)
    own.sendto(data, sender)
"""
# Asks COUNT questions, each of a socket of its own, and prints which were answered.
QUESTIONS = """
import select, socket, sys
sockets = {}
for number in range(int(sys.argv[1])):
    each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    each.connect(("lb", 8080))
    each.send(b"%d" % number)
    sockets[each] = number
answered = set()
while len(answered) < len(sockets) and (ready := select.select(list(sockets), [], [], 10)[0]):
    answered |= {int(each.recv(2048)) for each in ready}
print(len(answered))
"""
# Asks questions of one socket for SECONDS, always eight at a time; prints how many were asked, and how many answered.
PIPELINE = """
import socket, sys, time
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.connect(("lb", 8080))
own.settimeout(10)
ends = time.monotonic() + float(sys.argv[1])
asked, open_ = 0, set()
try:
    while open_ or time.monotonic() < ends:
        while len(open_) < 8 and time.monotonic() < ends:
            own.send(b"%d" % asked)
            open_.add(asked)
            asked += 1
        open_.discard(int(own.recv(2048)))
except TimeoutError:
    pass
print(asked, asked - len(open_))
"""


@pytest.fixture
def echoes(tmp_path: Path) -> str:
    """A balancer whose requests are held until one of three ordinary servers answers."""
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "echo.yml").write_text(f"""
name: retry-echo
nodes:
  client: {{}}
  lb:
    role: balancer
    args: {{backends: echo, capacity: 4, completion: reply, timeout: 0.5, on_worker_failure: retry}}
    xdp: balancer
  echo: {{replicas: 3, command: ["{sys.executable}", echo.py]}}
links: [[client, lb], [echo, lb]]
""")
    return str(tmp_path / "echo.yml")


def answering() -> None:
    eventually(lambda: all("READY" in texts("logs", f"echo{number}") for number in (1, 2, 3)))


def test_what_a_dead_server_does_not_answer_is_answered_by_others(echoes: str) -> None:
    """Ordinary servers do not report: what is not answered within the timeout is asked of the next."""
    with lab(echoes, name="retry-echo"):
        answering()
        assert python("client", QUESTIONS, "20").stdout.strip() == "20"
        eventually(settled)
        assert stats()["retried"] == 0

        os.kill(pid("echo2"), signal.SIGKILL)
        asking = background("client", [sys.executable, "-c", QUESTIONS, "20"])
        answered, _ = asking.communicate(timeout=30)
        assert answered.strip() == "20"
        assert stats()["retried"] > 0
        assert stats()["unheld"] == 0


def test_of_requests_in_a_row_from_one_socket_those_are_sent_again_that_were_lost(echoes: str) -> None:
    """A client may always have some on their way: each answer tells which is done, and the others are served once."""
    with lab(echoes, name="retry-pipelined"):
        answering()
        asked, answered = map(int, python("client", PIPELINE, "2").stdout.split())
        assert answered == asked > 100
        eventually(settled)
        assert [stats()[name] for name in ("retried", "unheld")] == [0, 0]

        os.kill(pid("echo2"), signal.SIGKILL)
        before = stats()
        asked, answered = map(int, python("client", PIPELINE, "2").stdout.split())
        assert answered == asked
        eventually(settled)
        now = stats()
        assert now["completions"] - before["completions"] == asked
        assert (now["retried"] > 0, now["unheld"]) == (True, 0)


@pytest.mark.parametrize(
    "options",
    [[], ["nodes.lb.args.timeout=1"], ["nodes.lb.args.completion=reply"]],
    ids=["nothing", "no replies", "no timeout"],
)
@pytest.mark.parametrize("verb", ["validate", "up"])
def test_retry_needs_somebody_who_tells(verb: str, options: list[str]) -> None:
    """Neither reports nor answers in time: nothing would ever be known to be done, or not to be."""
    chosen = ["nodes.lb.args.on_worker_failure=retry", *options]
    done = netlab(verb, PARTB, *(word for each in chosen for word in ("--set", each)), code=2)

    expected = "expected report_port, or completion: reply and timeout beside retry, found 'retry' without"
    assert f"nodes.lb.args.on_worker_failure: {expected}" in done.stderr
