"""Lets a link do something to packets for the time of a fault, and what it did before afterwards."""

from collections.abc import Mapping

from netlab.lab import link_changes
from netlab.lab.standing import Standing
from netlab.record import impaired
from netlab.topology.faults import Fault
from netlab.topology.impairment import PLAIN
from netlab.topology.link_names import Ends


def now(lab: Standing, link: Ends) -> dict[str, str]:
    """Return what each end of a link sends now, as JSON, "" if it is led through no middle; by NODE:INTERFACE."""
    names = ((link.a, link.a_interface), (link.b, link.b_interface))
    directions = impaired.directions(lab.record, impaired.read(lab.record))
    return {
        ":".join(each.sender): impaired.text(each.sends) if each.sends else ""
        for each in directions
        if each.sender in names
    }


def impair(lab: Standing, link: Ends, fault: Fault) -> str:
    """Set what a fault says, in both directions, and return a remark; the rest stays as it is."""
    return _set(lab, link, "", {field: getattr(fault.does, field) for field in fault.sets})


def as_before(lab: Standing, link: Ends, before: Mapping[str, str]) -> str:
    """Set again what each end has sent before; a link that has had no middle keeps one that does nothing."""
    told = []
    for sender, text in before.items():
        sends = impaired.parsed(text)._asdict() if text else PLAIN._asdict()
        kept = () if text else ("seed",)
        told.append(_set(lab, link, sender, {field: each for field, each in sends.items() if field not in kept}))
    return "; ".join(filter(None, told))


def _set(lab: Standing, link: Ends, sender: str, changes: Mapping[str, object]) -> str:
    """Set values as `netlab link set` does, and return what of its words is more than that it was done."""
    said: list[str] = []
    link_changes.set_values(lab.record.lab, [link.name], sender, changes, said.append)
    return "; ".join(more for each in said if (more := each.partition("; ")[2]))
