"""The labs of topologies/labs, with daemons from Debian: each converges, and survives its cut.

Each has a story. They are told beside each other, because most of the time they wait for timers of protocols.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from netlab.testing import labs, leaks
from netlab.testing.waiting import IS_SLOW, PATIENCE_S
from tests.lab.lab import ROOT

pytestmark = [pytest.mark.root]

BESIDE = 1 if IS_SLOW else 6  # stories at a time; on an emulated processor timers would run out
REROUTE_S = PATIENCE_S if IS_SLOW else 60.0  # more than any timer here, on a machine that many share
VXLAN = ("ip", "link", "add", "probe", "type", "vxlan", "id", "1", "dstport", "4789")
NAT = ("nft", "add table ip t; add chain ip t c {type nat hook postrouting priority 100;}; add rule ip t c masquerade")
KEEPS_ASKING = """
import http.client, sys
kept = http.client.HTTPConnection("203.0.113.80", timeout=60)
for _ in range(2):
    kept.request("GET", "/")
    print(kept.getresponse().read().decode().strip(), kept.sock.getsockname()[1], flush=True)
    sys.stdin.readline()
"""


class Standing:
    """A lab that is up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def netlab(self, verb: str, *words: str, **keywords: Any) -> str:
        """Run a netlab command on this lab and return what it says."""
        return labs.netlab(verb, "--lab", self.name, *words, cwd=ROOT, **keywords).stdout

    def inside(self, node: str, *command: str, **keywords: Any) -> str:
        """Run a command in a node and return what it says."""
        return self.netlab("exec", node, *command, **keywords)

    def until(self, node: str, condition: str) -> None:
        """Wait in a node until a shell's condition holds."""
        loop = f"until {condition}; do sleep 0.1; done >/dev/null 2>&1"
        command = ("timeout", f"{REROUTE_S:g}", "sh", "-c", loop)
        done = labs.netlab("exec", "--lab", self.name, node, *command, cwd=ROOT, code=None, timeout=REROUTE_S + 60)
        assert done.returncode == 0, f"{self.name}: not within {REROUTE_S:g} s in {node}: {condition}\n{done.stderr}"

    def until_reached(self, node: str, address: str, ttl: int) -> None:
        """Wait until a node gets an echo from an address, whose time to live tells how many routers were on its way."""
        self.until(node, f"ping -c 1 -W 1 {address} | grep -q ttl={ttl}")

    @contextmanager
    def cut(self, node: str, interface: str) -> Iterator[None]:
        """Take a link down meanwhile; `status` tells it."""
        self.inside(node, "ip", "link", "set", interface, "down")
        assert f"{node} {interface}: the link is down" in self.netlab("status", code=1)
        yield
        self.inside(node, "ip", "link", "set", interface, "up")


def ospf_triangle(lab: Standing) -> None:
    """The shortest way, the other one, and the shortest one again; for both families."""
    three = ("10.3.0.1", "fd00:3::1")
    for address in three:
        lab.until_reached("h1", address, 62)
    lab.until("r1", "[ $(vtysh -c 'show ip ospf neighbor' | grep -c Full/) = 2 ]")

    with lab.cut("r1", "to-r3"):
        for address in three:
            lab.until_reached("h1", address, 61)

    for address in three:
        lab.until_reached("h1", address, 62)


def ospf_square(lab: Standing) -> None:
    """Costs choose r2; when it is silent, r3; the routers' ends of the cut have a carrier all the time."""
    lab.until("r1", "ip route get 10.4.0.1 | grep -q 'via 10.0.12.2 '")
    lab.until_reached("h1", "10.4.0.1", 61)

    lab.inside("sw", "bridge", "link", "set", "dev", "eth1", "state", "0")
    lab.until("r1", "ip route get 10.4.0.1 | grep -q 'via 10.0.13.2 '")
    lab.until_reached("h1", "10.4.0.1", 61)

    assert all(
        "LOWER_UP" in lab.inside(node, "ip", "link", "show", port) for node, port in (("r1", "to-r2"), ("r2", "to-r1"))
    )

    lab.inside("sw", "bridge", "link", "set", "dev", "eth1", "state", "3")
    lab.until("r1", "ip route get 10.4.0.1 | grep -q 'via 10.0.12.2 '")


