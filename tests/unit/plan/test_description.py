"""What the record of a lab says."""

from pathlib import Path

from netlab.record.model import LimitsRecord
from tests.unit.described import SETTINGS, described


def test_the_lab_says_what_its_containers_are_given(tmp_path: Path) -> None:
    """Image, limits and capabilities: those of the topology, those of the role, and the defaults."""
    (tmp_path / "mine.py").write_text("CAPABILITIES = ['SYS_NICE']")
    nodes = described(SETTINGS, tmp_path).nodes

    assert [nodes[name].capabilities for name in "abc"] == [("BPF", "SYS_PTRACE"), ("BPF",), ("SYS_NICE",)]
    assert [nodes[name].image for name in "abc"] == ["mine:1", "netlab-node:latest", "netlab-node:latest"]
    assert nodes["a"].limits == LimitsRecord(cpu=0.5, memory=8 << 20)


def test_what_a_routing_daemon_decides_is_not_planned(tmp_path: Path) -> None:
    """A daemon may stop forwarding where there are no automatic routes, and the file does not say it."""
    text = """
name: lab
nodes:
  auto: {}
  daemon: {routes: none}
  says: {routes: none, sysctls: {net.ipv4.ip_forward: 1}}
links: [[auto, daemon], [daemon, says], [says, auto]]
"""
    nodes = described(text, tmp_path).nodes
    forwarding = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")

    assert [[name in nodes[node].sysctls for name in forwarding] for node in ("auto", "daemon", "says")] == [
        [True, True], [False, False], [True, False],
    ]  # fmt: skip
