"""From where a demo knocks at what it has played."""

from pathlib import Path

import pytest

from netlab.demo import play
from tests.unit.described import described

LAB = """
name: knocked
nodes:
  server: {xdp: {program: pass, interfaces: [eth1]}}
  far:
  client:
  left: {kind: switch}
  right: {kind: switch}
  lonely: {kind: switch}
links:
- [server, far]
- [server, left]
- [left, right]
- [right, client]
- [server, lonely]
"""


@pytest.mark.parametrize(("port", "hosts"), [("eth0", ["far"]), ("eth1", ["client"]), ("eth2", [])])
def test_hosts_behind_switches_are_found(tmp_path: Path, port: str, hosts: list[str]) -> None:
    """A switch has no address to be answered at."""
    lab = described(LAB, tmp_path)

    assert hosts == list(play._hosts_behind(lab, "server", lab.nodes["server"].interfaces[port]))