def bgp(lab: Standing) -> None:
    """The shortest path of ASes, and the longer one; a default route that a neighbour tells is not taken."""
    best = "vtysh -c 'show bgp ipv4 unicast 10.3.0.0/24 bestpath json' | grep -q '\"string\":\"{}\"'"
    lab.until("r1", best.format("65003"))
    lab.until_reached("h1", "10.3.0.1", 62)
    tell = ("configure terminal", "router bgp 65003", "address-family ipv4", "neighbor 10.0.13.1 default-originate")
    lab.inside("r3", "vtysh", *(word for line in tell for word in ("-c", line)))
    lab.until("r3", "vtysh -c 'show bgp ipv4 unicast neighbors 10.0.13.1 advertised-routes' | grep -q 0.0.0.0/0")

    with lab.cut("r1", "to-r3"):
        lab.until("r1", best.format("65002 65003"))
        lab.until_reached("h1", "10.3.0.1", 61)

    lab.until_reached("h1", "10.3.0.1", 62)
    assert "" == lab.inside("r1", "ip", "route", "show", "default")


def rip(lab: Standing) -> None:
    """One router more is one hop more: through r4 alone, or through all four."""
    lab.until_reached("h1", "10.4.0.1", 62)

    with lab.cut("r1", "to-r4"):
        lab.until_reached("h1", "10.4.0.1", 60)

    lab.until_reached("h1", "10.4.0.1", 62)


def dns_tree(lab: Standing) -> None:
    """From the root down; by the second server when the first is gone; and by heart when both are."""

    def asks(name: str, kind: str, what: str) -> None:
        lab.until("client", f"dig +tries=1 +time=5 {name} {kind} | grep -q '{what}'")

    asks("www.shop.test", "a", "10.53.0.80")
    traced = lab.inside("client", "dig", "+trace", "+nodnssec", "www.shop.test")
    assert ["53", "1", "2"] == re.findall(r"from 10\.53\.0\.(\d+)#", traced)[:3]
    lab.until("client", "dig +short +tries=1 +time=5 @ns2 www.shop.test | grep -q 10.53.0.80")

    lab.netlab("stop", "ns1")
    asks("one.any.shop.test", "txt", "out of shop.test")

    lab.netlab("stop", "ns2")
    asks("two.any.shop.test", "txt", "SERVFAIL")
    assert "10.53.0.80\n" == lab.inside("client", "dig", "+short", "www.shop.test")

    lab.netlab("start", "ns1")
    asks("three.any.shop.test", "txt", "out of shop.test")


def vrrp(lab: Standing) -> None:
    """Both addresses move together: at a cut, when the master is stopped, and back."""

    def is_master(gateway: str) -> None:
        both = ("10.0.1.254", "10.0.2.254")
        lab.until(gateway, " && ".join(f"ip -br address | grep -q {address}/" for address in both))
        lab.until_reached("client", "server", 63)
        other = {"gw1": "gw2", "gw2": "gw1"}[gateway]
        lab.until(other, "! ip -br address | grep -q '\\.254/'")

    is_master("gw1")
    with lab.cut("gw1", "eth0"):
        is_master("gw2")
    is_master("gw1")
    lab.netlab("stop", "gw1")
    is_master("gw2")
    lab.netlab("start", "gw1")
    is_master("gw1")


def nat(lab: Standing) -> None:
    """Outside only the router is seen; a connection survives new rules and a cut; nobody gets in, but by one port."""
    words = [sys.executable, "-m", "netlab", "exec", "--lab", lab.name, "pc2", sys.executable, "-c", KEEPS_ASKING]
    with subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as asking:
        assert asking.stdin
        assert asking.stdout
        first = asking.stdout.readline()
        assert first.startswith("hello, 203.0.113.1 ")
        with lab.cut("router", "wan"):
            lab.inside("router", "nft", "-f", "/etc/nftables.conf")
        asking.stdin.write("\n")
        asking.stdin.flush()
        assert first == asking.stdout.readline()
        asking.communicate("\n", timeout=PATIENCE_S)

    assert "hello, 203.0.113.1\n" == lab.inside("pc1", "curl", "-s", "http://203.0.113.80/")
    assert "hello, 203.0.113.80\n" == lab.inside("server", "curl", "-s", "http://203.0.113.1:8080/")
    lab.inside("server", "ip", "route", "add", "192.168.1.0/24", "via", "203.0.113.1")
    lab.inside("server", "ping", "-c", "1", "-W", "1", "192.168.1.11", code=1)
    assert re.search(r"counter packets 1 bytes \d+ comment \"all else", lab.inside("router", "nft", "list", "ruleset"))


def web_balancer(lab: Standing) -> None:
    """Each server has its turn; while one is gone, no request fails; it is asked again when it is back."""
    ask = "for i in 1 2 3 4 5 6 7 8 9; do curl -sf http://lb/ || exit; done"
    lab.until("client", f"[ $({{ {ask}; }} | sort -u | wc -l) = 3 ]")

    lab.netlab("stop", "web2")
    answers = lab.inside("client", "sh", "-c", ask).splitlines()
    assert (9, False) == (len(answers), "this is web2" in answers)

    lab.netlab("start", "web2")
    lab.until("client", "curl -sf http://lb/ | grep -q web2")


