"""Routes of labs that stand: automatic ones give way to a routing daemon's, and to those of the file."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

FRR = os.environ.get("NETLAB_TEST_FRR", "/usr/lib/frr")
SQUARE = """\
name: square
nodes: {h1: , r1: , r2: , r3: , r4: , h4: }
links: [[h1, r1], [r1, r2], [r2, r4], [r1, r3], [r3, r4], [h4, r4]]
"""
H4 = "10.0.5.1"  # and r4 is 10.0.5.2
NONE = """\
name: none
defaults: {routes: none}
nodes:
  h: {routes: [{to: default, via: r1}]}
  r1: {routes: [{to: 10.0.2.0/24, via: r2}, {to: "fd00:0:0:2::/64", via: r2}, {to: 10.9.0.0/16, type: unreachable}]}
  r2: {routes: [{to: 10.0.0.1, via: r1}, {to: "fd00::/64", via: r1}, {to: 10.7.0.0/16, interface: eth1, metric: 9}]}
  x: {routes: auto}
  idle: {routes: []}
links: [[h, r1], [r1, r2], [r2, x], [idle, r2]]
"""
OSPF = """\
hostname {name}
{interfaces}
router ospf
 ospf router-id {number}.{number}.{number}.{number}
"""
OSPF_INTERFACE = """\
interface eth{number}
 ip ospf area 0
 ip ospf hello-interval 1
 ip ospf dead-interval 3
 ip ospf network point-to-point
"""


def written(folder: Path, text: str) -> str:
    """Return the path of a topology with this text."""
    path = folder / "lab.yml"
    path.write_text(text)
    return str(path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that daemons can reach that give up root."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def routes(node: str, *words: str) -> list[dict[str, Any]]:
    """Return the routes of a node that `ip` shows, without those to its own networks."""
    found: list[dict[str, Any]] = json.loads(inside(node, "ip", "-j", *words, "route").stdout)
    return [route for route in found if route.get("protocol") != "kernel"]


def way(node: str, to: str) -> str:
    """Return the next hop that a node's kernel has for an address."""
    found: list[dict[str, str]] = json.loads(inside(node, "ip", "-j", "route", "get", to).stdout)
    return found[0].get("gateway", found[0]["dev"])


def answers(node: str, address: str) -> bool:
    return inside(node, "ping", "-c", "1", "-W", "1", address, code=None).returncode == 0


def problems() -> list[str]:
    """Return what `status` tells, where and what."""
    said = json.loads(netlab("status", "--format", "json", code=None).stdout)
    return [f"{one['where']}: {one['what']}" for one in said["problems"]]


def test_a_lower_metric_wins_and_the_automatic_route_is_the_last_resort(tmp_path: Path) -> None:
    """A daemon's route is used as soon as it is there, and until it goes; `status` has nothing against it."""
    with lab(written(tmp_path, SQUARE)):
        assert (way("r1", H4), answers("h1", H4)) == ("10.0.1.2", True)

        inside("r1", "ip", "route", "add", "10.0.5.0/24", "via", "10.0.3.2", "proto", "188", "metric", "20")
        inside("h1", "ip", "route", "add", "default", "via", "10.0.0.2", "proto", "188", "metric", "20")

        assert (way("r1", H4), answers("h1", H4)) == ("10.0.3.2", True)
        assert problems() == []

        inside("r1", "ip", "route", "del", "10.0.5.0/24", "proto", "188")
        assert (way("r1", H4), answers("h1", H4)) == ("10.0.1.2", True)


