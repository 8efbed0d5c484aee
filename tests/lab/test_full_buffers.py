"""Datagrams that reach a node and none of its processes, as their socket's buffer is full."""

import json
from pathlib import Path

import pytest

from tests.lab.lab import inside, lab, netlab, python

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

# Sends more to itself, over either family, than a buffer takes that nobody empties.
FLOOD = """
import socket
for family, host in ((socket.AF_INET, "10.0.0.2"), (socket.AF_INET6, "fd00::2")):
    here, there = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    here.bind((host, 7))
    for _ in range(100):
        there.sendto(bytes(1000), (host, 7))
"""


def of_the_kernel(node: str) -> int:
    """Return what nstat would show of a node."""
    snmp = inside(node, "cat", "/proc/net/snmp", "/proc/net/snmp6").stdout.splitlines()
    names, values = (line.split() for line in snmp if line.startswith("Udp: "))
    ipv6 = next(line.split()[1] for line in snmp if line.startswith("Udp6RcvbufErrors"))
    assert int(ipv6) > 0
    return int(dict(zip(names, values, strict=True))["RcvbufErrors"]) + int(ipv6)


def test_full_buffers_are_told_of_their_node(tmp_path: Path) -> None:
    """By `status` and `stats`, for people and programs; the lab is as planned all the same."""
    (tmp_path / "full.yml").write_text("{name: full, nodes: {a: , b: }, links: [[a, b]]}")
    with lab(str(tmp_path / "full.yml")) as name:
        python("b", FLOOD)
        lost = of_the_kernel("b")
        shown, counted = netlab("status").stdout, netlab("stats").stdout
        nodes = json.loads(netlab("status", "--format", "json").stdout)["nodes"]
        stats = json.loads(netlab("stats", "--format", "json").stdout)
        scraped = netlab("stats", "--format", "prometheus").stdout

    line = f"b: {lost} datagrams dropped, as the buffers of sockets were full (UdpRcvbufErrors)\n"
    assert ([0, lost], {"a": 0, "b": lost}) == (
        [nodes[node]["udp_rcvbuf_errors"] for node in ("a", "b")],
        stats["udp_rcvbuf_errors"],
    )
    assert line in shown
    assert counted == line
    assert f'netlab_node_udp_rcvbuf_errors_total{{lab="{name}",node="b"}} {lost}\n' in scraped
