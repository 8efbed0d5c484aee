"""Impaired links in both runtimes: written and set at run time, with a program at one end; the middle is no node."""

import json

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import asked, inside, netlab

pytestmark = pytest.mark.root

TOPOLOGY = """
name: impaired
nodes:
  a: {setup: ping -6 -c 1 -w 60 b}  # what holds packets up opens what it needs with the first one
  b: {xdp: pass}
  c: {}
links:
  - {endpoints: [a, {node: b, loss: {numbers: [2]}}], delay: 10ms}
  - [b, c]
"""


def round_trip(node: str, other: str) -> float:
    """Return the milliseconds of the shortest of a few pings."""
    said = inside(node, "ping", "-c", "4", "-i", "0.2", "-q", other).stdout
    return float(said.rpartition(" = ")[2].split("/")[0])


def problems() -> list[object]:
    """Return what status says."""
    found: list[object] = json.loads(asked("status", "--format", "json", codes=(0, 1)))["problems"]
    return found


def test_a_link_delays_and_loses(one: str) -> None:
    said = inside("a", "ping", "-c", "4", "-i", "0.2", "-q", "b").stdout
    assert "3 received" in said
    assert float(said.rpartition(" = ")[2].split("/")[0]) >= 20
    there, back = (way["counts"]["lost"] for way in links()["a-b"])
    assert there == 0
    assert back > 0
    assert ["a", "b", "c"] == sorted(json.loads(asked("status", "--format", "json"))["nodes"])
    assert problems() == []


def links() -> dict[str, list[dict[str, dict[str, int]]]]:
    """Return both directions of each link."""
    return {each["link"]: each["directions"] for each in json.loads(asked("link", "show", "--json"))["links"]}


def test_a_plain_link_is_changed_while_it_runs(one: str) -> None:
    """The end without a program is another interface then, with the same name, MAC, addresses and routes."""
    netlab("link", "b-c", "set", "delay=5ms")
    assert round_trip("c", "b") >= 10
    eventually(lambda: problems() == [], "all is as it should be")
    assert "02:6e:00:00:01:01" in inside("c", "ip", "link", "show", "dev", "eth0").stdout
    netlab("link", "b", "c", "reset")
    assert round_trip("c", "b") < 10


def test_carrier_is_lost_at_both_ends(one: str) -> None:
    netlab("link", "a-b", "down")
    assert problems() == []
    netlab("link", "a-b", "up")
    assert problems() == []
    inside("a", "ip", "link", "set", "eth0", "down")
    eventually(lambda: "NO-CARRIER" in inside("b", "ip", "link", "show", "dev", "eth0").stdout, "no carrier")
    netlab("link", "a-b", "up")
    eventually(lambda: "LOWER_UP" in inside("b", "ip", "link", "show", "dev", "eth0").stdout, "a carrier")
