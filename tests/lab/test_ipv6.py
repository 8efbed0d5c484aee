"""The balancer and IPv6 in real namespaces: part B, reports and name servers, asked at the balancer's IPv6 address."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from netlab.demo.events import Request
from netlab.demo.wordings import parse
from netlab.supervise.logs import LogLine
from netlab.testing.waiting import eventually
from tests.lab.lab import PARTB, ROOT, background, inside, lab, netlab, python, stats, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

CLIENT, LB = "fd00::1", "fd00::2"  # on the first link, as every run has it
OVER_IPV6 = (
    "--set", f"nodes.client.args.target='[{LB}]:8080'", "--set", f"nodes.worker.args.balancer='[{LB}]:9090'",
)  # fmt: skip
REPORTING = ("--set", "nodes.lb.args.report_port=9091", "--set", f"nodes.worker.args.report='[{LB}]:9091'")

BARE = """
name: bare
nodes:
  client: {}
  lb: {role: balancer, args: {backends: [one, two, three], capacity: 2}, xdp: {program: balancer, define: {TRACE: 0}}}
  one: {}
  two: {}
  three: {}
links: [[client, lb], [one, lb], [two, lb], [three, lb]]
"""
BACK_TO = {"one": "10.0.0.2", "two": LB, "three": LB}  # where completions go
# Takes requests of both families, one after the other, and answers each with an empty completion to ADDRESS.
SINK = """
import os, socket, sys, threading, time
to = socket.getaddrinfo(sys.argv[1], 9090, type=socket.SOCK_DGRAM)[0]
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("", 8080))
back = socket.socket(to[0], socket.SOCK_DGRAM)
print("READY", flush=True)
def thread():
    while True:
        data, sender = server.recvfrom(4096)
        family = "IPv4" if sender[0].startswith("::ffff:") else "IPv6"
        os.write(1, f"{family} {data.hex()}\\n".encode())  # at once: another thread writes too
        time.sleep(0.05)
        back.sendto(b"", to[4])
for _ in range(2):
    threading.Thread(target=thread, daemon=True).start()
threading.Event().wait()
"""
SEND = """
import socket, sys
ways = {
    "IPv4": (socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "10.0.0.2"),
    "IPv6": (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), "fd00::2"),
}
for line in sys.stdin:
    family, data = line.split()
    sender, lb = ways[family]
    sender.sendto(bytes.fromhex(data), (lb, 8080))
"""
ERRORS = """
four = open("/proc/net/snmp").read().split("Udp:")
four, six = dict(zip(four[1].split(), four[2].split())), dict(line.split() for line in open("/proc/net/snmp6"))
print(four["InErrors"], four["InCsumErrors"], six["Udp6InErrors"], six["Udp6InCsumErrors"])
"""


def test_all_claims_of_part_b_hold_over_ipv6() -> None:
    """Requests and completions over IPv6: the demo reads them as it does IPv4, and finds every request again."""
    played = json.loads(netlab("demo", "partb-high", *OVER_IPV6, "--format", "json").stdout)

    assert [] == [claim for claim in played["claims"] if claim["holds"] is False]
    said = "".join(line["text"] for line in played["timeline"])
    assert f"to [{LB}]:8080" in said
    assert f"from [{CLIENT}]:" in said


def test_reports_over_ipv6_and_completions_over_ipv4_are_of_one_worker() -> None:
    """No report is a stranger's, and the trace tells a client of IPv6 so that the demo reads it."""
    with lab(PARTB, *OVER_IPV6[:2], *REPORTING, "--set", "nodes.client.autostart=false"):
        netlab("run", "client", "--count", "20", "--sleep", "0.05", "--interval", "0.001")
        eventually(lambda: stats()["completions"] == 20)
        eventually(lambda: stats()["reasons"]["REPORT_AGREED"]["packets"] > 3)
        found = stats()
        requests = [parse(LogLine(0, "lb", "trace", text)) for text in texts("trace") if text.startswith("request #")]

    packets = {name: each["packets"] for name, each in found["reasons"].items()}
    assert (packets["REPORT_STRANGER"], packets["COMPLETION_STRANGER"], packets["PASS_MARTIAN"]) == (0, 0, 0)
    assert packets["REPORT_BEGUN"] == 3
    assert {name: each["free"] for name, each in found["backends"].items()} == {f"worker{n}": 5 for n in (1, 2, 3)}
    clients = {each.client.rpartition(":")[0] for each in requests if isinstance(each, Request)}
    assert (len(requests), clients) == (20, {"[fd00:0000:0000:0000:0000:0000:0000:0001]"})


