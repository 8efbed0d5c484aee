"""A topology of containers, and the record that it has."""

from pathlib import Path

from netlab.plan.description import describe
from netlab.plan.planner import plan
from netlab.record.model import LabRecord
from netlab.topology import document, validate

SETTINGS = """
name: settings
runtime: docker
nodes:
  a: {command: [./serve], capabilities: [CAP_BPF, sys_ptrace], limits: {memory: 8M, cpu: 0.5}, image: "mine:1"}
  b: {role: balancer, args: {backends: a}}
  c: {role: ./mine.py}
links: [[a, b], [b, c]]
"""


def described(text: str, folder: Path) -> LabRecord:
    """Return the record of a topology in a folder."""
    (folder / "lab.yml").write_text(text)
    return described_at(str(folder / "lab.yml"), "/run/netlab/x")


def described_at(path: str, folder: str) -> LabRecord:
    """Return the record of the topology at a path, for a lab that has this folder."""
    return describe(plan(validate.topology(document.load(path))), folder)
