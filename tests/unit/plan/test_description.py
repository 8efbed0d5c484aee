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
