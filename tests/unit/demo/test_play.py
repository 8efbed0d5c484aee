"""A play from its beginning to its end, and from where it knocks at what it has played."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netlab.demo import knocking, play
from netlab.lab import bring_up
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

    assert hosts == list(knocking._hosts_behind(lab, "server", lab.nodes["server"].interfaces[port]))


def test_a_signal_as_the_lab_is_removed_waits_until_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def down(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("removed")

    monkeypatch.setattr(bring_up, "up", lambda *_: True)
    monkeypatch.setattr(bring_up, "down", down)
    plan: Any = SimpleNamespace(topology=SimpleNamespace(name="never-up"))
    with pytest.raises(KeyboardInterrupt):
        play.play(plan, lambda _: True, 1, lambda _: None, lambda *_: None)

    assert ["removed"] == done
