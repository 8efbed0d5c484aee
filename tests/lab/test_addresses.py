"""Addresses of labs that stand: several at one interface, point-to-point, of loopback interfaces, and none at all."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

ODD = """\
name: odd
nodes:
  a: {loopback: [10.255.0.1/32, "fd00:ff::1/128"]}
  b: {loopback: 10.255.0.2}
  c: {replicas: 2, loopback: 10.255.1.1}
  six: {loopback: "fd00:ff::9"}
links:
  - [{node: a, address: 10.3.0.0/31}, {node: b, address: 10.3.0.1/31}]
  - [{node: b, address: 10.4.0.1, peer: 10.5.0.1}, {node: c1, address: 10.5.0.1/32, peer: 10.4.0.1}]
  - [{node: b, address: [10.6.0.1/24, 10.7.0.1/24, "fd06::1/64"]}, {node: c2, address: [10.6.0.2/16, 10.7.0.2/24]}]
  - {endpoints: [a, six], addresses: ipv6}
"""
CABLE = """\
// SPDX-License-Identifier: GPL-2.0-or-later
// A cable of two ports: what comes in by one leaves by the other.
#include <uapi/linux/bpf.h>

int cable(struct xdp_md *ctx)
{
	return bpf_redirect(ctx->ingress_ifindex == 16 ? 17 : 16, 0);
}
"""
IMPLIED = """\
name: cable
nodes: {h1: , s1: {xdp: ./cable.c}, h2: }
links:
  - [{node: h1, address: 10.5.0.1/24}, s1]
  - [s1, {node: h2, address: 10.5.0.2/24}]
"""
SAID = """\
name: cable
nodes: {h1: , s1: {address: none, xdp: ./cable.c}, h2: }
links: [[h1, s1], [s1, h2]]
"""
BRIDGES = """\
name: bridges
defaults: {routes: none}
nodes: {h1: , left: , right: , h2: }
links:
  - {endpoints: [{node: h1, address: 10.8.0.1}, {node: left, address: none}], subnet: 10.8.0.0/24}
  - {endpoints: [{node: h2, address: 10.8.0.2}, {node: right, address: none}], subnet: 10.8.0.0/24}
  - {endpoints: [left, right], addresses: none}
