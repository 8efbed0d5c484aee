"""Records of labs for tests of the page."""

from collections.abc import Iterable

from netlab.record import shapes
from netlab.record.model import LabRecord

Links = Iterable[tuple[str, str]]


def data(links: Links, programs: Iterable[str] = ()) -> dict[str, object]:
    """Return a lab of these links, as in its file; `programs` are nodes with one."""
    ends: dict[str, dict[str, object]] = {}
    for number, (a, b) in enumerate(links):
        names = f"eth{len(ends.setdefault(a, {}))}", f"eth{len(ends.setdefault(b, {}))}"
        for own, other, at, (name, peer) in ((a, b, 1, names), (b, a, 2, names[::-1])):
            ends[own][name] = {"addresses": [f"10.0.{number}.{at}/24"], "peer": other, "peer_interface": peer}
    program = {"name": "program", "interfaces": ["eth0"], "hook": "xdp"}
    about = {
        name: {
            "kind": "node",
            "limits": {},
            "interfaces": found,
            "programs": [program] if name in programs else [],
            "processes": [],
        }
        for name, found in ends.items()
    }
    return {"lab": "mine", "topology": "", "runtime": "netns", "folder": "", "nodes": about}


def record(links: Links, programs: Iterable[str] = ()) -> LabRecord:
    """Return the same as a record."""
    return shapes.read(LabRecord, data(links, programs), is_part=True)


OF_PARTB = (("client", "lb"), ("lb", "worker1"), ("lb", "worker2"))
PARTB = record(OF_PARTB, ["lb"])
