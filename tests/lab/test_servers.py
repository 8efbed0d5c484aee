"""Servers as they are in the world, behind the balancer: they ignore, die, come back, and answer at length."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import ROOT, again, background, frozen, inside, lab, netlab, pid, pids, python, stats, texts

pytestmark = [
    pytest.mark.root,
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(not shutil.which("dnsmasq"), reason="dnsmasq is not installed (Debian: dnsmasq-base)"),
    pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed (Debian: bind9-dnsutils)"),
]

DNS = f"{ROOT}/topologies/dns.yml"
SERVERS = ("dns1", "dns2", "dns3")
NODE = "nodes.lb.args."
# Sends so many datagrams that are no questions.
JUNK = """
import socket, sys
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[1])):
    own.sendto(b"x", ("lb", 53))
"""


def dig(server: str, *question: str, tries: int = 1, within_s: int = 60) -> str:
    """Ask a server; return what dig prints."""
    asking = ("dig", "+short", f"+tries={tries}", f"+time={within_s}", f"@{server}", *question)
    return inside("client", *asking, code=None).stdout


def listening() -> None:
    """Wait until every server answers, asked directly."""
    for server in SERVERS:
        eventually(lambda server=server: dig(server, "lab.example", within_s=1) == "192.0.2.1\n")  # type: ignore[misc]


def test_what_no_server_answers_is_dropped_in_the_end() -> None:
    """Such requests are as many as there are threads; who asks behind them is answered all the same."""
    options = ("capacity=2", "timeout=0.3", "on_worker_failure=retry", "retries=2")
    with lab(DNS, *(word for each in options for word in ("--set", NODE + each))):
        listening()
        python("client", JUNK, "6")
        assert dig("lb", "lab.example") == "192.0.2.1\n"
        eventually(lambda: stats()["reasons"]["DROP_RETRIES_SPENT"]["packets"] == 6)

        now = stats()
        assert (now["held"], now["queue_depth"], now["retried"] >= 12) == (0, 0, True)
        eventually(lambda: {each["free"] for each in stats()["backends"].values()} == {2})
        given_up = [line for line in texts("trace") if line.endswith("it was sent often enough")]
        assert len(given_up) == 6
        assert dig("lb", "lab.example") == "192.0.2.1\n"


# Answers to a number with so many bytes, and to all else with how much came.
BIG = """
import socket
own = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
own.bind(("", 8080))
print("READY", flush=True)
while True:
    data, who = own.recvfrom(65535)
    own.sendto(b"y" * int(data), who)
"""
# Asks an address for so many bytes, again and again, from a new socket each time; prints what came.
SIZES = """
import socket, sys
for size in map(int, sys.argv[2:]):
    with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(30)
        own.connect((sys.argv[1], 8080))
        own.send(b"%d" % size)
        print(own.recv(65535) == b"y" * size)
"""
# Asks in fragments, and prints what the kernel says.
FRAGMENTED = """
import socket, sys
own = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
own.settimeout(30)
own.connect((sys.argv[1], 8080))
own.send(b"1".zfill(3000))
try:
    own.recv(65535)
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def big(tmp_path: Path) -> str:
    """A balancer with six threads, before two servers whose answers are as long as they are asked for."""
    (tmp_path / "big.py").write_text(BIG)
    (tmp_path / "big.yml").write_text(f"""
name: big
nodes:
  client: {{}}
  lb:
    role: balancer
    args: {{backends: big, capacity: 3, completion: reply, policy: round-robin}}
    xdp: balancer
  big: {{replicas: 2, command: ["{sys.executable}", big.py]}}
links:
  - {{endpoints: [client, lb], subnet: [10.0.0.0/24, "fd00::/64"]}}
  - {{endpoints: [big1, lb], subnet: [10.0.1.0/24, "fd00:0:0:1::/64"]}}
  - {{endpoints: [big2, lb], subnet: [10.0.2.0/24, "fd00:0:0:2::/64"]}}
""")
    return str(tmp_path / "big.yml")