"""


def written(folder: Path, text: str) -> str:
    """Return the path of a topology with this text, a program beside it."""
    (folder / "cable.c").write_text(CABLE)
    path = folder / "lab.yml"
    path.write_text(text)
    return str(path)


def addresses(node: str, interface: str) -> list[str]:
    """Return the global addresses of an interface; of a point-to-point one with the other end."""
    [found] = json.loads(inside(node, "ip", "-j", "addr", "show", "dev", interface).stdout)
    return [
        f"{one['local']}{' ' + one['address'] if 'address' in one else ''}/{one['prefixlen']}"
        for one in found["addr_info"]
        if one["scope"] == "global"
    ]


def status(code: int | None = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(netlab("status", "--format", "json", code=code).stdout)
    return found


def answers(node: str, *words: str) -> bool:
    return inside(node, "ping", "-c", "1", "-W", "2", *words, code=None).returncode == 0


def test_odd_addresses_are_set_and_every_one_answers_everywhere(tmp_path: Path) -> None:
    """A /31, point-to-point ones, a second network, a /24 in a /16, loopback addresses, and IPv6 alone."""
    with lab(written(tmp_path, ODD)):
        assert addresses("a", "eth0")[0] == "10.3.0.0/31"
        assert addresses("b", "eth1")[0] == "10.4.0.1 10.5.0.1/32"
        assert addresses("b", "eth2") == ["10.6.0.1/24", "10.7.0.1/24", "fd06::1/64"]
        assert addresses("c2", "eth0") == ["10.6.0.2/16", "10.7.0.2/24", "fd06::2/64"]
        assert addresses("c2", "lo") == ["10.255.1.2/32"]
        assert addresses("six", "eth0") == ["fd00:0:0:3::2/64"]
        assert status()["state"] == "up"
        planned = status()["nodes"]
        everywhere = [
            each.partition("/")[0] for node in planned.values() for its in node["addresses"].values() for each in its
        ]
        assert len(everywhere) == 22
        for node in planned:
            for address in everywhere:
                if node != "six" or ":" in address:
                    assert answers(node, address), f"{node} has no answer of {address}"


def test_the_hosts_file_has_all_addresses_and_those_of_loopback_last(tmp_path: Path) -> None:
    with lab(written(tmp_path, ODD)):
        hosts = inside("a", "cat", "/etc/hosts").stdout.splitlines()

        assert [line.split()[0] for line in hosts if "b" in line.split()[1:]] == [
            *("10.3.0.1", "10.4.0.1", "10.6.0.1", "10.7.0.1", "10.255.0.2"),
            *("fd00::2", "fd00:0:0:1::1", "fd06::1"),
        ]
        assert answers("c1", "a")
        assert inside("six", "getent", "hosts", "six").stdout.split()[0] == "fd00:0:0:3::2"


def test_status_tells_what_is_there_now(tmp_path: Path) -> None:
    """Addresses that are gone are damage, with what mends it; what somebody has added is not."""
    with lab(written(tmp_path, ODD)):
        inside("a", "ip", "addr", "add", "10.99.0.1/24", "dev", "eth0")
        assert status()["nodes"]["a"]["addresses_now"] == {"eth0": ["10.3.0.0/31", "10.99.0.1/24", "fd00::1/64"]}
        assert "10.3.0.0/31, 10.99.0.1/24 (added), fd00::1/64" in netlab("status").stdout

        inside("b", "ip", "addr", "del", "10.4.0.1", "peer", "10.5.0.1/32", "dev", "eth1")
        inside("c2", "ip", "addr", "del", "10.255.1.2/32", "dev", "lo")
        found = status(code=1)
        assert found["nodes"]["c2"]["addresses_now"] == {"lo": []}
        told = {f"{one['where']}: {one['what']}": one["mend"] for one in found["problems"]}
        assert "c2 lo: its address 10.255.1.2/32 is gone" in told
        assert "ip addr add 10.4.0.1 peer 10.5.0.1/32 dev eth1" in told["b eth1: its address 10.4.0.1/32 is gone"]
        for _ in range(2):  # routes need addresses
            for mend in [one["mend"] for one in status(code=None)["problems"]]:
                netlab(*mend.split()[1:], code=None)
        assert status()["state"] == "up"


@pytest.mark.parametrize("text", [IMPLIED, SAID], ids=["implied", "said"])
def test_two_ends_of_an_xdp_cable_are_in_one_network(tmp_path: Path, text: str) -> None:
    """Of either family, at once; the node between them has no address."""
    with lab(written(tmp_path, text)):
        assert addresses("s1", "eth0") == addresses("s1", "eth1") == []
        first = addresses("h2", "eth0")[0].partition("/")[0]
        assert answers("h1", first)
        assert answers("h1", "-t", "1", "h2")
        assert answers("h1", "-6", "-t", "1", "fd00::2")
        assert status()["state"] == "up"


def test_hosts_of_one_network_on_several_links_meet_over_bridges_of_their_own(tmp_path: Path) -> None:
    """Links without addresses, which somebody bridges or tunnels by hand."""
    with lab(written(tmp_path, BRIDGES)):
        assert status()["state"] == "up"
        assert not answers("h1", "10.8.0.2")
        for node in ("left", "right"):
            inside(node, "ip", "link", "add", "br1", "up", "type", "bridge", "forward_delay", "0")
            for port in ("eth0", "eth1"):
                inside(node, "ip", "link", "set", port, "master", "br1")

        eventually(lambda: answers("h1", "10.8.0.2"), "an answer over the bridges")
        assert status()["state"] == "up"


def test_the_printed_lines_set_the_same_addresses(tmp_path: Path) -> None:
    """What `up --dry-run` prints can be run by hand."""
    path = written(tmp_path, ODD)
    lines = [line for line in netlab("up", "--dry-run", path, "--lab", "by-hand").stdout.splitlines() if line]
    try:
        subprocess.run(["sh", "-e"], input="\n".join(lines), text=True, check=True)
        shown = subprocess.check_output(["ip", "-n", "by-hand.b", "-o", "addr"], text=True)
        assert "inet 10.4.0.1 peer 10.5.0.1/32" in shown
        assert "10.255.0.2/32" in shown
        subprocess.run(["ip", "netns", "exec", "by-hand.c1", "ping", "-c1", "-W2", "10.255.0.1"], check=True)
    finally:
        for node in ("a", "b", "c1", "c2", "six"):
            subprocess.run(["ip", "netns", "del", f"by-hand.{node}"], check=False)
