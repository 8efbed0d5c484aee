"""Builds a lab, follows it until it is over, collects the evidence, and removes the lab."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from netlab import paths
from netlab.demo import parta, partb
from netlab.demo.events import Asked, Exited
from netlab.demo.evidence import Claim, Entry, Evidence, Sockets
from netlab.demo.wordings import parse
from netlab.errors import NetlabError
from netlab.kernel import files, signals, syscalls
from netlab.lab import apply
from netlab.lab.standing import Standing
from netlab.observe import stats
from netlab.observe.capture import Capture
from netlab.plan.planner import Plan
from netlab.record import store
from netlab.record.model import InterfaceRecord, LabRecord
from netlab.supervise import logs

# If nothing happens for so long, besides what a request asks for, a play will not end better: after a role has
# ended, and before that.
_QUIET_S, _SILENT_S = 3.0, 60.0
_LONGEST_S = 600.0
_SETTLE_S = 0.2  # for the last lines of a play that is over
_SOCKETS_S = 1.0  # for TCP to close its connections
_SOCKETS_INTERVAL_S = 0.05
_CLOSED_PORT, _PROBE_S = 1, 1.0
_LISTEN = "0A"  # state of a socket, in /proc/net/tcp


class Demo(NamedTuple):
    """What can be played: a topology with changes, when it is over, and what the exercise claims of it."""

    about: str
    topology: str
    changes: tuple[str, ...]
    is_over: Callable[[Evidence], bool]
    claims: Callable[[Evidence], list[Claim]]


def _client(**args: object) -> tuple[str, ...]:
    return tuple(f"nodes.client.args.{name}={value}" for name, value in args.items())


DEMOS = {
    "parta": Demo(
        "a server that loses every other byte",
        "parta",
        _client(connections=2, isn=1000),  # one initial number is even, one is odd
        parta.is_over,
        parta.claims,
    ),
    "partb-low": Demo(
        "short requests: a thread is always free",
        "partb",
        _client(count=30, interval=0.1, sleep=[0.2, 0.5]),
        partb.is_over,
        partb.low,
    ),
    "partb-high": Demo(
        "long requests: they wait in the kernel",
        "partb",
        _client(count=40, interval=0.02, sleep=[0.7, 1], late=5, rest=3),
        partb.is_over,
        partb.high,
    ),
}


def play(
    plan: Plan,
    is_over: Callable[[Evidence], bool],
    deadline_s: float,
    say: Callable[[str], None],
    show: Callable[[Entry, int], None],
    capture: Capture | None = None,
) -> Evidence:
    """Build a plan's lab, call `show` with every line and the time of the first one, and return the evidence.

    Captures begin when the links are made, before anything runs, and have stopped when this returns. The lab is removed
    in any case. NetlabError if a lab of its name exists already, or is not up within `deadline_s` seconds.
    """
    lab = plan.topology.name
    with signals.raising(), ExitStack() as in_the_end:
        if capture:
            in_the_end.callback(capture.stop)
        with signals.waiting():  # except while `up` listens: so no lab is ever left behind
            if lab in store.labs() or not apply.up(plan, deadline_s, say, capture.start if capture else None):
                raise NetlabError(f"a lab named {lab} is up: netlab down --lab {lab} first, or play with --lab NAME")
            in_the_end.callback(_remove, lab, say)
        if capture:
            in_the_end.callback(capture.stop)  # before the lab is removed; a second call does no harm
        standing = Standing.read(lab)
        record = standing.record
        evidence = Evidence([], record, stats.LabStats(record.lab, {}, {}), {}, _sources(record), {})
        _follow(evidence, is_over, show)
        evidence = evidence._replace(stats=stats.read(standing), sockets=_settled_sockets(standing))
        return evidence._replace(probes=_probe(standing))  # at the end, because these packets are counted, too


def _remove(lab: str, say: Callable[[str], None]) -> None:
    """Remove the lab, whatever would end us: nobody else does it."""
    with signals.waiting():
        apply.down(lab, say)


def _sources(lab: LabRecord) -> dict[str, str]:
    return {key: files.source(paths.source(lab.folder, key)) for key, _ in lab.programs()}


def _follow(evidence: Evidence, is_over: Callable[[Evidence], bool], show: Callable[[Entry, int], None]) -> None:
    """Add every line to the timeline as it comes, until the play is over, or nothing happens any more."""
    timeline = evidence.timeline
    begun = last = time.monotonic()
    asked_s = 0.0

    def is_done() -> bool:
        quiet_s = time.monotonic() - last
        has_ended = any(isinstance(entry.event, Exited) for entry in timeline)
        patience_s = _SETTLE_S if is_over(evidence) else _QUIET_S + asked_s if has_ended else _SILENT_S
        return quiet_s > patience_s or time.monotonic() - begun > _LONGEST_S

    processes = [key for key, _ in evidence.lab.processes()]
    for line in logs.read(evidence.lab.folder, processes, trace=True, follow=True, until=is_done):
        entry = Entry(line, parse(line))
        timeline.append(entry)
        show(entry, timeline[0].line.ns)
        last = time.monotonic()
        if isinstance(entry.event, Asked):
            asked_s = max(asked_s, entry.event.seconds or 0.0)
    timeline.sort(key=lambda entry: entry.line.ns)


def _settled_sockets(lab: Standing) -> dict[str, Sockets]:
    """Return what the nodes' kernels say of TCP, as soon as no connection is left, or a second later."""
    end = time.monotonic() + _SOCKETS_S
    while True:
        found = _sockets(lab)
        if not any(node.connections for node in found.values()) or time.monotonic() > end:
            return found
        time.sleep(_SOCKETS_INTERVAL_S)