def evpn(lab: Standing) -> None:
    """Two hosts on one segment, with whole frames; each leaf knows the other's MAC by BGP; a spine is enough."""
    lab.until("h1", "ping -c 1 -W 1 -M do -s 1472 10.10.0.2 | grep -q ttl=64")
    lab.until("leaf1", "vtysh -c 'show evpn mac vni 10' | grep -q 'remote *10.255.0.2'")
    lab.until("leaf1", "ip route show 10.255.0.2 | grep -q spine1 && ip route show 10.255.0.2 | grep -q spine2")

    with lab.cut("leaf1", "to-spine1"):
        lab.until("leaf1", "! ip route show 10.255.0.2 | grep -q spine1")
        lab.until_reached("h1", "10.10.0.2", 64)

    lab.until("leaf1", "ip route show 10.255.0.2 | grep -q spine1")


def xdp_bridge(lab: Standing) -> None:
    """It learns who is where; a host that is unplugged and another one that takes its MAC are found again."""

    def learnt() -> dict[str, Any]:
        found = json.loads(lab.netlab("maps", "bridge", "learnt", "--json"))
        return {entry["key"]["mac"]: entry["value"] for entry in found["entries"]}

    lab.until_reached("h1", "h2", 64)
    lab.until_reached("h1", "fd00::3", 64)
    mac = {node: lab.inside(node, "cat", "/sys/class/net/eth0/address").strip() for node in ("h1", "h2", "h3")}
    assert set(mac.values()) == set(learnt())

    with lab.cut("h2", "eth0"):
        for change in (f"link set eth0 address {mac['h2']}", "addr add 10.0.0.2/24 dev eth0"):
            lab.inside("h3", "ip", *change.split())
        lab.inside("h3", "ping", "-c", "1", "-I", "10.0.0.2", "10.0.0.1")
        lab.until_reached("h1", "10.0.0.2", 64)
        assert 1 == learnt()[mac["h2"]]["moves"]


# Each story, what it needs beside netlab: programs with their Debian package, and commands that the kernel must take
FRR = {"/usr/lib/frr/zebra": "frr"}
STORIES: dict[Callable[[Standing], None], tuple[dict[str, str], tuple[str, ...]]] = {
    ospf_square: (FRR, ()),
    rip: (FRR, ()),
    ospf_triangle: (FRR, ()),
    vrrp: ({"keepalived": "keepalived"}, ()),
    bgp: (FRR, ()),
    evpn: (FRR, VXLAN),
    dns_tree: ({"named": "bind9", "dig": "bind9-dnsutils"}, ()),
    web_balancer: ({"haproxy": "haproxy", "curl": "curl"}, ()),
    nat: ({"nft": "nftables", "curl": "curl"}, NAT),
    xdp_bridge: ({}, ()),
}


def missing(story: Callable[[Standing], None]) -> str:
    """Return what a story lacks here, in words, or ""."""
    programs, kernel = STORIES[story]
    for program, package in programs.items():
        if not shutil.which(program):
            return f"{os.path.basename(program)} is not installed (Debian: {package})"
    if kernel and subprocess.run(["unshare", "--net", *kernel], check=False, capture_output=True).returncode:
        return f"this kernel refuses: {' '.join(kernel)}"
    return ""


def tell(story: Callable[[Standing], None]) -> str:
    """Build the lab of a story, do its checks, tell it, and remove the lab; return why it was not told, or ""."""
    if why := missing(story):
        return why
    lab = Standing(story.__name__.replace("_", "-"))
    labs.netlab("up", f"topologies/labs/{lab.name}.yml", "--lab", lab.name, "--timeout", f"{REROUTE_S:g}", cwd=ROOT)
    try:
        lab.netlab("status")
        lab.netlab("test", lab.name)
        lab.netlab("status")
        story(lab)
    finally:
        lab.netlab("down")
    return ""


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest) -> Iterator[dict[Any, Future[str]]]:
    """Tell the stories of all tests that are chosen; nothing is left of their labs."""
    items = request.session.items
    tests = [item for item in items if item.path == request.path and isinstance(item, pytest.Function)]
    chosen = {item.callspec.params["story"] for item in tests}
    with leaks.nothing_left(), ThreadPoolExecutor(BESIDE) as pool:
        yield {story: pool.submit(tell, story) for story in STORIES if story in chosen}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_lab_converges_and_survives_its_cut(told: dict[Any, Future[str]], story: Callable[[Standing], None]) -> None:
    if why := told[story].result():
        pytest.skip(why)
