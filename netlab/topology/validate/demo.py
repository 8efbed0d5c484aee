"""Rules for `demo:`: what `netlab demo` is told of a lab, because it knows neither its roles nor its programs."""

import re

from netlab.errors import TopologyError
from netlab.kernel.searching import compiled
from netlab.named_tuple import NamedTuple
from netlab.topology.document.tree import Document, Item
from netlab.topology.model import Judged
from netlab.topology.validate.findings import Findings, Name
from netlab.topology.validate.names import Names
from netlab.topology.validate.rules import Fields, integer, name, one_or_more, pairs, word

_NODES = ("client", "balancer", "server")
_PORTS = ("service_port", "worker_port", "completion_port", "port")
KEYS = (*_NODES, "workers", "threads", *_PORTS, "queue", "prints")
_PORT = integer(1, 65535, "a port")
_MOST_THREADS, _MOST_WAITING = 1000, 100_000
PRINTS = ("received", "forwarded", "queued", "dequeued", "freed")  # what a line can say (judge/lines)


class Said(NamedTuple):
    """What is written, with the nodes that have still to be looked up."""

    judged: Judged
    nodes: tuple[tuple[str, Name], ...]
    workers: tuple[Name, ...]


def read_demo(findings: Findings, item: Item, path: str) -> Said | None:
    """Take what the demo is told; the nodes are looked up by `resolved`."""
    fields = Fields(findings, item, path, KEYS, "a mapping such as {balancer: lb, workers: worker, threads: 5}")
    nodes = ((key, fields.read(key, name, None)) for key in _NODES)
    judged = Judged(
        threads=fields.read("threads", integer(1, _MOST_THREADS), 0),
        service_port=fields.read("service_port", _PORT, 0),
        worker_port=fields.read("worker_port", _PORT, 0),
        completion_port=fields.read("completion_port", _PORT, 0),
        port=fields.read("port", _PORT, 0),
        queue=fields.read("queue", integer(1, _MOST_WAITING), 0),
        prints=fields.read("prints", _prints, ()),
    )
    workers = fields.read("workers", one_or_more(name, "a node, or a list of nodes"), ())
    return Said(judged, tuple((key, each) for key, each in nodes if each), workers)


def resolved(said: Said, names: Names) -> Judged:
    """Return what the demo is told, with the nodes that the names stand for; a name that is none is a mistake."""
    nodes = {key: next(iter(names.find_host(each)), "") for key, each in said.nodes}
    workers = dict.fromkeys(member for each in said.workers for member in names.find_host(each))
    of = {key: nodes.get(key, "") for key in _NODES}
    judged = said.judged._replace(client=of["client"], balancer=of["balancer"], server=of["server"])
    return judged._replace(workers=tuple(workers))


def read_prints(document: Document) -> tuple[tuple[str, str], ...]:
    """Return the patterns of a file of its own; TopologyError with all its mistakes."""
    findings = Findings(document)
    found = _prints(findings, document.root, "")
    if findings:
        raise TopologyError(document.file, findings.mistakes())
    return found or ()


def _prints(findings: Findings, item: Item, path: str) -> tuple[tuple[str, str], ...] | None:
    return pairs(_print_problem, _pattern, "a mapping of patterns of lines")(findings, item, path)


def _print_problem(key: str) -> str:
    return "" if key in PRINTS else f"one of {', '.join(PRINTS)}"


def _pattern(findings: Findings, item: Item, path: str) -> str | None:
    """Take a regular expression."""
    written = word(findings, item, path)
    if written is None:
        return None
    try:
        compiled(written)
    except re.error as error:
        findings.wrong(item, path, f"a regular expression ({error})")
        return None
    return written
