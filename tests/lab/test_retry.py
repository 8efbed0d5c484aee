"""Requests at a worker that fails, in real namespaces: each is served at least once, if need be by another worker."""

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.balancer import Snapshot
from netlab.testing.waiting import eventually
from tests.lab import lossy
from tests.lab.feed import fed
from tests.lab.lab import LAB, PARTB, ROOT, again, frozen, lab, netlab, pid, pids, python, stats, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

RETRY = (
    "--set", "nodes.lb.args.report_port=9091", "--set", "nodes.worker.args.report=lb:9091",
    "--set", "nodes.client.autostart=false", "--set", "nodes.lb.args.on_worker_failure=retry",
)  # fmt: skip
NEVER_SILENT = ("--set", "nodes.lb.xdp.define.SILENT_NS=60000000000")  # on a machine that lets its workers wait
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


class Gate:
    """What keeps the requests of a lab's workers from being done until it is opened, however long that is."""

    def __init__(self, folder: Path) -> None:
        """Make it, closed, and a role for the workers: one that waits at the gate instead of sleeping."""
        self._path, self._open = folder / "gate", -1
        os.mkfifo(self._path)
        text, sleeps = Path(f"{ROOT}/roles/worker.py").read_text(), "            time.sleep(seconds)\n"
        assert text.count(sleeps) == 1
        waits = f"            os.close(os.open({str(self._path)!r}, os.O_RDONLY))\n"  # as long as nobody writes to it
        (folder / "gated.py").write_text(text.replace(sleeps, waits))
        self.options = ("--set", f"nodes.worker.role={folder}/gated.py")

    def open(self) -> None:
        self._open = os.open(self._path, os.O_RDWR)

    def close(self) -> None:
        if self._open >= 0:
            os.close(self._open)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that is closed."""
    made = Gate(tmp_path)
    yield made
    made.close()


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


def at_work(worker: str) -> set[str]:
    """Return what a worker has received, by its data."""
    return {line.split('"')[1] for line in texts("logs", worker) if line.startswith("received")}


def begun() -> None:
    eventually(lambda: stats()["reasons"]["REPORT_BEGUN"]["packets"] == 3)


def few_held(now: Snapshot, sent: int) -> int:
    """Send more as long as few are held, or on their way to the balancer: there is room to hold each of them."""
    return 30 - (sent - now.counters["received"] + now.depth + now.counters["held"])


def settled() -> bool:
    """Whether nothing waits and nothing is held."""
    now = stats()
    return not now["queue_depth"] and not now["held"]


def test_what_a_killed_worker_had_in_hand_is_served_by_others(gate: Gate) -> None:
    """Those five first, and then what has been waiting; nothing else is sent twice."""
    with lab(PARTB, *RETRY, *gate.options):
        begun()
        wanted = ask(20, 1)
        eventually(lambda: stats()["held"] == 15)
        eventually(lambda: stats()["queue_depth"] == 5)
        eventually(lambda: len(at_work("worker2")) == 5)
        had = at_work("worker2")
        os.kill(pid("worker2"), signal.SIGKILL)
        eventually(lambda: stats()["retried"] == 5)
        gate.open()
        eventually(settled)

        done = served("worker1", "worker3")
        now = stats()
        assert done == Counter(wanted)
        assert had <= set(done)
        assert (now["retried"], now["unheld"], free()) == (5, 0, {**FREE, "worker2": 0})
        put_back = [line for line in texts("trace") if line.startswith("retry #")]
        assert len(put_back) == 5
        assert all("which was at worker2" in line for line in put_back)
        assert "retry: 5 requests wait again, which were lost with their workers" in texts("logs", "lb")
        assert "0 held, 5 retried, 0 not held" in netlab("stats").stdout


def test_what_a_worker_had_before_it_began_again_is_served(gate: Gate) -> None:
    """It is started again before anybody has noticed that it was gone."""
    with lab(PARTB, *RETRY, *NEVER_SILENT, *gate.options):
        begun()
        wanted = ask(15, 1)
        eventually(lambda: stats()["held"] == 15)
        os.kill(pid("worker2"), signal.SIGKILL)
        with again("worker2") as said:
            eventually(lambda: stats()["retried"] == 5)
            gate.open()
            eventually(settled)
            eventually(lambda: free() == FREE)
        done = served("worker1", "worker3") + Counter(re.findall(r'received #\d+ from \S+: "(.*)" ', "\n".join(said)))
        assert set(done) == wanted


def test_a_worker_that_was_frozen_does_its_requests_too(gate: Gate) -> None:
    """They were given to others meanwhile: served at least once, twice for those that it had."""
    with lab(PARTB, *RETRY, *gate.options):
        begun()
        wanted = ask(15, 1)
        eventually(lambda: stats()["held"] == 15)
        eventually(lambda: len(at_work("worker1")) == 5)
        with frozen(pid("worker1")):
            eventually(lambda: stats()["retried"] == 5)
            gate.open()
            eventually(lambda: set(served("worker2", "worker3")) == wanted)
        eventually(lambda: sum(served().values()) == 20)
        eventually(lambda: settled() and free() == FREE)
        assert set(served()) == wanted


def test_what_is_lost_on_the_way_is_sent_again(tmp_path: Path) -> None:
    """Requests and completions are lost; each request is served, and nothing is held for ever."""
    (tmp_path / "lossy.yml").write_text(lossy.LOSSY)
    with lab(str(tmp_path / "lossy.yml"), "--set", "nodes.lb.args.on_worker_failure=retry"):
        lossy.lose(LAB, tmp_path, REQUESTS=7, COMPLETIONS=5)
        begun()
        wanted = ask(100, 0.02)
        eventually(lambda: settled() and free() == FREE)

        assert set(served()) == wanted
        assert stats()["retried"] >= 100 // 7


def test_what_is_lost_is_sent_again_while_others_come(tmp_path: Path) -> None:
    """No pause is needed in which the role has read all that the program has heard."""
    (tmp_path / "lossy.yml").write_text(lossy.LOSSY)
    with lab(str(tmp_path / "lossy.yml"), "--set", "nodes.lb.args.on_worker_failure=retry"):
        lossy.lose(LAB, tmp_path, REQUESTS=100, COMPLETIONS=1 << 30)
        begun()
        with fed(LAB, lambda number: f"{0.002 + number / 1e9:.9f}", few_held) as feed:
            eventually(lambda: stats()["retried"] > 0)
        eventually(settled)
        assert stats()["unheld"] == 0
        assert set(served()) == {f"{0.002 + number / 1e9:.9f}" for number in range(feed.sent)}


def test_reports_may_be_lost() -> None:
    """Nobody hears them while the role is away; the next ones tell the same."""
    with lab(PARTB, *RETRY, *NEVER_SILENT):
        begun()
        os.kill(pid("lb"), signal.SIGKILL)
        wanted = ask(60, 0.01)
        eventually(lambda: set(served()) == wanted and free() == FREE)
        assert stats()["held"] == 60
        with again("lb"):
            eventually(settled)
            assert (stats()["retried"], served()) == (0, Counter(wanted))


def test_the_role_may_be_stopped_for_a_while() -> None:
    """It goes on where it was, and hears what has been told meanwhile."""
    with lab(PARTB, *RETRY, *NEVER_SILENT):
        begun()
        with frozen(pid("lb")):
            wanted = ask(30, 0.01)
            eventually(lambda: set(served()) == wanted and free() == FREE)
            assert stats()["held"] == 30
        eventually(settled)
        assert (stats()["retried"], served()) == (0, Counter(wanted))


def test_the_role_may_die_before_the_worker(gate: Gate) -> None:
    """The one that is started again finds in the maps what is held, and for whom."""
    with lab(PARTB, *RETRY, *gate.options):
        begun()
        wanted = ask(15, 1)
        eventually(lambda: stats()["held"] == 15)
        for process in pids("lb", "worker3"):
            os.kill(process, signal.SIGKILL)
        gate.open()
        eventually(lambda: sum(served("worker1", "worker2").values()) == 10)
        with again("lb"):
            eventually(settled)
            assert (stats()["retried"], served("worker1", "worker2")) == (5, Counter(wanted))


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
while len(answered) < len(sockets) and (ready := select.select(list(sockets), [], [], 60)[0]):
    answered |= {int(each.recv(2048)) for each in ready}
print(len(answered))
"""
# Asks COUNT questions of one socket, always eight at a time; prints how many were asked, and how many answered.
PIPELINE = """
import socket, sys
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.connect(("lb", 8080))
own.settimeout(60)
count = int(sys.argv[1])
asked, open_ = 0, set()
try:
    while open_ or asked < count:
        while len(open_) < 8 and asked < count:
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
    with lab(echoes):
        answering()
        assert python("client", QUESTIONS, "20").stdout.strip() == "20"
        eventually(settled)

        os.kill(pid("echo2"), signal.SIGKILL)
        before = stats()["retried"]
        assert python("client", QUESTIONS, "20").stdout.strip() == "20"
        assert stats()["retried"] > before
        assert stats()["unheld"] == 0


def test_of_requests_in_a_row_from_one_socket_those_are_sent_again_that_were_lost(echoes: str) -> None:
    """A client may always have some on their way: each answer tells which is done, and the others are served once."""
    with lab(echoes, "--set", "nodes.lb.args.timeout=60"):  # so slow is no machine
        answering()
        assert python("client", PIPELINE, "1000").stdout.split() == ["1000", "1000"]
        eventually(settled)
        assert [stats()[name] for name in ("completions", "retried", "unheld")] == [1000, 0, 0]
    with lab(echoes):
        answering()
        os.kill(pid("echo2"), signal.SIGKILL)
        assert python("client", PIPELINE, "100").stdout.split() == ["100", "100"]
        eventually(settled)
        now, put_back = stats(), [text for text in texts("trace") if text.startswith("retry #")]
        slow = sum("which was at echo2" not in text for text in put_back)  # and were served, though not in time
        assert 100 <= now["completions"] <= 100 + slow
        assert (now["retried"] > 0, now["unheld"]) == (True, 0)


@pytest.mark.parametrize(
    "options",
    [[], ["nodes.lb.args.timeout=1"], ["nodes.lb.args.completion=reply"]],
    ids=["nothing", "no replies", "no timeout"],
)
@pytest.mark.parametrize("verb", ["validate", "up"])
def test_retry_needs_reports_or_replies(verb: str, options: list[str]) -> None:
    """Neither reports nor answers in time: nothing would ever be known to be done, or not to be."""
    chosen = ["nodes.lb.args.on_worker_failure=retry", *options]
    done = netlab(verb, PARTB, *(word for each in chosen for word in ("--set", each)), code=2)

    expected = "expected report_port, or completion: reply and timeout beside retry, found 'retry' without"
    assert f"nodes.lb.args.on_worker_failure: {expected}" in done.stderr
