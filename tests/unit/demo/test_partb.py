"""Part B's claims on what real plays have printed, and on the same with something changed."""

import copy
import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from netlab.demo import partb
from netlab.demo.evidence import Claim, Entry, Evidence
from netlab.demo.wordings import parse
from netlab.observe.stats import LabStats
from netlab.record import shapes
from netlab.record.model import InterfaceRecord, LabRecord, LimitsRecord, NodeRecord
from netlab.supervise.logs import LogLine

RECORDED = os.path.join(os.path.dirname(__file__), "recorded")
JUDGES = {"partb-low": partb.low, "partb-high": partb.high}

# Every claim by a name for it, with the words that tell it from the others.
CLAIMS = {
    "printed": "printed at the client",
    "traced": "every packet is in the trace",
    "free": "only to a worker that has a free thread",
    "only": "queued only when no thread is free",
    "completions": "every completion is in the trace",
    "received": "prints each packet",
    "slept": "prints the total",
    "threads": "has the threads",
    "once": "served exactly once",
    "end": "in the end",
    "counters": "counters agree",
    "lost": "no line of the logs",
    "never": "nothing is queued",
    "queued": "those that find no free thread are queued",
    "order": "in the order in which it came",
}


LATER = {"expired": 0, "retried": 0, "unheld": 0, "held": 0, "report_port": 0, "holds": False}
OF_BACKENDS = {"weight": 1, "drained": False, "reports": None, "absent": ""}


def _node(interfaces: dict[str, dict[str, list[str]]]) -> NodeRecord:
    ports = {name: InterfaceRecord(tuple(about["addresses"])) for name, about in interfaces.items()}
    return NodeRecord("node", LimitsRecord(), ports, (), ())


class Play:
    """What a play has left, to change before it is judged."""

    def __init__(self, demo: str) -> None:
        with open(f"{RECORDED}/{demo}.json", encoding="utf-8") as file:
            self.recorded = json.load(file)
        self.demo = demo
        self.stats: dict[str, Any] = copy.deepcopy(self.recorded["stats"])
        self.rows: list[str] = self.recorded["lines"]

    @property
    def now(self) -> dict[str, Any]:
        """What the balancer counts."""
        found: dict[str, Any] = self.stats["balancers"]["lb"]
        return found

    @property
    def lab(self) -> LabRecord:
        """As much of the lab's record as is needed: addresses."""
        nodes = {name: _node(about["interfaces"]) for name, about in self.recorded["lab"]["nodes"].items()}
        return LabRecord("demo", "", "netns", "/run/netlab/demo", nodes)

    def find(self, pattern: str) -> int:
        """Return the place of the first line with this in it."""
        return next(at for at, row in enumerate(self.rows) if re.search(pattern, row))

    def remove(self, pattern: str) -> None:
        del self.rows[self.find(pattern)]

    def double(self, pattern: str) -> None:
        at = self.find(pattern)
        self.rows.insert(at, self.rows[at])

    def change(self, pattern: str, text: str) -> None:
        at = self.find(pattern)
        self.rows[at] = re.sub(pattern, text, self.rows[at])

    def swap(self, one: str, other: str) -> None:
        """Exchange what two lines say; each keeps the other's time."""
        first, second = (self.find(pattern) for pattern in (one, other))
        (ns, *said), (other_ns, *other_said) = (self.rows[at].split(" ", 1) for at in (first, second))
        self.rows[first], self.rows[second] = " ".join([ns, *other_said]), " ".join([other_ns, *said])

    def late(self, pattern: str, after: str) -> None:
        """Let a line be printed right after another one."""
        row = self.rows.pop(self.find(pattern)).split(" ", 1)[1]
        at = self.find(after)
        self.rows.insert(at + 1, f"{int(self.rows[at].split(' ', 1)[0]) + 1} {row}")

    def exchange(self, one: str, other: str) -> None:
        """Exchange some words of two lines."""
        first, second = self.find(one), self.find(other)
        self.rows[first] = self.rows[first].replace(one, other)
        self.rows[second] = self.rows[second].replace(other, one)

    def claims(self) -> list[Claim]:
        timeline = []
        for row in self.rows:
            ns, node, stream, text = row.split(" ", 3)
            line = LogLine(int(ns), node, stream, text)
            timeline.append(Entry(line, parse(line)))
        return JUDGES[self.demo](Evidence(timeline, self.lab, self._counted(), {}, {}, {}))

    def _counted(self) -> LabStats:
        """Return what was counted; what plays were not asked for when they were recorded is as at the start."""
        balancers = {
            name: {**LATER, **now, "backends": {each: {**OF_BACKENDS, **one} for each, one in now["backends"].items()}}
            for name, now in self.stats["balancers"].items()
        }
        about = {"lab": "demo", "programs": {}, "udp_rcvbuf_errors": {}, "problems": {}, "xdp_losses": [], "links": []}
        return shapes.read(LabStats, {**about, "balancers": balancers})

    def failed(self) -> set[str]:
        """Return the names of the claims that do not hold."""
        return {name_of(claim) for claim in self.claims() if not claim.holds}


