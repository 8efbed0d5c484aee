"""What is to be set in the middle of links for an impairment: the program's settings, and the bucket of a rate."""

import time

from netlab.named_tuple import NamedTuple
from netlab.network.middle import ALL_TARGETS, stage_of
from netlab.network.queue_messages import Link, Tbf
from netlab.programs import impairment_layout as layout
from netlab.programs.impairment_maps import Settings, choice_of, packed_choices
from netlab.topology.chosen_packets import KINDS
from netlab.topology.impairment import Impairment

_FRAME = 14 + 4  # Ethernet's header and a VLAN tag
# A burst makes up for a processor that comes late to send: so little that 0.1 s of traffic have a tenth more at most.
_BURST_S, _QUEUE_S, _QUEUE_FRAMES = 0.01, 0.05, 16
MOST_HELD = 100_000  # packets in one direction
UNLIMITED = Tbf(125_000_000_000, 1 << 24, 1 << 24)  # a terabit a second: what a rate becomes that is taken away
_SETTLE_NS = 100_000_000


class Direction(NamedTuple):
    """Packets that come into the middle at `source` and leave it by `target`: names of its interfaces."""

    source: str
    target: str
    impairment: Impairment


def holds(impairment: Impairment) -> bool:
    """Say whether packets are held up."""
    return bool(impairment.delay_ns or impairment.jitter_ns)


def bucket_of(impairment: Impairment, mtu: int) -> Tbf:
    """Return the token bucket for a rate, at an interface with this MTU."""
    rate, frame = max(1, impairment.rate // 8), mtu + _FRAME
    queue = impairment.queue_bytes or max(int(rate * _QUEUE_S), _QUEUE_FRAMES * frame)
    limit = (1 << 32) - 1
    return Tbf(rate, min(limit, max(2 * frame, int(rate * _BURST_S))), min(limit, max(queue, frame)))


def settings_of(
    there: dict[int, Settings], before: Settings | None, target: Link, impairment: Impairment, held_by_netem: bool
) -> Settings:
    """Return what the program is to do, beside lists of numbers."""
    before = before or Settings(target.index)
    flags = layout.CHOOSES if impairment.jitter_ns or any(choice_of(impairment, kind).model for kind in KINDS) else 0
    by_process = before.flags & layout.BY_PROCESS if before.stage else 0 if held_by_netem else layout.BY_PROCESS
    after = before._replace(
        target=target.index,
        seed=impairment.seed & (1 << 64) - 1,
        delay_ns=impairment.delay_ns,
        jitter_ns=impairment.jitter_ns,
        choices=packed_choices(impairment),
    )
    if holds(impairment):
        stage = stage_of(ALL_TARGETS if by_process else target.index)
        place = before.place or (_free_place(there) if by_process else 0)
        return after._replace(flags=flags | layout.HOLDS | by_process, stage=stage, place=place)
    if before.flags & layout.HOLDS:  # what is under way stays ahead of what comes
        until = time.monotonic_ns() + before.delay_ns + before.jitter_ns + _SETTLE_NS
        after = after._replace(until_ns=until)
    return after._replace(flags=flags | (by_process if before.stage else 0))


def _free_place(there: dict[int, Settings]) -> int:
    """Return where the process may count: places begin at 1."""
    taken = {each.place for each in there.values()}
    return next(place for place in range(1, len(taken) + 2) if place not in taken)
