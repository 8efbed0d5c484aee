"""What a person calls the processes and programs of a lab."""

import json
import re
from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.record import named, store
from netlab.record.model import LabRecord
from tests.unit.described import described

TOPOLOGY = """
name: x
nodes:
  r1: {processes: {zebra: {command: [z]}, ospfd: {command: [o]}}}
  r2: {processes: {zebra: {command: [z]}, r2: {command: [two]}}}
  one: {processes: {zebra: {command: [z], env: {A: b}}}}
  h: {command: [h]}
  idle:
  fw: {xdp: [{program: pass, interfaces: [eth0]}, {program: dropper, name: fw, interfaces: [eth1]}]}
  lb: {xdp: {program: balancer, interfaces: [eth0]}}
links: [[fw, lb], [fw, lb]]
"""


@pytest.fixture
def record(tmp_path: Path) -> LabRecord:
    return described(TOPOLOGY, tmp_path)


@pytest.mark.parametrize(
    ("called", "node", "command"),
    [
        *(("r1/zebra", "r1", "z"), ("r1/ospfd", "r1", "o"), ("r2/zebra", "r2", "z")),
        *(("r2", "r2", "two"), ("r2/r2", "r2", "two"), ("one", "one", "z"), ("h", "h", "h"), ("h/h", "h", "h")),
    ],
)
def test_one_process(record: LabRecord, called: str, node: str, command: str) -> None:
    """The node is enough for the process with its name, and for the only one."""
    found, process = named.process(record, called)

    assert (node, (command,)) == (found, process.argv)


@pytest.mark.parametrize(
    ("called", "message"),
    [
        ("r1", "r1 has several processes: name one of r1/zebra, r1/ospfd"),
        ("r1/", "r1 has no process ''; it has r1/zebra, r1/ospfd"),
        ("r1/bgpd", "r1 has no process 'bgpd'; it has r1/zebra, r1/ospfd"),
        ("r1/zebra/x", "r1 has no process 'zebra/x'; it has"),
        ("h/x", "h has no process 'x'; it has h"),
        ("idle", "idle has neither a role nor a command to run"),
        ("idle/x", "idle has neither a role nor a command to run"),
        ("rr1/zebra", "the lab x has no node rr1; did you mean r1?"),
        ("/zebra", "the lab x has no node ; it has r1, r2"),
    ],
)
def test_none(record: LabRecord, called: str, message: str) -> None:
    """What there is instead is told."""
    with pytest.raises(UsageError) as told:
        named.process(record, called)

    assert str(told.value).startswith(message)


def test_all_of_a_node(record: LabRecord) -> None:
    """In the order of the file; a node may have none."""
    assert named.keys(record, "r2") == ["r2/zebra", "r2"]
    assert named.keys(record, "r2/r2") == ["r2"]
    assert named.keys(record, "idle") == []
    with pytest.raises(UsageError, match="idle has no process 'x'; it has none"):
        named.keys(record, "idle/x")


def test_variables_of_nodes_and_of_processes_come_from_one_file(folder: str) -> None:
    """A node's by its name, a process's own by both names, also where it has the node's; what nobody knows is left."""
    Path(folder, "env.json").write_text(json.dumps({"a": {"X": "1"}, "a/a": {"X": "2"}, "a/b": {}, "c": {"X": "3"}}))

    node = store.read("one").nodes["a"]

    assert ({"X": "1"}, {"X": "2"}) == (node.env, node.processes[0].env)


@pytest.mark.parametrize(
    ("called", "found"),
    [
        *(("fw", ["fw/pass", "fw/fw"]), ("fw/pass", ["fw/pass"]), ("fw/fw", ["fw/fw"])),
        *(("lb", ["lb"]), ("lb/balancer", ["lb"])),
    ],
)
def test_programs(record: LabRecord, called: str, found: list[str]) -> None:
    """The node means all of its programs, also where one has its name; the only one is the node's."""
    assert found == list(named.programs(record, called))


@pytest.mark.parametrize(
    ("called", "message"),
    [
        ("fw/droper", "fw has no program 'droper'; it has fw/pass, fw/fw"),
        ("fw/pass/x", "fw has no program 'pass/x'; it has"),
        ("lb/lb", "lb has no program 'lb'; it has lb/balancer"),
        ("h", "h has no program"),
        ("h/h", "h has no program"),
        ("ffw", "the lab x has no node ffw; did you mean fw?"),
    ],
)
def test_no_program(record: LabRecord, called: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        named.programs(record, called)
