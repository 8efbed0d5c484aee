"""`setup:`: the commands that prepare a node, each as an argv or as a line of shell."""

from netlab.topology.document.tree import Item, Scalar
from netlab.topology.model import SetupCommand
from netlab.topology.validate.findings import Findings
from netlab.topology.validate.rules import one_or_more
from netlab.topology.validate.settings import command

WHAT = "a list of commands, each a line of shell or a list of a program and its arguments"


def _command(findings: Findings, item: Item, path: str) -> SetupCommand | None:
    if not isinstance(item, Scalar):
        words = command(findings, item, path)
        return SetupCommand(words, item.line) if words else None
    if not isinstance(item.value, str) or not item.text.strip():
        findings.wrong(item, path, "a line of shell, or a list of a program and its arguments")
        return None
    return SetupCommand(("sh", "-c", item.text.rstrip("\n")), item.line)


setup = one_or_more(_command, WHAT, least=0)
