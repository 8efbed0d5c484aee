"""Servers as they are in the world, behind the balancer: they ignore, die, come back, and answer at length."""

import shutil

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import ROOT, inside, lab, python, stats, texts

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
    with lab(DNS, *(word for each in options for word in ("--set", NODE + each)), name="poison"):
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
