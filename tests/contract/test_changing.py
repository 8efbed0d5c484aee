"""`apply` on both runtimes: nodes and links come and go, the balancer is told, what is the same goes on."""

from pathlib import Path

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, lab, netlab, pids, stats, texts

pytestmark = pytest.mark.root

TOPOLOGY = """
name: changing
nodes:
  client: {role: client, autostart: false, args: {target: "lb:8080"}}
  lb: {role: balancer, args: {backends: worker}, xdp: balancer}
  worker: {replicas: 2, role: worker, args: {threads: 5, balancer: "lb:9090"}}
  old: {}
links: [[client, lb], [worker, lb], [old, client]]
"""
CHANGED = """
name: changing
nodes:
  client: {role: client, autostart: false, args: {target: "lb:8080"}}
  lb: {role: balancer, args: {backends: worker}, xdp: balancer}
  worker: {replicas: 3, role: worker, args: {threads: 5, balancer: "lb:9090"}}
  new: {command: [sleep, "1000"], files: {/etc/netlab-test: {text: mine}}, setup: [cat /etc/netlab-test]}
links: [[client, lb], [worker, lb], [new, client]]
"""


def test_a_lab_becomes_another_one_and_the_first_again(runtime: str, tmp_path: Path) -> None:
    """Each of them answers as a lab does that was made so."""
    file, back = tmp_path / "changed.yml", tmp_path / "back.yml"
    file.write_text(CHANGED)
    back.write_text(TOPOLOGY)
    with lab(str(back), "--runtime", runtime):
        _change_and_change_back(file, back)


def _change_and_change_back(file: Path, back: Path) -> None:
    stays = pids("lb", "worker1", "worker2")
    said = netlab("apply", str(file)).stderr

    assert "lb: worker3 added, 5 threads each" in said
    assert pids("lb", "worker1", "worker2") == stays
    assert "mine" in texts("logs", "new")
    assert "old" not in netlab("status").stdout
    netlab("run", "client", "--count", "30", "--interval", "0", "--sleep", "0.02")
    eventually(lambda: stats()["completions"] == 30, "all are served")
    assert set(stats()["backends"]) == {"worker1", "worker2", "worker3"}
    inside("new", "ping", "-c", "1", "lb")
    assert "nothing to do" in netlab("apply", str(file)).stderr
    netlab("status")
    assert "lb: worker3 removed" in netlab("apply", str(back)).stderr
    inside("old", "ping", "-c", "1", "worker1")
    netlab("run", "client", "--count", "10", "--interval", "0", "--sleep", "0.02")
    eventually(lambda: stats()["completions"] == 40, "all are served")
    netlab("status")
