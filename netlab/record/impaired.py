"""What the links of a lab do to packets: as the topology has it, and as it was set last, in a file of its own.

`lab.json` never changes. So what `netlab link` sets is in `links.json`. Without that file, all is as the topology has
it. A link that is being led through the middle is noted there until it is: if the command was killed, another one ends
what it has begun.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.record import shapes
from netlab.record.model import InterfaceRecord, LabRecord
from netlab.topology.impairment import PLAIN, Impairment

End = tuple[str, str]  # node and interface


class Links(NamedTuple):
    """What was set since `up`.

    `sends` is, by NODE INTERFACE, what happens to the packets that an end sends, for both ends of all links that are
    led through the middle. `changing` is, by the numbers of links that are being led there, what that needs to come to
    its end.
    """

    sends: Mapping[str, Impairment] = {}
    changing: Mapping[str, str] = {}


class Direction(NamedTuple):
    """One direction of a link: who sends to whom, and the middle's interfaces beside both, or what they would be.

    `planned` is what the topology has, None for a direction that it does not lead through the middle. `sends` is what
    was set last, None for one that is not led through the middle.
    """

    sender: End
    receiver: End
    source: str
    target: str
    planned: Impairment | None
    sends: Impairment | None

    @property
    def number(self) -> int:
        """The number of the link, from 1."""
        return int(self.source[1:-1])

    @property
    def name(self) -> str:
        """What the direction is called among what was set."""
        return " ".join(self.sender)


def text(does: Impairment) -> str:
    """Return an impairment as JSON, without what is not said."""
    return json.dumps(_told(does, PLAIN), separators=(",", ":"))


def parsed(written: str) -> Impairment:
    """Return an impairment from its JSON; ValueError if it is none."""
    return shapes.read(Impairment, json.loads(written), is_part=True)


def _told(value: Any, plain: Any) -> dict[str, Any]:
    told = {}
    for key, one in value._asdict().items():
        if one != getattr(plain, key):
            told[key] = _told(one, getattr(plain, key)) if hasattr(one, "_asdict") else one
    return told


def read(record: LabRecord) -> Links | None:
    """Return what was set since `up`; None if nothing was. NetlabError if the file is damaged, or not for us."""
    path = f"{record.folder}/{paths.LINKS}"
    try:
        return shapes.read(Links, files.load(path), is_part=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise NetlabError(f"{path}, which says what links do to packets, is damaged or not for you: {error}") from None


def write(record: LabRecord, links: Links) -> None:
    """Write what was set last, at once and as a whole."""
    sends = {end: _told(does, PLAIN) for end, does in links.sends.items()}
    data = {"sends": sends, "changing": dict(links.changing)}
    files.write(f"{record.folder}/{paths.LINKS}", json.dumps(data), 0o440)


def has_middle(record: LabRecord) -> bool:
    """Say whether any link is led through the middle, or may have been since `up`."""
    return record.has_middle or os.path.exists(f"{record.folder}/{paths.LINKS}")


def directions(record: LabRecord, links: Links | None) -> list[Direction]:
    """Return both directions of all links, in the order of the links; the first end's direction is first."""
    found = [_direction(record, links, node, name, port) for node, name, port in _ends(record) if port.middle]
    return sorted(found, key=lambda each: (each.number, each.source))


def _ends(record: LabRecord) -> Iterator[tuple[str, str, InterfaceRecord]]:
    for node, about in record.nodes.items():
        yield from ((node, name, port) for name, port in about.interfaces.items())


def _direction(record: LabRecord, links: Links | None, node: str, name: str, port: InterfaceRecord) -> Direction:
    planned = parsed(port.sends) if port.sends else None
    sends = links.sends.get(f"{node} {name}", planned) if links else planned
    target = record.nodes[port.peer].interfaces[port.peer_interface].middle
    return Direction((node, name), (port.peer, port.peer_interface), port.middle, target, planned, sends)