@pytest.mark.parametrize("retries", [False, True], ids=["", "retry"])
def test_answers_in_fragments_reach_the_client_and_free_their_threads(big: str, retries: bool) -> None:
    """More of them than there are threads, of either family: all of each comes from the address that was asked."""
    options = ("timeout=60", "on_worker_failure=retry") if retries else ()
    sizes = ("10", "1472", *["3000"] * 8, "60000", "10")
    with lab(big, *(word for each in options for word in ("--set", NODE + each))):
        eventually(lambda: all("READY" in texts("logs", f"big{number}") for number in (1, 2)))
        for address in ("10.0.0.2", "fd00::2"):
            assert python("client", SIZES, address, *sizes).stdout.split() == ["True"] * len(sizes)

        now = stats()
        assert (now["completions"], now["held"]) == (2 * len(sizes), 0)
        assert {each["free"] for each in now["backends"].values()} == {3}
        assert now["reasons"]["REPLY_FRAGMENT"]["packets"] == 2 * (8 * 2 + 40) + 2
        assert now["carriers"]["REPLY_SENT"]["packets"] == 2 * len(sizes)


def test_a_request_in_fragments_is_told_by_name(big: str) -> None:
    """It passes, to a kernel that has nobody at that port and says so; no thread is taken."""
    with lab(big):
        for address in ("10.0.0.2", "fd00::2"):
            assert python("client", FRAGMENTED, address).stdout == "ConnectionRefusedError\n"

        now = stats()
        assert (now["received"], now["reasons"]["PASS_FRAGMENTED_REQUEST"]["packets"]) == (0, 2)
        said = [line for line in texts("trace") if line.endswith(" passed, it is in fragments")]
        assert [line.rpartition(":")[0] for line in said] == [
            "request from 10.0.0.1",
            f"request from [fd00:{'0000:' * 6}0001]",
        ]


HEALTH = (
    "health=command",
    "health_with=dig +short +time=1 +tries=1 @$ADDRESS lab.example | grep -qx 192.0.2.1",
    "health_interval=1",  # a busy machine takes a while to check
)
RATE = 200  # questions a second


def settings(*options: str) -> list[str]:
    return [word for each in options for word in ("--set", NODE + each)]


def asked(folder: Path, seconds: float, patience_s: int = 20) -> "subprocess.Popen[str]":
    """Ask so many questions a second, for so long; one that is not answered with such patience is lost."""
    questions = folder / "questions"
    questions.write_text("lab.example A\nwhoami.example TXT\n")
    load = ("-d", str(questions), "-l", str(seconds), "-Q", str(RATE), "-t", str(patience_s), "-c", "4")
    return background("client", ["dnsperf", "-s", "lb", *load])


def lost(asking: "subprocess.Popen[str]") -> int:
    """Return how many of the questions had no answer; all others had one."""
    said = asking.communicate(timeout=PATIENCE_S)[0]
    found = [re.search(rf"Queries {what}: +(\d+)", said) for what in ("sent", "completed", "lost")]
    sent, completed, missing = (int(each[1]) for each in found if each)
    assert sent == completed + missing > 0
    return missing


def all_have_answered(seen: set[str]) -> bool:
    """Ask once more who answers, and say whether each server was seen; on a slow machine one may be absent a while."""
    seen.add(dig("lb", "whoami.example", "txt").strip())
    return seen >= {f'"{server}"' for server in SERVERS}


@pytest.mark.skipif(not shutil.which("dnsperf"), reason="dnsperf is not installed")
def test_a_server_that_dies_is_out_within_a_second_and_back_when_it_is_well(tmp_path: Path) -> None:
    """Its kernel tells that nobody listens: one second of losses at the most, then none, also when it comes back."""
    options = settings("policy=round-robin", *HEALTH)
    with lab(DNS, *options, "--set", "nodes.lb.xdp.define.TRACE=0"):
        listening()
        dying = asked(tmp_path, 2, patience_s=5)  # some are lost, and are waited for in vain
        eventually(lambda: stats()["completions"] > RATE / 2)
        os.kill(pid("dns2"), signal.SIGKILL)
        assert lost(dying) <= RATE
        now = stats()
        assert (now["reasons"]["BACKEND_REFUSED"]["packets"], now["backends"]["dns2"]["free"]) == (1, 0)
        assert now["backends"]["dns2"]["absent"] == "refusing"
        eventually(lambda: [each["absent"] for each in stats()["backends"].values()] == ["", "refusing", ""])
        assert re.search(r"dns2 +0, refusing +30", netlab("stats").stdout)

        assert lost(asked(tmp_path, 2)) == 0
        returning = asked(tmp_path, 4)
        with again("dns2"):
            eventually(lambda: stats()["reasons"]["BACKEND_READMITTED"]["packets"] >= 1)
            assert lost(returning) == 0
            eventually(partial(all_have_answered, set()))
        assert any("health: dns2 is well, and gets requests again" in line for line in texts("logs", "lb"))


