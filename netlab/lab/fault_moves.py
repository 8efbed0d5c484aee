"""A time line as moves, in the order in which they are made: faults begin, and those that last some time end. Pure."""

from collections.abc import Iterable, Sequence

from netlab.named_tuple import NamedTuple
from netlab.topology import faults
from netlab.topology.faults import Fault


class Move(NamedTuple):
    """One thing that is done at its time; `begun` is the fault that it ends, which may have ended already."""

    at_ns: int
    fault: Fault
    begun: Fault | None = None


def moves(time_line: Iterable[Fault]) -> Sequence[Move]:
    """Return the moves of a time line. Of those at the same time, ends come first; the rest stays in its order."""
    found: list[Move] = []
    for fault in time_line:
        found.append(Move(fault.at_ns, fault))
        if fault.for_ns:
            at_ns = fault.at_ns + fault.for_ns
            found.append(Move(at_ns, _end(fault)._replace(at_ns=at_ns, for_ns=0), fault))
    return sorted(found, key=lambda move: (move.at_ns, move.begun is None))


def _end(fault: Fault) -> Fault:
    """Return what ends a fault."""
    match fault.do:
        case faults.PAUSE:
            return fault._replace(do=faults.RESUME)
        case faults.DRAIN:
            return fault._replace(do=faults.UNDRAIN)
        case faults.LINK:
            return fault._replace(change=faults.BEFORE if fault.change == faults.IMPAIRED else faults.UP)
    return fault._replace(do=faults.RESTORE, scope=faults.PARTITION)
