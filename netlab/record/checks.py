"""The checks of a topology, in a lab's record."""

from typing import Annotated

from netlab.named_tuple import NamedTuple
from netlab.record.faults import FaultRecord
from netlab.record.shapes import Count, Rule

# As in topology.checks, which whoever reads a record does without.
KINDS = ("ping", "run", "line", "stats", "map", "interface")
COMPARISONS = ("", "==", "!=", "<=", ">=", "<", ">")

Kind = Annotated[str, Rule("the kind of a check", KINDS.__contains__)]
Comparison = Annotated[str, Rule("a comparison, or nothing", COMPARISONS.__contains__)]


class CheckRecord(NamedTuple):
    """A check: see topology.checks.Check."""

    do: Kind
    node: str
    words: tuple[str, ...]
    code: Count
    shows: str
    hides: str
    comparison: Comparison
    wanted: str
    fails: bool
    within_ns: Count
    for_ns: Count
    after: tuple[FaultRecord, ...]
    name: str
    line: Count