def _sockets(lab: Standing) -> dict[str, Sockets]:
    return {node: syscalls.inside(lab.runtime.netns_path(node), _sockets_here) for node in lab.record.nodes}


def _sockets_here() -> Sockets:
    """Read the network of the calling thread; /proc/net would be that of the main thread."""
    with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = (line.split()[1:] for line in file if line.startswith("Tcp:"))
    counters = dict(zip(names, map(int, values), strict=True))
    states = [state for protocol in ("tcp", "tcp6") for state in _states(f"/proc/thread-self/net/{protocol}")]
    return Sockets(counters["RetransSegs"], counters["OutRsts"], sum(state != _LISTEN for state in states))


def _probe(lab: Standing) -> dict[str, str]:
    """Send packets to a closed port behind each program, from a host: if they pass, they are refused."""
    found: dict[str, str] = {}
    for key, program in lab.record.programs():
        node = paths.node_of(key)
        port = lab.record.nodes[node].interfaces[program.interfaces[0]]
        host = next(each.partition("/")[0] for each in port.addresses if ":" not in each)
        peer = next(_hosts_behind(lab.record, node, port), "")
        for what, kind in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
            knock = partial(_answer, host, kind)
            answer = syscalls.inside(lab.runtime.netns_path(peer), knock) if peer else "there is nobody to knock"
            found[f"{what} to port {_CLOSED_PORT} of {key}"] = answer
    return found


def _hosts_behind(lab: LabRecord, node: str, port: InterfaceRecord) -> Iterator[str]:
    """Yield the hosts at the other end of a node's interface; if that is a switch, the hosts behind it.

    Switches have no address for an answer, and are joined without loops.
    """
    other = lab.nodes[port.peer]
    if other.kind != "switch":
        yield port.peer
        return
    for further in other.interfaces.values():
        if further.peer != node:
            yield from _hosts_behind(lab, port.peer, further)


def _answer(host: str, kind: int) -> str:
    with socket.socket(socket.AF_INET, kind) as knocking:
        knocking.settimeout(_PROBE_S)
        try:
            knocking.connect((host, _CLOSED_PORT))
            knocking.send(b"?")
            knocking.recv(1)
        except TimeoutError:
            return "no answer"
        except OSError as error:
            return str(error.strerror).lower()
    return "answered"


def _states(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return [line.split()[3] for line in file.readlines()[1:]]