def name_of(claim: Claim) -> str:
    [name] = [name for name, words in CLAIMS.items() if words in claim.text]
    return name


Doctor = Callable[[Play], object]


def one_thread_less(play: Play) -> None:
    """Let worker1's second request wait for the thread that has the first."""
    thread = re.search(r"worker1 out received #1 .*, thread (\d)", "\n".join(play.rows))
    assert thread
    play.change("(worker1 out received #2.*), thread .", rf"\1, thread {thread[1]}")
    play.late("worker1 out received #2 ", f"worker1 out finished #1: thread {thread[1]} ")


# What is changed, and the claims that fail of it.
LOW: dict[str, tuple[Doctor, str]] = {
    "a request is not printed": (lambda play: play.remove("client out request #7 "), "printed traced once received"),
    "a request is printed twice": (lambda play: play.double("client out request #7 "), "printed traced once received"),
    "a request has another number": (lambda play: play.change("out request #7 ", "out request #70 "), "printed"),
    "a request has no time": (
        lambda play: play.change('(request #7 .*: )"[^"]*"', r'\1"soon"'),
        "printed once received",
    ),
    "the client has sent more": (lambda play: play.change("sent 15 requests", "sent 16 requests"), "printed"),
    "a packet is not received": (lambda play: play.remove("lb trace request #7 "), "traced counters received"),
    "a packet has no destination": (
        lambda play: play.remove("forward #7 "),
        "traced free completions received counters",
    ),
    "a packet leaves twice": (lambda play: play.double("forward #7 "), "traced free received counters"),
    "a packet is dropped": (
        lambda play: play.change("forward #7 .*", "drop #7, the queue is full"),
        "traced free completions received counters",
    ),
    "a packet finds other threads free": (
        lambda play: play.change(r"(forward #7 .*), free \d", r"\1, free 2"),
        "free completions",
    ),
    "a packet is queued": (
        lambda play: play.change("forward #7 .*", "queue #7, depth 1"),
        "free only completions received counters never",
    ),
    "a completion is not traced": (lambda play: play.remove("lb trace completion "), "free completions counters"),
    "a completion is traced twice": (lambda play: play.double("lb trace completion "), "free completions counters"),
    "a worker gets nothing": (lambda play: play.remove("worker1 out received #3"), "received slept once"),
    "a worker gets a packet twice": (lambda play: play.double("worker1 out received #3"), "received once threads"),
    "a worker gets other data": (lambda play: play.change('(received #3 .*: )"[^"]*"', r'\1"9.9"'), "once received"),
    "a worker gets another one's packet": (
        lambda play: play.change("worker1 out (received #5)", r"worker2 out \1"),
        "received slept threads",
    ),
    "a worker does not finish": (lambda play: play.remove("worker1 out finished #3"), "completions slept once"),
    "a worker sums up wrongly": (
        lambda play: play.change("(worker1 out finished #3.*threads )[0-9.]+", r"\g<1>7"),
        "slept",
    ),
    "a worker sleeps for another time": (
        lambda play: play.change("(worker1 out finished #3.*) slept [0-9.]+", r"\1 slept 7"),
        "slept",
    ),
    "a worker has a thread more": (
        lambda play: play.change("(worker1 out received #3.*), thread 3", r"\1, thread 6"),
        "threads",
    ),
    "a thread is not free in the end": (lambda play: play.now["backends"]["worker2"].update(free=4), "end"),
    "a request waits in the end": (lambda play: play.now.update(queue_depth=1), "end"),
    "a counter is too low": (lambda play: play.now.update(received=14), "counters"),
    "a reason is too high": (lambda play: play.now["reasons"]["FORWARDED"].update(packets=16), "counters"),
    "a line of the trace is lost": (
        lambda play: play.change("lb trace request #7 .*", "lb lost 1 lines lost, 1 in all: they came too fast"),
        "traced counters lost received",
    ),
}
HIGH: dict[str, tuple[Doctor, str]] = {
    "two CPUs print in another order": (
        lambda play: play.swap("completion from .*, depth 17", "dequeue .*, depth 16"),
        "",
    ),
    "a packet is not queued": (lambda play: play.remove("queue #20"), "traced counters order"),
    "a packet is queued twice": (lambda play: play.double("lb trace queue #20"), "traced counters order"),
    "the queue has another depth": (lambda play: play.change("(queue #20), depth 5", r"\1, depth 6"), "order"),
    "a packet overtakes": (
        lambda play: play.change("queue #20, .*", "forward #20 to worker1, free 0"),
        "free received counters order",
    ),
    "a queued packet does not leave": (
        lambda play: play.remove("dequeue #20"),
        "free completions received counters order",
    ),
    "a queued packet leaves twice": (lambda play: play.double("dequeue #20"), "free received counters order"),
    "two queued packets change places": (lambda play: play.exchange("dequeue #20 ", "dequeue #21 "), "order"),
    "a queued packet goes to a busy worker": (
        lambda play: play.change("dequeue #16 to worker.", "dequeue #16 to worker3"),
        "free completions received",
    ),
    "a completion tells another depth": (
        lambda play: play.change("(completion from .*), depth 17", r"\1, depth 18"),
        "completions order",
    ),
    "a completion is ignored": (
        lambda play: play.change("from (worker.), free 1, depth 17", r"from \1 ignored, all its threads are free"),
        "free completions counters",
    ),
    "a thread serves two at a time": (
        lambda play: play.change("(worker1 out received #3.*), thread 3", r"\1, thread 2"),
        "threads",
    ),
    "a worker has a thread less": (one_thread_less, "slept threads"),
    "a request is served by nobody": (lambda play: play.remove("worker2 out received #7"), "received slept once"),
    "a counter of the queue is too low": (lambda play: play.now.update(queued=16), "counters"),
    "a carrier is not counted": (lambda play: play.now["carriers"]["CARRIER_SENT"].update(packets=16), "counters"),
}