def test_what_a_dead_server_refuses_is_asked_of_another_at_once() -> None:
    """With retry nobody waits for the timeout."""
    options = settings("policy=first-free", "timeout=60", "on_worker_failure=retry")
    with lab(DNS, *options):
        listening()
        os.kill(pid("dns1"), signal.SIGKILL)
        eventually(lambda: not inside("dns1", "ss", "-Hlun", "sport", "=", "53").stdout)
        assert dig("lb", "whoami.example", "txt") == '"dns2"\n'

        assert (stats()["retried"], stats()["held"]) == (1, 0)
        told = [line for line in texts("trace") if line.startswith(("refused: ", "retry "))]
        assert told == ["refused: dns1 gets no requests, 1 were in its hands", "retry #1, which was at dns1, depth 1"]


def test_a_server_that_hangs_is_excluded_by_its_checks() -> None:
    """No kernel tells of it; a question that is not answered does, and one that is brings it back."""
    question = r"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03lab\x07example\x00\x00\x01\x00\x01"
    health = ("health=udp", f"health_with={question}", "health_interval=0.2", "health_fall=2")
    with lab(DNS, *settings("policy=round-robin", *health)):
        listening()
        with frozen(*pids("dns3")):
            eventually(lambda: stats()["reasons"]["BACKEND_EXCLUDED"]["packets"] == 1)
            whoami = Counter(dig("lb", "whoami.example", "txt").strip() for _ in range(6))
            assert whoami == {'"dns1"': 3, '"dns2"': 3}
        eventually(lambda: stats()["reasons"]["BACKEND_READMITTED"]["packets"] >= 1)
        assert {dig("lb", "whoami.example", "txt").strip() for _ in range(3)} == {f'"{each}"' for each in SERVERS}
        told = [line for line in texts("trace") if line.startswith(("excluded", "readmitted"))]
        assert told == ["excluded: dns3 gets no requests, 0 were in its hands", "readmitted: dns3 gets requests again"]


# Asks an address, and prints who has refused that.
ASKS = """
import socket, sys
own = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
own.settimeout(30)
own.connect((sys.argv[1], 8080))
own.send(b"10")
try:
    print(len(own.recv(100)))
except OSError as error:
    print(type(error).__name__)
"""


def test_requests_of_its_own_node_are_refused_by_name(big: str) -> None:
    """They go by the loopback, where no program is; the kernel answers that nobody listens, and the role says why."""
    with lab(big):
        for address in ("10.0.0.2", "fd00::2"):
            assert python("lb", ASKS, address).stdout == "ConnectionRefusedError\n"
            who = re.escape(f"[{address}]" if ":" in address else address)
            said = rf"refused: 1 request of this node itself, the last from {who}:\d+; the program sees .*"
            eventually(lambda said=said: any(re.fullmatch(said, line) for line in texts("logs", "lb")))  # type: ignore[misc]
        assert stats()["received"] == 0
        assert python("client", ASKS, "10.0.0.2").stdout == "10\n"


NEIGHBOURS = """
name: neighbours
nodes:
  client: {{}}
  far: {{}}
  sw: {{kind: switch}}
  lb:
    role: balancer
    args: {{backends: big, capacity: 3, completion: reply}}
    xdp: balancer
  big: {{replicas: 2, command: ["{python}", big.py]}}
links:
  - [client, sw]
  - [lb, sw]
  - [big, sw]
  - [far, lb]
"""


def test_client_and_server_in_one_network_are_refused_by_name(big: str) -> None:
    """A server would answer its neighbour past the balancer; a client that lives elsewhere is served."""
    path = Path(big).with_name("neighbours.yml")
    path.write_text(NEIGHBOURS.format(python=sys.executable))
    with lab(str(path)):
        eventually(lambda: all("READY" in texts("logs", f"big{number}") for number in (1, 2)))
        ours = re.search(r"inet (\S+)/", inside("lb", "ip", "-4", "addr", "show", "eth0").stdout)
        assert ours
        python("client", ASKS.replace("settimeout(30)", "settimeout(0.3)"), ours[1])

        now = stats()
        assert (now["received"], now["reasons"]["DROP_NEIGHBOUR"]["packets"]) == (0, 1)
        assert [line for line in texts("trace") if line.endswith(" dropped, it shares the backends' network")]
        assert python("far", ASKS, ours[1]).stdout == "10\n"