def test_status_tells_a_planned_route_that_is_gone_beside_another_one(tmp_path: Path) -> None:
    with lab(written(tmp_path, SQUARE)):
        inside("r1", "ip", "route", "add", "10.0.5.0/24", "via", "10.0.1.2", "proto", "188", "metric", "20")
        inside("r1", "ip", "route", "del", "10.0.5.0/24", "metric", "4278190080")

        assert problems() == ["r1: its route to 10.0.5.0/24 through 10.0.1.2 is gone"]
        assert answers("h1", H4)

        mend = "route add 10.0.5.0/24 via 10.0.1.2 metric 4278190080"
        assert f"netlab exec --lab {os.environ['NETLAB_LAB']} r1 ip {mend}" in netlab("status", code=1).stdout
        inside("r1", "ip", *mend.split())
        assert problems() == []


def test_a_lab_without_automatic_routes_has_those_of_the_file(tmp_path: Path) -> None:
    """By the names of neighbours, of either family, to what is on a link, and to what is nowhere."""
    with lab(written(tmp_path, NONE)):
        assert routes("idle") == routes("idle", "-6") == []
        assert [(route["dst"], route.get("metric")) for route in routes("x")] == [("default", 255 << 24)]
        assert way("h", "10.0.2.2") == "10.0.0.2"
        assert answers("h", "10.0.2.2")
        assert answers("h", "fd00:0:0:2::2")
        assert "No route to host" in inside("r1", "ip", "route", "get", "10.9.0.1", code=None).stderr
        assert way("r2", "10.7.0.1") == "eth1"
        assert problems() == []

        for command in ("route del unreachable 10.9.0.0/16", "-6 route del fd00:0:0:2::/64"):
            inside("r1", "ip", *command.split())
        inside("r2", "ip", "route", "del", "10.7.0.0/16")

        assert problems() == [
            "r1: its route to fd00:0:0:2::/64 through fd00:0:0:1::2 is gone",
            "r1: its unreachable route to 10.9.0.0/16 is gone",
            "r2: its route to 10.7.0.0/16 at eth1 is gone",
        ]
        for line in netlab("status", code=1).stdout.splitlines():
            if "mends it: netlab " in line:
                netlab(*line.partition("mends it: netlab ")[2].split())
        assert problems() == []


@pytest.mark.skipif(not os.path.exists(f"{FRR}/ospfd"), reason=f"FRR is not in {FRR}, nor in NETLAB_TEST_FRR")
def test_ospf_finds_the_ways_and_another_one_after_a_cut(open_folder: Path) -> None:
    """Beside automatic routes: OSPF's are used, and after a cut they lead another way."""
    ports = {"r1": 3, "r2": 2, "r3": 2, "r4": 3}
    nodes = ["h1: ", "h4: "]
    for number, (name, count) in enumerate(ports.items(), 1):
        interfaces = "".join(OSPF_INTERFACE.format(number=each) for each in range(count))
        (open_folder / f"{name}.conf").write_text(OSPF.format(name=name, number=number, interfaces=interfaces))
        own = open_folder / f"run-{name}"
        own.mkdir()
        own.chmod(0o777)
        words = f"-f, {open_folder}/{name}.conf, --vty_socket, {own}, -z, {own}/zserv, -i, {own}"
        zebra = f"zebra: {{command: [{FRR}/zebra, {words}/zebra.pid]}}"
        ospfd = f"ospfd: {{command: [{FRR}/ospfd, {words}/ospfd.pid], after: [zebra]}}"
        nodes.append(f"{name}: {{processes: {{{zebra}, {ospfd}}}}}")
    text = SQUARE.replace("nodes: {h1: , r1: , r2: , r3: , r4: , h4: }", f"nodes: {{{', '.join(nodes)}}}")
    with lab(written(open_folder, text)):
        eventually(
            lambda: [route["dst"] for route in routes("r1") if route.get("protocol") == "ospf"][2:], "OSPF's routes"
        )
        eventually(lambda: answers("h1", H4), "an answer")
        first = way("r1", H4)
        via, port = ("r2", "eth1") if first == "10.0.1.2" else ("r3", "eth1")
        assert problems() == []

        inside(via, "ip", "link", "set", port, "down")

        eventually(lambda: way("r1", H4) != first and answers("h1", H4), "another way")
