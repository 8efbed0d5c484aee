"""`setup:` prepares nodes once, before anything runs in the lab; on both runtimes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from tests.lab.lab import inside, lab, netlab, texts

pytestmark = pytest.mark.root

# A node with files of its own, one with nothing else, replicas, a switch; what runs in one sees what others were given.
TOPOLOGY = """
name: setup
nodes:
  a:
    env: {COLOUR: red}
    private: [/run/netlab-test]
    setup:
      - echo "$COLOUR in $NETLAB_NODE" | tee /run/netlab-test/said; echo aside >&2
      - [ip, link, add, v0, type, veth, peer, name, v1]
      - |
        ip addr add 10.99.0.1/24 dev v0
        sleep 1000 &
    processes:
      a: {command: [sh, -c, "cat /run/netlab-test/said; exec sleep inf"]}
  only: {replicas: 2, setup: 'ip addr add 10.98.0.1/32 dev lo; echo "I am $NETLAB_NODE"'}
  sw: {kind: switch, setup: [[ip, link, set, br0, type, bridge, stp_state, "1"]]}
links: [[a, sw], [only, sw]]
"""


def test_a_node_is_prepared_in_its_own_surroundings(one: str) -> None:
    """Its variables, files, interfaces; a switch's bridge; each replica by itself."""
    assert "10.99.0.1/24" in inside("a", "ip", "addr", "show", "v0").stdout
    assert "red in a\n" == inside("a", "cat", "/run/netlab-test/said").stdout
    assert "10.98.0.1/32" in inside("only2", "ip", "addr", "show", "lo").stdout
    assert "1\n" == inside("sw", "cat", "/sys/class/net/br0/bridge/stp_state").stdout


def test_what_it_prints_is_in_the_log_of_the_node(one: str) -> None:
    """Beside what its process of the same name prints; which command has printed it is noted before."""
    lines = [json.loads(line) for line in netlab("logs", "a", "--format", "json").stdout.splitlines()]
    said = [(line["stream"], line["text"]) for line in lines if not line["text"].startswith("started as")]
    assert said[0] == ("note", 'setup: line 8: echo "$COLOUR in $NETLAB_NODE" | tee /run/netlab-test/said;  …')
    assert sorted(said[1:3]) == [("err", "aside"), ("out", "red in a")]
    assert [text for _, text in said[3:]] == [
        "setup: line 9: ip link add v0 type veth peer name v1",
        "setup: line 10: ip addr add 10.99.0.1/24 dev v0 …",
        "red in a",
    ]
    assert "I am only2" in texts("logs", "only2")
    assert "I am only1" in netlab("timeline", "only1").stdout
    assert "I am only1" in netlab("logs").stdout


def test_no_process_starts_before_every_node_is_prepared(one: str) -> None:
    lines = [json.loads(line) for line in netlab("timeline", "--json").stdout.splitlines()]
    texts = [line["text"] for line in lines]
    begun = next(at for at, text in enumerate(texts) if text.startswith("started as"))
    assert begun > max(texts.index(text) for text in ("I am only1", "I am only2"))


def failed(tmp_path: Path, runtime: str, setup: object, *options: str) -> str:
    """Return what `up` says whose setup fails, in a node beside one that is set up, and before one whose never ends."""
    nodes: dict[str, Any] = {
        "good": {"setup": "sleep 1000 & echo good"},
        "bad": {"setup": setup, "command": ["sleep", "inf"]},
        "slow": {"setup": "exec sleep 1000"},
    }
    path = tmp_path / "lab.yml"
    path.write_text(json.dumps({"name": "fails", "nodes": nodes}, indent=0))
    said = netlab("up", str(path), "--lab", "fails", "--runtime", runtime, *options, code=1).stderr
    assert not os.path.exists(paths.folder_of("fails"))
    return said


def test_a_failure_ends_up_which_says_where_and_why(runtime: str, tmp_path: Path) -> None:
    """With the command's line, exit code and output, and not that of the one before; everything is undone."""
    said = failed(tmp_path, runtime, ["echo fine", "sleep 1000 & echo broken >&2; exit 7", "echo never"])
    expected = (
        "bad is not set up: command 2 (line 10: sleep 1000 & echo broken >&2; exit 7) has ended with exit code 7;"
        " its last lines:\n  broken\n"
    )
    assert said.endswith(expected)
    assert "command 1 (line 9: kill -9 $$) was killed by SIGKILL; it has" in failed(tmp_path, runtime, ["kill -9 $$"])
    said = failed(tmp_path, runtime, [["nosuch-command", "a"]])
    assert "has ended with exit code 127; its last lines:\n  cannot run nosuch-command" in said or runtime == "netns"
    assert "nosuch-command" in said.splitlines()[-1]


def test_each_command_has_the_time_of_the_option(runtime: str, tmp_path: Path) -> None:
    said = failed(tmp_path, runtime, ["echo waits; exec sleep 1000"], "--timeout", "1")
    assert "has not ended within 1 s" in said


def test_a_lab_of_nothing_but_setups_is_a_whole_lab(runtime: str, tmp_path: Path) -> None:
    """It has a supervisor, which `status` misses if it dies."""
    (tmp_path / "lab.yml").write_text('{"name": "setups", "nodes": {"a": {"setup": "echo done"}}}')
    with lab(str(tmp_path / "lab.yml"), "--runtime", runtime, name="setups"):
        assert texts("logs", "a") == ["setup: line 1: echo done", "done"]
        assert json.loads(netlab("status", "--format", "json").stdout)["state"] == "up"
