"""What the programs of a lab count."""

import os
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from netlab import balancer, paths
from netlab.balancer.counters import Count
from netlab.balancer.reports import Reporter
from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.observe.link_stats import LinkStats

if TYPE_CHECKING:
    from netlab.lab.standing import Standing
    from netlab.record.model import LabRecord

_REASONS = "reasons"  # the map of packets and bytes by reason
Reasons = Mapping[str, Count]


class BackendStats(NamedTuple):
    """A backend of a balancer: its threads, and what its reports say, None where it has sent none.

    `absent` says why it gets no requests, other than that it is drained: `silent`, `refusing`, `ill`, or nothing.
    """

    free: int
    capacity: int
    weight: int
    drained: bool
    reports: Reporter | None
    absent: str = ""


class BalancerStats(NamedTuple):
    """What a balancer counts: see `balancer.Snapshot`. `carriers` are the reasons by which carriers have left."""

    ready: bool
    received: int
    forwarded: int
    queued: int
    dropped: int
    dequeued: int
    completions: int
    expired: int
    retried: int
    unheld: int
    held: int
    queue_depth: int
    queue_capacity: int
    policy: str
    report_port: int
    holds: bool
    backends: Mapping[str, BackendStats]
    reasons: Reasons
    carriers: Reasons


class ProgramStats(NamedTuple):
    """What a program that is no balancer counts.

    `counters` are the whole numbers in its arrays that are not zero, by map and key; `maps` are its other maps, and
    `events` those of events, each with its kind.
    """

    reasons: Reasons
    counters: Mapping[str, Mapping[str, int]] = {}
    maps: tuple[str, ...] = ()
    events: Mapping[str, str] = {}


class XdpLoss(NamedTuple):
    """Frames that the kernel has lost with XDP at an interface: how many, and why.

    `program` is the key of the program there, `target` the interface that they were to leave by; "" where there is none
    or it is not known. `reason` is a name that stays the same, `text` says it in words. `detail` is what the program
    gave for the last of them: the index or the key that it redirected to, or the action that it returned.
    """

    node: str
    interface: str
    program: str
    reason: str
    target: str
    frames: int
    detail: int
    text: str


class LabStats(NamedTuple):
    """What the programs of a lab count, by key (paths.program_key): balancers, and other programs.

    And the kernel of each node: `udp_rcvbuf_errors` are datagrams that it dropped as their socket's buffer was full.
    `xdp_losses` are frames that the kernel has lost with XDP, most first. `links` are those that do something to
    packets, or may. `problems` says, by key, why what a program
    counts cannot be read.
    """

    lab: str
    balancers: Mapping[str, BalancerStats]
    programs: Mapping[str, ProgramStats]
    udp_rcvbuf_errors: Mapping[str, int] = {}
    problems: Mapping[str, str] = {}
    xdp_losses: tuple[XdpLoss, ...] = ()
    links: tuple[LinkStats, ...] = ()

    def reasons(self) -> dict[str, dict[str, Count]]:
        """Return, by key, what each program counts by reason."""
        balancers = {name: {**now.reasons, **now.carriers} for name, now in self.balancers.items()}
        return {**balancers, **{name: dict(now.reasons) for name, now in self.programs.items()}}


def read(standing: "Standing") -> LabStats:
    """Return what the lab's programs, and the kernels of its nodes, count now: whatever of it can be read."""
    from netlab.lab import snapshot

    lab = standing.record
    found = read_programs(lab)
    problems = dict(found.problems)
    own = [name for name, about in lab.nodes.items() if about.kind != "host"]
    errors = snapshot.udp_rcvbuf_errors(own, standing.runtime.netns_path)
    losses, links = _losses(lab, problems), _links(standing, problems)
    return found._replace(udp_rcvbuf_errors=errors, problems=problems, xdp_losses=losses, links=links)


def read_programs(lab: "LabRecord") -> LabStats:
    """Return what the lab's programs count now, and nothing else."""
    balancers: dict[str, BalancerStats] = {}
    programs: dict[str, ProgramStats] = {}
    problems: dict[str, str] = {}
    for key, program in lab.programs():
        try:
            if balancer.has_balancer(program.pins):
                balancers[key] = _balancer(program.pins)
            else:
                programs[key] = _program(lab, key, program.pins)
        except (NetlabError, OSError) as error:
            problems[key] = str(error)
        except (struct.error, LookupError, ValueError) as error:  # bytes that are laid out in another way
            problems[key] = f"its maps are not as netlab expects maps of these names: {error}"
    return LabStats(lab.lab, balancers, programs, problems=problems)


def _links(standing: "Standing", problems: dict[str, str]) -> tuple[LinkStats, ...]:
    """Return what links that are led through the middle have counted; most labs have none."""
    lab = standing.record
    if not lab.has_middle and not os.path.exists(f"{lab.folder}/{paths.LINKS}"):
        return ()
    from netlab.observe import link_view

    try:
        found = link_view.read(standing, led_only=True)
    except (NetlabError, OSError) as error:
        problems["links"] = str(error)
        return ()
    problems.update((each.link, problem) for each in found for problem in each.problems)
    return found


def _losses(lab: "LabRecord", problems: dict[str, str]) -> tuple[XdpLoss, ...]:
    from netlab.observe import xdp_losses

    try:
        return xdp_losses.read(lab)
    except (NetlabError, OSError) as error:
        problems["XDP"] = f"what the kernel has lost cannot be read: {error}"
        return ()


def _program(lab: "LabRecord", key: str, pins: str) -> ProgramStats:
    from netlab.observe import plain_counters

    reasons = _reasons(pins, _REASONS, "reason")
    return ProgramStats(reasons, *plain_counters.read(lab, key, frozenset([_REASONS] if reasons else [])))


def _balancer(pins: str) -> BalancerStats:
    now = balancer.snapshot(pins)
    reports, absent = balancer.reporters(pins), balancer.absent(pins)  # meanwhile a backend may have been removed
    return BalancerStats(
        ready=now.ready,
        **now.counters,
        queue_depth=now.depth,
        queue_capacity=now.queue,
        policy=now.policy,
        report_port=now.report_port,
        holds=now.holds,
        backends={
            name: BackendStats(
                now.free[name],
                capacity,
                now.weights[name],
                name in now.drained,
                reports.get(name),
                absent.get(name, ""),
            )
            for name, capacity in now.capacity.items()
        },
        reasons=_reasons(pins, _REASONS, "reason"),
        carriers=_reasons(pins, "carrier_reasons", "carrier_reason"),
    )


def _reasons(pins: str, map_name: str, enum: str) -> Reasons:
    if not os.path.exists(paths.map_pin(pins, map_name)):  # a program need not count
        return {}
    return balancer.counts(pins, map_name, enum)
