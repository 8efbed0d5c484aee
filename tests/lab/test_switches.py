"""Switches that keep loops out, and switches that tell VLANs apart."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, lab, netlab

pytestmark = pytest.mark.root

TREE = """
name: tree
nodes: {a: {}, b: {}, s1: {kind: switch, stp: true}, s2: {kind: switch, stp: true}}
links: [[a, s1], [s1, s2], [s1, s2], [s2, b]]
"""
VLANS = """
name: vlans
nodes: {a10: {}, b10: {}, a20: {}, b30: {}, c30: {}, s1: {kind: switch}, s2: {kind: switch}}
links:
  - [a10, {node: s1, vlan: 10}]
  - [a20, {node: s1, vlan: 20}]
  - [{node: s1, vlans: [10, 20], vlan: 30}, {node: s2, vlans: [10], vlan: 30}]
  - [{node: s2, vlan: 10}, b10]
  - [b30, {node: s1, vlan: 30}]
  - [c30, {node: s2, vlan: 30}]
"""


def ports() -> dict[str, dict[str, str]]:
    nodes = json.loads(netlab("status", "--format", "json", code=None).stdout)["nodes"]
    return {name: nodes[name]["ports"] for name in ("s1", "s2")}


def states() -> list[str]:
    return sorted(state for its in ports().values() for state in its.values())


@pytest.fixture
def tree(no_leaks: None, tmp_path: str) -> Iterator[None]:
    with open(f"{tmp_path}/tree.yml", "w", encoding="utf-8") as file:
        file.write(TREE)
    with lab(f"{tmp_path}/tree.yml"):
        yield


def filters_vlans() -> bool:
    """Say whether this kernel's bridges tell VLANs apart."""
    words = ["ip", "link", "add", "probe0", "type", "bridge", "vlan_filtering", "1"]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        return False
    subprocess.run(["ip", "link", "del", "probe0"], check=True)
    return True


def test_a_spanning_tree_keeps_one_of_two_links_and_takes_the_other_when_that_is_cut(tree: None) -> None:
    eventually(lambda: states() == ["blocking", *["forwarding"] * 5], "the tree has been found")
    assert inside("a", "ping", "-c1", "-w60", "b").returncode == 0
    shown = netlab("status").stdout
    assert any(f"s{number}:eth0 " in shown and "up, blocking" in shown for number in (1, 2))

    (blocked,) = [(node, port) for node, its in ports().items() for port, state in its.items() if state == "blocking"]
    kept = {"s1": ("eth1", "eth2"), "s2": ("eth0", "eth1")}[blocked[0]]
    (other,) = set(kept) - {blocked[1]}
    inside(blocked[0], "ip", "link", "set", other, "down")
    eventually(lambda: ports()[blocked[0]][blocked[1]] == "forwarding", "the other link carries frames")

    assert inside("a", "ping", "-c1", "-w60", "b").returncode == 0


def test_status_sees_that_the_tree_is_off(tree: None) -> None:
    eventually(lambda: "blocking" in states(), "the tree has been found")
    inside("s1", "ip", "link", "set", "eth2", "down")  # so that no frame circles
    inside("s1", "ip", "link", "set", "br0", "type", "bridge", "stp_state", "0")
    found = json.loads(netlab("status", "--format", "json", code=1).stdout)["problems"]

    (one,) = [each for each in found if each["where"] == "s1 br0"]
    assert "its stp_state is off" == one["what"]
    assert one["mend"].endswith("s1 ip link set br0 type bridge stp_state 1")


def test_vlans_are_apart_and_a_kernel_without_them_is_reported(no_leaks: None, tmp_path: str) -> None:
    path = f"{tmp_path}/vlans.yml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(VLANS)
    if not filters_vlans():
        told = netlab("up", path, code=3).stderr
        assert "VLAN filtering of bridges (CONFIG_BRIDGE_VLAN_FILTERING) is needed: this kernel" in told
        return
    with lab(path):
        for one, other in (("a10", "b10"), ("b30", "c30")):
            inside(one, "ping", "-c1", "-w60", other)
        for node, number in (("a10", 1), ("b10", 2), ("a20", 3), ("c30", 4)):  # one subnet, and still apart
            inside(node, "ip", "addr", "add", f"10.99.0.{number}/24", "dev", "eth0")
        inside("a10", "ping", "-c1", "-w60", "10.99.0.2")
        for number in (3, 4):
            inside("a10", "ping", "-c1", "-W1", f"10.99.0.{number}", code=1)
        assert netlab("status").returncode == 0
        inside("s1", "bridge", "vlan", "add", "dev", "eth0", "vid", "77")  # somebody's own
        inside("s1", "bridge", "vlan", "add", "dev", "eth1", "vid", "21", "pvid", "untagged")
        inside("s2", "bridge", "vlan", "del", "dev", "eth0", "vid", "10")
        found = json.loads(netlab("status", "--format", "json", code=1).stdout)["problems"]
        lost = ["s1 eth1: frames without a tag are not in VLAN 20", "s2 eth0: tagged frames are not in VLAN 10"]
        assert lost == [f"{one['where']}: {one['what']}" for one in found]
        for one in found:
            netlab(*one["mend"].split()[1:])
        assert netlab("status").returncode == 0
