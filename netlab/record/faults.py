"""The faults of a topology, in a lab's record."""

from typing import Annotated

from netlab.named_tuple import NamedTuple
from netlab.record.shapes import Count, Rule

# As in topology.faults, which whoever reads a record does without.
KINDS = ("kill", "pause", "resume", "drain", "undrain", "link", "partition", "restore")
SCOPES = ("", "all", "node", "process", "link", "partition")
CHANGES = ("", "up", "down", "impaired", "as before")

Kind = Annotated[str, Rule("the kind of a fault", KINDS.__contains__)]
Scope = Annotated[str, Rule("what is restored, or nothing", SCOPES.__contains__)]
Change = Annotated[str, Rule("what a link is set to, or nothing", CHANGES.__contains__)]


class FaultRecord(NamedTuple):
    """A fault: see topology.faults.Fault; `does` is JSON, as in record.impaired."""

    at_ns: Count
    do: Kind
    target: str
    for_ns: Count
    signal: Count
    change: Change
    groups: tuple[tuple[str, ...], ...]
    scope: Scope
    sets: tuple[str, ...]
    does: str
