"""Names as people have them, with capitals and underscores, wherever a lab puts them."""

import json
from pathlib import Path

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, lab, netlab, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TEXT = """\
name: names
nodes:
  PC_1:
    role: tcp_client
    args: {target: "Web_Srv:9000", count: 4, delay: 0.01}
    after: [Web_Srv]
  Web_Srv:
    role: tcp_server
    args: {port: 9000}
    limits: {memory: 256M}
    xdp: {program: dropper, define: {PORT: 9000}}
  R: {replicas: 2, processes: {Idle_A: {command: [sleep, infinity]}, idle_b: {command: [sleep, infinity]}}}
  Sw_1: {kind: switch}
links:
  - [PC_1, Web_Srv]
  - [R, Sw_1]
  - [PC_1, Sw_1]
"""


def test_names_are_kept_for_people_and_labels_are_made_of_them(tmp_path: Path) -> None:
    """In status, logs, the trace, exec and processes; names resolve as they are written, and as labels."""
    path = tmp_path / "names.yml"
    path.write_text(TEXT)
    with lab(str(path)):
        found = json.loads(netlab("status", "--format", "json").stdout)
        assert found["state"] == "up"
        assert [*found["nodes"]] == ["PC_1", "Web_Srv", "R1", "R2", "Sw_1"]
        eventually(lambda: any("Web_Srv" in line for line in netlab("trace").stdout.splitlines()), "a verdict")
        assert texts("logs", "Web_Srv")
        assert inside("PC_1", "sh", "-c", "echo $NETLAB_NODE").stdout == "PC_1\n"
        for name in ("R1", "r1", "R2", "web-srv", "Web_Srv"):
            assert inside("PC_1", "ping", "-c", "1", "-W", "2", name).returncode == 0
        assert inside("PC_1", "getent", "hosts", "R").stdout.split()[0].startswith("fd00")
        assert "Web_Srv" in netlab("stats").stdout
        netlab("stop", "R1/Idle_A")
        assert "R1/Idle_A" in netlab("status", code=1).stdout
        netlab("start", "R1/Idle_A")
        assert json.loads(netlab("status", "--format", "json").stdout)["state"] == "up"
        assert "did you mean PC_1?" in netlab("exec", "PC-1", "true", code=None).stderr
