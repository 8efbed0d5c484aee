"""The faults of a topology in a lab's record, and the links that they name."""

from typing import Annotated

from netlab.named_tuple import NamedTuple
from netlab.record.shapes import Count, Rule
from netlab.topology import faults

Kind = Annotated[str, Rule(", ".join(faults.KINDS), faults.KINDS.__contains__)]
Scope = Annotated[str, Rule(", ".join(faults.SCOPES[1:]) + " or nothing", faults.SCOPES.__contains__)]
Change = Annotated[str, Rule("up, down or nothing", ("", faults.UP, faults.DOWN).__contains__)]


class FaultRecord(NamedTuple):
    """A fault: see topology.faults.Fault."""

    at_ns: Count
    do: Kind
    target: str
    for_ns: Count
    signal: Count
    change: Change
    groups: tuple[tuple[str, ...], ...]
    scope: Scope
