"""What is written of the directions of links: of both, and of one, at the end that sends. Most links say nothing.

So all that reads the values is in `impairments`, and imported only where there are any.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab.named_tuple import NamedTuple
from netlab.topology.validate.findings import Findings, Place
from netlab.topology.validate.rules import Fields

if TYPE_CHECKING:
    from netlab.topology.impairment import Impairment

KEYS = ("delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate", "queue", "seed")


class Written(NamedTuple):
    """What happens to packets, as written: values by the fields of an Impairment, and the places of the keys' values.

    A key whose value is wrong has a place only.
    """

    changes: Mapping[str, Any]
    places: Mapping[str, Place]


def read(fields: Fields) -> Written | None:
    """Read what a link or an end of it says; None where it says nothing."""
    places = {key: fields.value_place(key) for key in KEYS if key in fields}
    if not places:
        return None
    from netlab.topology.validate import impairments

    return Written(impairments.read(fields), places)


def check(findings: Findings, both: Written | None, ends: Sequence[Written | None]) -> None:
    """Add the mistakes of keys that do not fit each other in a direction, which has those of both and its own."""
    for own in ends:
        said = [each for each in (both, own) if each]
        if not said or any(len(each.changes) < len(each.places) for each in said):
            continue
        from netlab.topology.validate import impairments

        found = impairments.PLAIN
        places: dict[str, Place] = {}
        for each in said:
            found = found._replace(**each.changes)
            places.update(each.places)
        key, message = impairments.problem(found)
        if key:
            findings.add(places[key], message)


def sends(both: Written | None, ends: Sequence[Written | None], side: int, copy: int) -> "Impairment | None":
    """Return what happens to packets that one end of a link sends; None for a link of which nothing is written.

    `copy` is the link's number, from 0, among those that are made of one in the file.
    """
    if not both and not any(ends):
        return None
    from netlab.topology import impairment

    own = ends[side]
    changes = {**(both.changes if both else {}), **(own.changes if own else {})}
    found = impairment.PLAIN._replace(**changes)
    if not found.seed:
        return found
    is_own = bool(own and "seed" in own.changes)
    return found._replace(seed=impairment.seed(found.seed, copy, 0 if is_own else side))
