"""Counters in Prometheus's text format, version 0.0.4. Pure."""

from collections import Counter
from collections.abc import Iterator

from netlab.named_tuple import NamedTuple
from netlab.observe.stats import LabStats

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class _Family(NamedTuple):
    """A metric: its name without the prefix `netlab_`, its kind, and a sentence of help."""

    name: str
    kind: str
    help: str


_PACKETS = _Family("program_packets_total", "counter", "Packets that have left a program, by reason.")
_BYTES = _Family("program_bytes_total", "counter", "Bytes of the packets that have left a program, by reason.")
_COUNTERS = _Family("program_counter", "gauge", "Whole numbers in the arrays of a program, but zeros.")
_FULL = _Family(
    "node_udp_rcvbuf_errors_total", "counter", "Datagrams dropped in a node as their socket's buffer was full."
)
_LOST = _Family("xdp_lost_frames_total", "counter", "Frames that the kernel has lost with XDP, by reason.")
_CARRIED = _Family("link_packets_total", "counter", "Packets of a direction of a link, by what has become of them.")
_DELAYED = _Family("link_packets_delayed", "gauge", "Packets that a direction of a link holds up now.")
_FATES = ("carried", "lost", "doubled", "corrupted", "overtaken", "dropped_by_queue", "dropped_by_delay")
_BALANCER = (
    (_Family("balancer_requests_received_total", "counter", "Requests: forwarded + queued + dropped."), "received"),
    (_Family("balancer_requests_forwarded_total", "counter", "Requests that left at once."), "forwarded"),
    (_Family("balancer_requests_queued_total", "counter", "Requests that had to wait."), "queued"),
    (_Family("balancer_requests_dequeued_total", "counter", "Requests that have left the queue."), "dequeued"),
    (_Family("balancer_requests_dropped_total", "counter", "Requests that were dropped."), "dropped"),
    (_Family("balancer_completions_total", "counter", "Completions that have freed a thread."), "completions"),
    (_Family("balancer_threads_expired_total", "counter", "Threads freed by the timeout."), "expired"),
    (
        _Family("balancer_requests_retried_total", "counter", "Requests that wait again: lost with a backend."),
        "retried",
    ),
    (_Family("balancer_requests_unheld_total", "counter", "Requests sent on without a slot to keep them."), "unheld"),
    (_Family("balancer_requests_held", "gauge", "Requests that are kept until they are done."), "held"),
    (_Family("balancer_queue_depth", "gauge", "Requests that wait now."), "queue_depth"),
    (_Family("balancer_queue_capacity", "gauge", "Requests that can wait."), "queue_capacity"),
)
_BACKENDS = (
    (_Family("balancer_threads_free", "gauge", "Free threads of a backend."), "free"),
    (_Family("balancer_threads_capacity", "gauge", "Threads of a backend."), "capacity"),
    (_Family("balancer_backend_weight", "gauge", "Weight of a backend when it is not drained."), "weight"),
    (_Family("balancer_backend_drained", "gauge", "Whether a backend is drained: it gets no requests."), "drained"),
)
_REPORTS = (
    (
        _Family("balancer_reporter_silent", "gauge", "Whether a backend that reports has not done so for too long."),
        "silent",
    ),
    (_Family("balancer_reporter_heard_seconds", "gauge", "Seconds since a backend's last report."), "heard_s"),
    (
        _Family("balancer_reporter_requests", "gauge", "Requests that a backend has received since it began."),
        "received",
    ),
    (
        _Family("balancer_reporter_completed", "gauge", "Requests that a backend has completed since it began."),
        "completed",
    ),
    (_Family("balancer_reporter_lost_requests", "gauge", "Requests lost on their way to a backend."), "lost_requests"),
    (
        _Family("balancer_reporter_lost_completions", "gauge", "Completions lost on their way from a backend."),
        "lost_completions",
    ),
    (
        _Family("balancer_reporter_doubled_completions_total", "counter", "Completions that freed a thread too many."),
        "doubled_completions",
    ),
)


def text(stats: LabStats) -> str:
    """Return everything that a lab's programs count, as one exposition that ends with a newline."""
    return "".join(f"{line}\n" for line in _lines(stats))


def _lines(stats: LabStats) -> Iterator[str]:
    lab = stats.lab
    for family, key in ((_PACKETS, "packets"), (_BYTES, "bytes")):
        yield from _head(family)
        for program, reasons in stats.reasons().items():
            for reason, count in reasons.items():
                yield _sample(family, getattr(count, key), lab=lab, **_labels(program), reason=reason)
    counters = {
        (program, name, key): number
        for program, counted in stats.programs.items()
        for name, numbers in counted.counters.items()
        for key, number in numbers.items()
    }
    yield from _head(_COUNTERS) if counters else ()
    for (program, name, key), number in counters.items():
        yield _sample(_COUNTERS, number, lab=lab, **_labels(program), map=name, key=key)
    yield from _losses(stats)
    yield from _links(stats)
    yield from _head(_FULL)
    yield from (_sample(_FULL, errors, lab=lab, node=node) for node, errors in stats.udp_rcvbuf_errors.items())
    for family, key in _BALANCER if stats.balancers else ():
        yield from _head(family)
        for program, now in stats.balancers.items():
            yield _sample(family, getattr(now, key), lab=lab, **_labels(program))
    backends = {
        (program, name): backend for program, now in stats.balancers.items() for name, backend in now.backends.items()
    }
    reports = {place: backend.reports for place, backend in backends.items() if backend.reports}
    for families, values in ((_BACKENDS, backends), (_REPORTS, reports)):
        for family, key in families if values else ():
            yield from _head(family)
            for (program, name), value in values.items():
                yield _sample(family, getattr(value, key), lab=lab, **_labels(program), backend=name)


def _losses(stats: LabStats) -> Iterator[str]:
    """Yield lost frames by what a sample tells of them, as no two samples may be alike."""
    found: Counter[tuple[str, ...]] = Counter()
    for loss in stats.xdp_losses:
        found[loss.program or loss.node, loss.interface, loss.reason, loss.target] += loss.frames
    yield from _head(_LOST) if found else ()
    for (program, interface, reason, target), frames in found.items():
        where = {**_labels(program), "interface": interface, "target": target}
        yield _sample(_LOST, frames, lab=stats.lab, **where, reason=reason)


def _links(stats: LabStats) -> Iterator[str]:
    """Yield what directions of links have counted."""
    counted = [(way, way.counts) for link in stats.links for way in link.directions if way.counts]
    for family, fates in ((_CARRIED, _FATES), (_DELAYED, ("delayed_now",))):
        yield from _head(family) if counted else ()
        for way, counters in counted:
            ends = {"from": ":".join(way.sender), "to": ":".join(way.receiver)}
            for fate in fates:
                what = {"fate": fate} if family is _CARRIED else {}
                yield _sample(family, getattr(counters, fate), lab=stats.lab, **ends, **what)


def _labels(program: str) -> dict[str, str]:
    """Return what tells programs apart, by their keys: the node, and the name of one of several there."""
    node, _, name = program.partition("/")
    return {"node": node, "program": name} if name else {"node": node}


def _head(family: _Family) -> Iterator[str]:
    yield f"# HELP netlab_{family.name} {family.help}"
    yield f"# TYPE netlab_{family.name} {family.kind}"


def _sample(family: _Family, value: float, **labels: str) -> str:
    written = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"netlab_{family.name}{{{written}}} {+value}"  # with the plus, True is 1
