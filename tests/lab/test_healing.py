"""A balancer that heals itself, in real namespaces: packets lost on purpose, workers killed, its own role killed."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.feed import fed, in_hand
from tests.lab.lab import LAB, PARTB, again, background, frozen, lab, netlab, pid, python, stats, texts
from tests.lab.lossy import LOSSY, lose, wires
from tests.lab.threads import Threads

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

REPORTING = (
    "--set", "nodes.lb.args.report_port=9091", "--set", "nodes.worker.args.report=lb:9091",
    "--set", "nodes.client.autostart=false",
)  # fmt: skip
FIRST = ("--set", "nodes.lb.args.policy=first-free")
NEVER_SILENT = ("--set", "nodes.lb.xdp.define.SILENT_NS=60000000000")  # on a machine that lets its workers wait
LOST_AFTER = 1000  # requests
LONG = "3600"  # seconds that a request asks for which is not done while a test lasts
FREE = {"worker1": 5, "worker2": 5, "worker3": 5}


def free() -> dict[str, int]:
    return {name: each["free"] for name, each in stats()["backends"].items()}


def reasons() -> dict[str, int]:
    return {name: each["packets"] for name, each in stats()["reasons"].items() if each["packets"]}


def ask(count: int, sleep: str, interval: str = "0.005") -> None:
    netlab("run", "client", "--count", str(count), "--sleep", *sleep.split(), "--interval", interval)


def send(*seconds: str) -> None:
    """Send a request for each of these, as soon as the last one is sent."""
    code = "import socket, sys; own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    code += "for each in sys.argv[1:]: own.sendto(each.encode(), ('lb', 8080))"
    python("client", code, *seconds)


@contextmanager
def completing(worker: str) -> Iterator[Callable[[], None]]:
    """Yield what sends a completion from a worker's node, which that knows nothing of, and does so at once."""
    code = "import socket; own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); own.connect(('lb', 9090))\n"
    code += "print('READY', flush=True)\nwhile input(): own.send(b'')"
    sender = background(worker, [sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert sender.stdin
    assert sender.stdout

    def complete() -> None:
        assert sender.stdin
        sender.stdin.write("once\n")
        sender.stdin.flush()

    try:
        assert sender.stdout.readline() == "READY\n"
        yield complete
    finally:
        sender.communicate("\n", timeout=PATIENCE_S)


@contextmanager
def first_free(folder: Path, **define: int) -> Iterator[Threads]:
    """Build the lab whose wires lose packets, in which worker1 gets every request that it has a thread for."""
    (folder / "lossy.yml").write_text(LOSSY)
    with lab(str(folder / "lossy.yml"), *FIRST) as name:
        lb = Threads(name)
        lose(name, folder, REQUESTS=1_000_000, **define)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        yield lb


def said(line: str) -> int:
    """Return how often the trace says this."""
    return sum(line in each for each in texts("trace"))


def served(*workers: str) -> Counter[str]:
    lines = (line for worker in workers or FREE for line in texts("logs", worker))
    return Counter(found[1] for line in lines if (found := re.match(r'received #\d+ from \S+: "(.*)" ', line)))


def test_what_is_lost_on_the_way_is_found_out(tmp_path: Path) -> None:
    """One request in seven, one completion in five, one marker in three: all threads are free again at the end."""
    (tmp_path / "lossy.yml").write_text(LOSSY)
    with lab(str(tmp_path / "lossy.yml")) as name:
        lose(name, tmp_path, REQUESTS=7, COMPLETIONS=5, MARKERS=3)
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
    """One request is lost, and there is never a pause in which all that were sent have arrived."""
    (tmp_path / "lossy.yml").write_text(LOSSY)
    with lab(str(tmp_path / "lossy.yml")) as name, Threads(name).watched():
        lb = Threads(name)
        lose(name, tmp_path, REQUESTS=LOST_AFTER, COMPLETIONS=1_000_000, ONCE=1)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        with fed(name, lambda number: "0.002", in_hand(4)) as feed:
            eventually(lambda: wires(name).requests >= LOST_AFTER)
            eventually(lambda: lb.accounted()[0] == 1)
            found = wires(name).requests
            eventually(lambda: wires(name).requests > found + 100)
        eventually(lambda: lb.free() == (5, 5, 5))
        assert (lb.accounted(), stats()["received"]) == ((1, 0, 0), feed.sent)
        # two markers in a row may overtake a request on another CPU, which is then lost for a moment too
        assert lb.reasons()["REPORT_REQUEST_LOST"] == said(": a request was lost, free ") >= 1


def test_a_lost_completion_is_found(tmp_path: Path) -> None:
    """By the report that follows it, if not by the next."""
    with first_free(tmp_path, COMPLETIONS=1) as lb, lb.watched():
        send(LONG, "0.05")
        eventually(lambda: wires(LAB).lost_completions == 1)
        eventually(lambda: (lb.free(), lb.accounted()) == ((4, 5, 5), (0, 1, 0)))
        assert lb.reasons()["REPORT_COMPLETION_LOST"] == 1
        assert said("report from worker1: a completion was lost, free 4, depth 0") == 1


def test_a_completion_that_comes_twice_is_found() -> None:
    """It frees a thread that is not free, and that is taken again."""
    with lab(PARTB, *REPORTING, *NEVER_SILENT, *FIRST) as name:
        lb = Threads(name)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        send(LONG, LONG, "0.05")
        eventually(lambda: (lb.free(), lb.reasons()["COMPLETION_FREED"]) == ((3, 5, 5), 1))
        with lb.watched(), completing("worker1") as complete:
            complete()
            eventually(lambda: lb.reasons()["COMPLETION_FREED"] == 2)
            eventually(lambda: (lb.free(), lb.accounted()) == ((3, 5, 5), (0, 0, 1)))
        assert lb.reasons()["REPORT_COMPLETION_DOUBLED"] == 1
        assert said("report from worker1: a completion too many, free 3, depth 0") == 1


@pytest.mark.parametrize(
    ("busy", "free", "reasons", "line"),
    [
        (
            [LONG],
            4,
            {"COMPLETION_FREED": 2, "REPORT_COMPLETION_LATE": 1},
            "report from worker1: a completion came late after all, free 4, depth 0",
        ),
        (
            [],
            5,
            {"COMPLETION_FREED": 1, "COMPLETION_LATE": 1},
            "completion from worker1 ignored, it came late",
        ),
    ],
    ids=["others are busy", "all are free"],
)
def test_a_completion_that_its_report_has_overtaken_is_found(
    tmp_path: Path, busy: list[str], free: int, reasons: dict[str, int], line: str
) -> None:
    """The wires keep it until the report has made up for it: then it is no longer lost, and no thread is free by it."""
    with first_free(tmp_path, COMPLETIONS=2) as lb, lb.watched(), completing("worker1") as complete:
        send(*busy, "0.05")
        eventually(lambda: (lb.free(), lb.reasons()["COMPLETION_FREED"]) == ((free, 5, 5), 1))
        send("0.05")
        eventually(lambda: (lb.free(), lb.accounted()) == ((free, 5, 5), (0, 1, 0)))
        complete()
        eventually(lambda: wires(LAB).completions == 3)
        eventually(lambda: (lb.free(), lb.accounted()) == ((free, 5, 5), (0, 0, 0)))
        assert reasons.items() <= lb.reasons().items()
        assert said(line) == 1


def test_a_killed_worker_gives_back_what_it_had() -> None:
    """It gets no requests, and the others serve on; started again, it is used."""
    with lab(PARTB, *REPORTING) as name, Threads(name).watched():
        lb = Threads(name)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        send(*[LONG] * 9)
        eventually(lambda: lb.free() == (2, 2, 2))
        worker2 = pid("worker2")
        os.kill(worker2, signal.SIGKILL)
        eventually(lambda: lb.free()[1] == 0)
        assert said("silent: worker2 gets no requests, 3 were in its hands") == 1
        eventually(lambda: re.search(r"worker1 +\d +5 +1 +reporting +0 +0 +0", netlab("stats").stdout))
        shown = netlab("stats").stdout
        assert re.search(r"worker2 +0 +5 +1 +silent for \d+\.\d s +0 +0 +0", shown), shown
        ask(20, "0.1")
        eventually(lambda: not stats()["queue_depth"] and lb.free() == (2, 0, 2))
        assert sum(served("worker1", "worker3").values()) == 6 + 20

        with again("worker2"):
            eventually(lambda: lb.reasons()["REPORT_RESTARTED"] == 1)
            eventually(lambda: lb.free() == (2, 5, 2))
            assert said("report from worker2: started again, free 5, depth 0") == 1
            send(*[LONG] * 9)
            eventually(lambda: sum(served("worker1", "worker3").values()) == 6 + 20 + 4)
            eventually(lambda: lb.free() == (0, 0, 0))


def test_a_worker_may_be_killed_and_started_again_before_it_is_missed() -> None:
    """What it had in hand is nobody's, by the first report of its new life."""
    with lab(PARTB, *REPORTING, *NEVER_SILENT) as name, Threads(name).watched():
        lb = Threads(name)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        send(*[LONG] * 15)
        eventually(lambda: lb.free() == (0, 0, 0))
        os.kill(pid("worker2"), signal.SIGKILL)
        with again("worker2"):
            eventually(lambda: lb.reasons()["REPORT_RESTARTED"] == 1)
            eventually(lambda: lb.free() == (0, 5, 0))
        assert not lb.reasons()["BACKEND_SILENT"]


def test_a_frozen_worker_comes_back() -> None:
    """It is missed, and used when it is there again, but for what it has in hand."""
    with lab(PARTB, *REPORTING) as name, Threads(name).watched():
        lb = Threads(name)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        send(*[LONG] * 3)
        eventually(lambda: lb.free() == (4, 4, 4))
        with frozen(pid("worker1")):
            eventually(lambda: lb.free() == (0, 4, 4))
        eventually(lambda: lb.free() == (4, 4, 4))
        assert lb.reasons()["REPORT_RETURNED"]
        assert said("report from worker1: it is back, free 4, depth 0") == 1


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
    names = ("COMPLETION_STRANGER", "COMPLETION_WRONG_INTERFACE", "REPORT_STRANGER", "REPORT_WRONG_INTERFACE")
    with lab(PARTB, *REPORTING, *NEVER_SILENT) as name:
        lb = Threads(name)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        send(*[LONG] * 13)
        eventually(lambda: lb.free() == (0, 1, 1))
        worker = netlab("exec", "client", "getent", "ahostsv4", "worker1").stdout.split()[0]
        with lb.watched() as seen:
            python("client", forge, worker)
            eventually(lambda: [lb.reasons()[each] for each in names] == [1, 1, 1, 1])
        assert seen == {(0, 1, 1)}
        for kind in ("completion", "report"):
            assert said(f"{kind} from worker1 ignored, it came in on interface ") == 1
            assert (
                sum(bool(re.match(rf"{kind} from [0-9.]+ ignored, it is no backend", each)) for each in texts("trace"))
                == 1
            )


def test_the_balancers_role_may_die_under_traffic() -> None:
    """The program goes on without it, and it goes on with the program: no request is lost, none is served twice."""
    with lab(PARTB, *REPORTING, *NEVER_SILENT) as name, Threads(name).watched():
        lb = Threads(name)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        with ExitStack() as later:
            with fed(name, lambda number: "0.02", in_hand(20)) as feed:
                eventually(lambda: feed.sent > 20)
                os.kill(pid("lb"), signal.SIGKILL)
                alone = feed.sent
                eventually(lambda: feed.sent > alone + 60)
                said_by_it = later.enter_context(again("lb"))
                eventually(lambda: lb.reasons()["ROLE_RESUMED"])
                resumed = feed.sent
                eventually(lambda: feed.sent > resumed + 60)
            eventually(lambda: lb.free() == (5, 5, 5))
            assert sum(served().values()) == stats()["received"] == feed.sent
            assert (stats()["dropped"], stats()["queue_depth"], lb.accounted()) == (0, 0, (0, 0, 0))
        assert "the program is set up already; it keeps its settings and its state" in said_by_it
        assert lb.reasons()["ROLE_RESUMED"] == sum("resumed: " in line for line in texts("trace")) == 1


def test_a_worker_that_dies_while_the_role_is_away_is_missed_when_it_is_back() -> None:
    with lab(PARTB, *REPORTING) as name, Threads(name).watched():
        lb = Threads(name)
        eventually(lambda: lb.reasons()["REPORT_BEGUN"] == 3)
        send(*[LONG] * 3)
        eventually(lambda: lb.free() == (4, 4, 4))
        role, worker3 = pid("lb"), pid("worker3")
        os.kill(role, signal.SIGKILL)
        os.kill(worker3, signal.SIGKILL)
        with again("lb"):
            eventually(lambda: lb.reasons()["ROLE_RESUMED"])
            eventually(lambda: lb.free() == (4, 4, 0))
