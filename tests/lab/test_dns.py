"""Ordinary UDP servers behind the balancer: name servers that know nothing of it, asked by ordinary clients."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import ROOT, background, frozen, inside, lab, netlab, pids, stats, texts

pytestmark = [
    pytest.mark.root,
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(not shutil.which("dnsmasq"), reason="dnsmasq is not installed (Debian: dnsmasq-base)"),
    pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed (Debian: bind9-dnsutils)"),
]

DNS = f"{ROOT}/topologies/dns.yml"
SERVERS = ("dns1", "dns2", "dns3")
NODE = "nodes.lb.args."
# Asks for the address of lab.example six times at once, when told to, and prints how many right answers have come.
SIX = r"""
import socket, struct, sys
sys.stdin.readline()
name = b"\x03lab\x07example\0"
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(6)]
for number, each in enumerate(sockets):
    each.connect(("lb", 53))
    each.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1))
answers = [each.recv(2048) for each in sockets]
print(sum(each[:2] == struct.pack("!H", at) and bytes([192, 0, 2, 1]) in each for at, each in enumerate(answers)))
"""


def listening() -> None:
    """Wait until every server answers, asked directly."""
    for server in SERVERS:
        eventually(partial(_answers, server))


def _answers(server: str) -> bool:
    return dig(server, "lab.example").startswith("192.0.2.1")


def dig(server: str, *question: str) -> str:
    """Ask once; what dig prints when it gets no answer, or one from elsewhere, has another form."""
    return inside("client", "dig", "+short", "+tries=1", "+time=60", f"@{server}", *question, code=None).stdout


def gained(before: dict[str, dict[str, int]], name: str) -> int:
    return int(stats()["reasons"][name]["packets"]) - before[name]["packets"]


def sent() -> dict[str, int]:
    """Return how many packets each server has sent."""
    counter = "/sys/class/net/eth0/statistics/tx_packets"
    return {server: int(inside(server, "cat", counter).stdout) for server in SERVERS}


def test_answers_come_from_the_address_that_was_asked() -> None:
    """dig takes no answer from another one; each server gets its turn, and each thread is free again."""
    with lab(DNS):
        listening()
        answers = Counter(dig("lb", "whoami.example", "txt").strip() for _ in range(9))

        assert answers == {f'"{server}"': 3 for server in SERVERS}
        assert [line for line in texts("trace") if line.startswith("completion from")][-1].endswith("free 30, depth 0")
        found = stats()
        assert found["completions"] == found["received"] == found["forwarded"] == 9
        assert {name: each["free"] for name, each in found["backends"].items()} == dict.fromkeys(SERVERS, 30)


def test_what_goes_past_the_balancer_is_untouched() -> None:
    """A client that asks a server directly gets its answer from there, and no thread is taken or freed."""
    with lab(DNS):
        listening()
        dig("lb", "lab.example")
        before = stats()
        for server in SERVERS:
            assert dig(server, "whoami.example", "txt").strip() == f'"{server}"'
        after = stats()

        more = {name: each["packets"] - before["reasons"][name]["packets"] for name, each in after["reasons"].items()}
        assert more["PASS_NOT_LOCAL"] >= 6  # and what IPv6 tells its neighbours now and then
        assert more["REPLIED"] == more["REPLY_FREED"] == more["REPLY_CARRIED"] == 0
        assert after["received"] == before["received"]
        assert after["completions"] == before["completions"]


def test_a_reload_between_two_questions() -> None:
    """The new build answers, and counts on from where the old one was."""
    with lab(DNS):
        listening()
        before = dig("lb", "lab.example"), stats()
        said = netlab("reload", "lb", "--define", "TRACE=0").stderr
        after = dig("lb", "lab.example"), stats()

    assert "lb: balancer renewed on " in said
    assert (before[0], after[0]) == ("192.0.2.1\n", "192.0.2.1\n")
    assert [stats["completions"] for _, stats in (before, after)] == [1, 2]
    assert sum(each["packets"] for each in after[1]["reasons"].values()) > sum(
        each["packets"] for each in before[1]["reasons"].values()
    )


def perf(folder: Path, count: int, *options: str) -> None:
    """Ask so many questions, and check that all are answered."""
    questions = folder / "questions"
    questions.write_text("lab.example A\nwhoami.example TXT\n")
    rounds = ("-d", str(questions), "-n", str(count // 2))
    said = inside("client", "dnsperf", "-s", "lb", *rounds, "-c", "10", *options).stdout
    found = [re.search(rf"Queries {what}: +(\d+)", said) for what in ("sent", "lost")]
    assert [each and int(each[1]) for each in found] == [count, 0]


@pytest.mark.skipif(not shutil.which("dnsperf"), reason="dnsperf is not installed")
@pytest.mark.parametrize("capacity", [1, 30])
def test_no_query_is_lost(capacity: int, tmp_path: Path) -> None:
    """Under full load: every query is answered, those that had to wait too."""
    with lab(DNS, "--set", f"{NODE}capacity={capacity}", "--set", "nodes.lb.xdp.define.TRACE=0"):
        listening()
        perf(tmp_path, 20000, "-q", "80")

        found = stats()
        assert found["received"] == found["completions"] == 20000
        assert found["dequeued"] == found["queued"]
        assert found["queued"] > 0 or capacity > 1
        assert {each["free"] for each in found["backends"].values()} == {capacity}
        assert found["carriers"]["REPLY_SENT"]["packets"] == 20000
        assert found["carriers"]["CARRIER_NOT_FILLED"]["packets"] == 0


@pytest.mark.skipif(not shutil.which("dnsperf"), reason="dnsperf is not installed")
@pytest.mark.parametrize(("policy", "load"), [("most-free", ("-q", "1")), ("round-robin", ("-q", "30"))])
def test_queries_are_spread_evenly(policy: str, load: tuple[str, str], tmp_path: Path) -> None:
    """By most-free as long as each server keeps up; by turns in any case, while each has a free thread."""
    options = ("--set", f"{NODE}policy={policy}", "--set", "nodes.lb.xdp.define.TRACE=0")
    with lab(DNS, *options):
        listening()
        before = sent()
        perf(tmp_path, 900, *load)
        answers = {server: now - before[server] for server, now in sent().items()}

        assert sum(answers.values()) == pytest.approx(900, abs=50)  # beside them ARP and the like
        assert min(answers.values()) >= 0.9 * max(answers.values())


def test_a_thread_whose_reply_never_comes_is_free_again() -> None:
    """After the timeout; those that wait are then sent on, although no packet has come to carry them."""
    options = ("--set", f"{NODE}capacity=1", "--set", f"{NODE}timeout=0.7")
    with lab(DNS, *options):
        listening()
        asking = background("client", [sys.executable, "-c", SIX], stdin=subprocess.PIPE)
        with frozen(*pids(*SERVERS)):
            assert asking.stdin
            asking.stdin.write("now\n")
            asking.stdin.flush()
            eventually(lambda: stats()["queued"] == 3)
            eventually(lambda: stats()["expired"] >= 3)
            eventually(lambda: stats()["queue_depth"] == 0)
            assert stats()["reasons"]["KICKED"]["packets"] >= 3

        assert asking.communicate(timeout=PATIENCE_S)[0] == "6\n"
        eventually(lambda: {each["free"] for each in stats()["backends"].values()} == {1})
        assert any("threads are free again" in line for line in texts("logs", "lb"))
