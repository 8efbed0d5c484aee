"""What may be changed from a browser with the key for that: processes, links, backends. All by `netlab.api`."""

from collections.abc import Callable, Mapping

from netlab import balancer
from netlab.api.lab import Lab
from netlab.errors import UsageError
from netlab.record.model import LabRecord

_OF_PROCESSES = ("restart", "stop", "start", "pause", "resume")
_OF_BACKENDS = ("drain", "undrain")
_OF_LINKS = ("down", "up", "reset")
VALUES = ("delay", "loss", "rate")


def of_node(record: LabRecord, node: str) -> tuple[str, ...]:
    """Return what may be done to a node."""
    found: tuple[str, ...] = _OF_PROCESSES if record.nodes[node].processes else ()
    return (*found, *_OF_BACKENDS) if _balancers(record) and not _carries(record, node) else found


def of_link() -> tuple[str, ...]:
    """Return what may be done to a link, besides setting values of it."""
    return _OF_LINKS


def change_node(lab: str, node: str, what: str) -> str:
    """Do something to a node, and return what was done; NetlabError, as with the command of that name."""
    attached = Lab.attach(lab)
    if what in _OF_BACKENDS:
        work: Callable[..., object] = getattr(attached.balancer(), what)
        work(node)
    elif what in _OF_PROCESSES:
        getattr(attached[node], what)()
    else:
        raise UsageError(f"nobody can {what} a node")
    return "; ".join([f"{node}: {what} is done", *attached.notes])


def change_link(lab: str, end: str, what: str, values: Mapping[str, str]) -> str:
    """Set a link, given by one of its ends NODE:INTERFACE, up or down, or values of it; and return what was done."""
    attached = Lab.attach(lab)
    link = attached.link(end)
    if what == "set":
        given = {name: value.strip() for name, value in values.items() if name in VALUES and value.strip()}
        if not given:
            raise UsageError(f"expected a value for one of {', '.join(VALUES)}")
        link.set(**given)
    elif what in _OF_LINKS:
        getattr(link, what)()
    else:
        raise UsageError(f"nobody can {what} a link")
    return "; ".join([f"{end}: {what} is done", *attached.notes])


def _balancers(record: LabRecord) -> bool:
    return bool(balancer.carried(record))


def _carries(record: LabRecord, node: str) -> bool:
    return bool(record.nodes[node].programs)
