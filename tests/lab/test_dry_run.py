"""The lines that a dry run prints build the lab when they are run by hand."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from netlab.plan.attach_program import AttachProgram
from netlab.plan.command_words import namespace
from netlab.plan.planner import Plan, plan
from netlab.plan.steps import StartRole
from netlab.topology.model import Endpoint, Link, Node, Program, Topology

LAB = "dry-run-test"
NODES = (
    Node("h1"),
    Node("r1"),
    Node("s", kind="switch"),
    Node("r2", sysctls=(("net.ipv4.ip_local_port_range", "2000 3000"),)),
    Node("h2"),
)
LINKS = (
    Link(Endpoint("h1", "uplink", mac="02:00:00:00:00:99"), Endpoint("r1"), mtu=1400),
    Link(Endpoint("r1"), Endpoint("s")),
    Link(Endpoint("s"), Endpoint("r2"), ("172.31.9.0/29",)),
    Link(Endpoint("r2"), Endpoint("h2", addresses=("192.168.77.2/24", "fd12::2/64"))),
)
TOPOLOGY = Topology(LAB, "", NODES, LINKS)

pytestmark = pytest.mark.root


def run_by_hand(lab: Plan) -> None:
    lines = [str(step) for step in lab.steps if not isinstance(step, AttachProgram | StartRole)]
    subprocess.run(["sh", "-e"], input="\n".join(lines), text=True, check=True)


def inside(node: str, *command: str) -> str:
    return subprocess.check_output(["ip", "netns", "exec", namespace(LAB, node), *command], text=True)


@pytest.fixture(autouse=True)
def _removed(no_leaks: None) -> Iterator[None]:
    """Delete the namespaces that were made by hand, before it is checked that nothing is left."""
    yield
    for node in NODES:
        if os.path.exists(f"/run/netns/{namespace(LAB, node.name)}"):
            subprocess.run(["ip", "netns", "del", namespace(LAB, node.name)], check=True)


def test_the_printed_lines_build_a_lab_in_which_every_address_answers() -> None:
    lab = plan(TOPOLOGY)
    run_by_hand(lab)

    addresses = [address.partition("/")[0] for interface in lab.interfaces for address in interface.addresses]
    for address in addresses:
        inside("h1", "ping", "-c", "1", "-W", "5", address)
        inside("h2", "ping", "-c", "1", "-W", "5", address)
    assert len(addresses) == 12


def test_the_printed_lines_make_the_interfaces_of_the_plan() -> None:
    lab = plan(TOPOLOGY)
    run_by_hand(lab)

    for interface in lab.interfaces:
        found = json.loads(inside(interface.node, "ip", "-json", "addr", "show", "dev", interface.name))[0]
        addresses = [f"{one['local']}/{one['prefixlen']}" for one in found["addr_info"] if one["scope"] == "global"]
        assert (found["ifindex"], found["address"], found["mtu"]) == (interface.index, interface.mac, interface.mtu)
        assert (found.get("master", ""), tuple(addresses)) == (interface.bridge, interface.addresses)
    assert inside("r2", "cat", "/proc/sys/net/ipv4/ip_local_port_range").split() == ["2000", "3000"]


@pytest.mark.skipif(not shutil.which("ethtool"), reason="ethtool is not installed")
def test_the_printed_lines_make_the_links_of_a_program_safe() -> None:
    program = Program("dropper", "/bpf/dropper.c", interfaces=("eth0",))
    nodes = tuple(node._replace(programs=(program,)) if node.name == "r1" else node for node in NODES)
    run_by_hand(plan(TOPOLOGY._replace(nodes=nodes)))

    features = inside("h1", "ethtool", "-k", "uplink")
    assert "tx-checksumming: off" in features
    assert "generic-receive-offload: on" in features
