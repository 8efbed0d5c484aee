"""A topology of containers, and the record that it has."""

from pathlib import Path
from typing import Any

from netlab.plan.description import describe
from netlab.plan.planner import plan
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


def described(text: str, folder: Path) -> dict[str, Any]:
    """Return lab.json of a topology in a folder."""
    (folder / "lab.yml").write_text(text)
    return describe(plan(validate.topology(document.load(str(folder / "lab.yml")))), "/run/netlab/x")