def test_requests_of_both_families_wait_in_one_queue_and_arrive_whole(tmp_path: Path) -> None:
    """1 to 1,452 bytes, odd and even, on empty completions of either family: byte for byte, checksums right."""
    (tmp_path / "bare.yml").write_text(BARE)
    sizes = [1, 2, 3, 17, 512, 1001, 1399, 1451, 1452] * 4
    sent = [f"{'IPv6' if n % 2 else 'IPv4'} {(bytes([n + 1]) * size).hex()}" for n, size in enumerate(sizes)]
    with lab(str(tmp_path / "bare.yml")):
        sinks = [background(node, ["python3", "-c", SINK, back]) for node, back in BACK_TO.items()]
        try:
            for sink in sinks:
                assert sink.stdout
                assert sink.stdout.readline() == "READY\n"
            python("client", SEND, input="\n".join(sent), stdin=None)
            eventually(lambda: stats()["completions"] == len(sent))
            errors = [python(node, ERRORS).stdout.strip() for node in BACK_TO]
            end = stats()
        finally:
            for sink in sinks:
                sink.terminate()
        got = [line for sink in sinks for line in sink.communicate()[0].splitlines()]

    assert sorted(got) == sorted(sent)
    assert errors == ["0 0 0 0"] * 3
    assert (end["forwarded"] + end["queued"], end["dequeued"], end["queue_depth"]) == (36, end["queued"], 0)
    assert end["queued"] > 20


@pytest.mark.skipif(not shutil.which("dnsmasq"), reason="dnsmasq is not installed (Debian: dnsmasq-base)")
@pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed (Debian: bind9-dnsutils)")
def test_name_servers_are_asked_by_either_family() -> None:
    """dig takes no answer from another address; each server gets its turn, and each thread is free again."""
    servers = ("dns1", "dns2", "dns3")

    def dig(server: str, *question: str) -> str:
        return inside("client", "dig", "+short", "+tries=1", "+time=60", f"@{server}", *question, code=None).stdout

    def all_answer() -> bool:
        return all(dig(server, "lab.example") == "192.0.2.1\n" for server in servers)

    with lab(f"{ROOT}/topologies/dns.yml"):
        eventually(all_answer)
        answers = Counter(dig((LB, "10.0.0.2")[turn % 2], "whoami.example", "txt").strip() for turn in range(12))
        found = stats()

    assert answers == {f'"{server}"': 4 for server in servers}
    assert found["completions"] == found["received"] == found["forwarded"] == 12
    assert found["carriers"]["REPLY_SENT"]["packets"] == 12
    assert {each["free"] for each in found["backends"].values()} == {30}


def test_addresses_outlive_a_link_that_was_down(tmp_path: Path) -> None:
    """Of either family, and with them the connected routes: the lab is as planned again."""
    (tmp_path / "flap.yml").write_text("{name: flap, nodes: {h1: , r1: , h2: }, links: [[h1, r1], [r1, h2]]}")
    with lab(str(tmp_path / "flap.yml")):
        for state in ("down", "up"):
            inside("r1", "ip", "link", "set", "eth0", state)
        inside("h1", "ping", "-6", "-c1", "-W5", "fd00:0:0:1::2")

        assert " is up, from" in netlab("status").stdout