@pytest.mark.parametrize("demo", JUDGES)
def test_all_claims_hold_of_a_real_play(demo: str) -> None:
    assert Play(demo).failed() == set()


@pytest.mark.parametrize(
    ("demo", "name"), [*(("partb-low", name) for name in LOW), *(("partb-high", name) for name in HIGH)]
)
def test_what_is_wrong_fails_its_claims_and_no_others(demo: str, name: str) -> None:
    doctor, failing = {**LOW, **HIGH}[name]
    play = Play(demo)
    doctor(play)

    assert play.failed() == set(failing.split())


@pytest.mark.parametrize("demo", JUDGES)
def test_a_client_that_speaks_ipv6_is_known_by_its_address(demo: str) -> None:
    """The kernel prints all zeros of it, everybody else none that can be left out."""
    play = Play(demo)
    play.recorded["lab"]["nodes"]["client"]["interfaces"]["eth0"]["addresses"].append("fd00::1/64")
    play.rows = [row.replace("10.0.0.1:", "[fd00:0000:0000:0000:0000:0000:0000:0001]:") for row in play.rows]

    assert play.find("lb trace request #1 from .fd00:0000:")
    assert play.failed() == set()


def test_a_client_of_no_address_is_nobody() -> None:
    play = Play("partb-low")
    play.rows = [row.replace("10.0.0.1:", "[fd00::zz]:") for row in play.rows]

    assert play.failed() == {"received"}


@pytest.mark.parametrize("demo", JUDGES)
def test_of_a_play_in_which_nothing_happened_no_claim_holds(demo: str) -> None:
    """Nothing lost, all threads free and no request refused is no merit of what did not run."""
    play = Play(demo)
    play.rows = []

    assert [claim.text for claim in play.claims() if claim.holds] == []


def test_low_sleep_times_are_no_proof_of_the_queue() -> None:
    """And the other way round: each play is judged by what it is to show."""
    low, high = Play("partb-low"), Play("partb-high")
    low.demo, high.demo = high.demo, low.demo

    assert (low.failed(), high.failed()) == ({"queued", "order"}, {"never"})
