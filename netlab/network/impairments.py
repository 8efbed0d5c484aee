"""What the middle of impaired links does to packets: set, changed while they pass, read, and removed.

The middle is a network namespace with two interfaces for each impaired link. Packets that come in at the one leave by
the other, through up to three stages:

    program    at the interface where they come in: chooses which are lost, corrupted, doubled or overtake others
    delay      by netem at a pair of interfaces in the middle; where the kernel has no netem, by `packet_holder`
    rate       a token bucket at the interface where they leave

Nothing is remembered anywhere else: what is set is read from the middle itself.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from netlab import paths
from netlab.errors import NetlabError, reason, refuse_lack
from netlab.kernel.syscalls import inside
from netlab.named_tuple import NamedTuple
from netlab.network.impairment_settings import MOST_HELD, UNLIMITED, Direction, bucket_of, holds, settings_of
from netlab.network.middle import ALL_TARGETS, Middle, stage_of
from netlab.network.queue_messages import Link, Netem
from netlab.programs import impairment_layout as layout
from netlab.programs.impairment_maps import MiddleProgram, Settings, choice_of
from netlab.topology.chosen_packets import KINDS
from netlab.topology.impairment import Impairment

_HOLDER = "netlab.network.packet_holder"
_BOOT = f"import sys; sys.path.append(sys.argv[1]); from {_HOLDER} import main; sys.exit(main(*sys.argv[2:]))"

_T = TypeVar("_T")


class Counters(NamedTuple):
    """Packets of one direction since it was set. Each that has come was carried, lost or dropped, or is delayed now.

    `carried` have left the middle, doubles among them, and the `corrupted` ones and those that have `overtaken` others.
    `dropped_by_queue` found no room where the rate makes packets wait, `dropped_by_delay` where they are held up.
    """

    carried: int
    lost: int
    doubled: int
    corrupted: int
    overtaken: int
    delayed_now: int
    dropped_by_queue: int
    dropped_by_delay: int


def set_direction(netns: str, source: str, target: str, impairment: Impairment) -> None:
    """Let packets that come in at `source` leave by `target`, impaired so; see `set_directions`."""
    set_directions(netns, [Direction(source, target, impairment)])


def set_directions(netns: str, directions: Sequence[Direction]) -> None:
    """Do this to these directions of the middle whose namespace is the file `netns`; the others stay as they are.

    Only what differs is changed: packets that are under way stay so, and counts go on. Packets are numbered anew if a
    choice or the seed has changed. NetlabError says what is missing, or what the kernel refuses; some directions may
    have been set then.
    """
    if directions:
        _inside(netns, partial(_set_all, netns, directions))


def read_direction(netns: str, source: str, target: str) -> Counters:
    """Return what was counted in one direction; NetlabError if it is not set."""
    return read_directions(netns, [(source, target)])[0]


def read_directions(netns: str, pairs: Sequence[tuple[str, str]]) -> list[Counters]:
    """Return what was counted in these directions, sources with targets; NetlabError if one is not set."""
    return _inside(netns, partial(_read_all, pairs))


def missing(netns: str, directions: Sequence[Direction]) -> list[str]:
    """Return what is no longer as it was set, a line each; without the namespace, that it is gone."""
    from netlab.network.impairment_drift import missing_in_middle  # here, as only `status` needs it

    try:
        return _inside(netns, partial(missing_in_middle, directions))
    except NetlabError as error:
        return [str(error)]


def clear_direction(netns: str, source: str, target: str) -> None:
    """Let nothing pass any more from `source` to `target`, and forget what was set and counted."""
    _inside(netns, partial(_clear, source, target))


def end_holding(netns: str) -> bool:
    """Remove the interfaces where packets of links that are gone were held up; say whether it was the last of them."""
    return _inside(netns, _end_holding)


def process_of(netns: str, impairments: Iterable[Impairment]) -> list[str] | None:
    """Return the command of the process that holds packets up in this middle; None where none is needed.

    It is one process for all directions, needs root, and may be started before or after they are set; until it
    listens, what it should hold up is lost. It ends with its parent, whose number may be one more argument, and when
    the middle goes. What is changed later reaches it with the packets.
    """
    if not any(map(holds, impairments)) or _inside(netns, _has_netem):
        return None
    return [sys.executable, "-IS", "-c", _BOOT, paths.IMPORTED_FROM, netns]


def listens(netns: str) -> bool:
    """Say whether the process of `process_of` takes packets."""
    from netlab.network.impairment_drift import has_listener

    return _inside(netns, has_listener)


def _inside(netns: str, work: Callable[[], _T]) -> _T:
    try:
        return inside(netns, work)
    except OSError as error:
        refuse_lack(error, "links cannot be impaired")
        place = f": {error.filename}" if error.filename else ""
        raise NetlabError(f"the middle of the links cannot be reached{place}: {reason(error)}") from error


def _has_netem() -> bool:
    with Middle() as middle:
        return middle.has_netem()


def _set_all(netns: str, directions: Sequence[Direction]) -> None:
    with Middle() as middle:
        program = middle.program = middle.program or MiddleProgram.load()
        there = program.all_settings()
        held_by_netem = any(holds(each.impairment) for each in directions) and middle.has_netem()
        changes = []
        for direction in directions:
            source, target = middle.link(direction.source), middle.link(direction.target)
            if source.index in there and source.index not in middle.hooked:  # of an interface that is gone
                del there[source.index]
                program.remove(source.index)
            before = there.get(source.index)
            _set_rate(middle, target, direction.impairment)
            after = settings_of(there, before, target, direction.impairment, held_by_netem)
            if after.stage:
                _set_stage(middle, program, netns, target, before, after)
            there[source.index] = after
            changes.append((direction, source, before, after))
        middle.send()
        for direction, source, before, after in changes:
            _set_choices(program, direction, source, before, after)
            middle.attach(source.index, program)
        middle.send()


def _set_rate(middle: Middle, target: Link, impairment: Impairment) -> None:
    """Limit the rate. A limit that is taken away stays as a very high one, so that no packet in it is lost."""
    if impairment.rate:
        middle.limit(target, bucket_of(impairment, target.mtu))
    elif target.index in middle.queues:
        middle.limit(target, UNLIMITED)


def _set_stage(
    middle: Middle, program: MiddleProgram, netns: str, target: Link, before: Settings | None, after: Settings
) -> None:
    """Make what holds packets up, or change it."""
    if after.flags & layout.BY_PROCESS:
        middle.add_stage(netns, ALL_TARGETS)
        return
    netem = Netem(after.delay_ns, after.jitter_ns, MOST_HELD, after.seed)
    is_as_set = before is not None and before[2:5] == after[2:5]
    middle.hold(netns, target, netem, is_as_set=is_as_set)
    program.change(after.stage + 1, Settings(target.index, layout.RELAYS))
    middle.attach(after.stage + 1, program)


def _set_choices(
    program: MiddleProgram, direction: Direction, source: Link, before: Settings | None, after: Settings
) -> None:
    """Tell the program what to do; numbers of packets begin anew if other ones are chosen."""
    lists = [choice_of(direction.impairment, kind).numbers for kind in KINDS]
    changed = [program.set_numbers(source.index, kind, numbers) for kind, numbers in enumerate(lists)]
    if before is None or any(changed) or (before.seed, before.choices) != (after.seed, after.choices):
        after = after._replace(epoch=after.epoch + 1 & 0xFFFFFFFF)
    if after.place and (before is None or not before.place):
        program.clear_held(after.place)
    if after != before:
        program.change(source.index, after)


def _found(middle: Middle, source: str) -> tuple[MiddleProgram, Settings]:
    settings = middle.program.settings(middle.link(source).index) if middle.program else None
    if middle.program is None or settings is None:
        raise NetlabError(f"nothing is set for packets that come into the middle of the links at {source}")
    return middle.program, settings


def _read_all(pairs: Sequence[tuple[str, str]]) -> list[Counters]:
    with Middle() as middle:
        return [_read(middle, source, target) for source, target in pairs]


def _read(middle: Middle, source: str, target: str) -> Counters:
    program, settings = _found(middle, source)
    came, lost, corrupted, doubled, overtaken = program.counts(middle.link(source).index)
    queue, stage = middle.queues.get(middle.link(target).index), middle.queues.get(settings.stage)
    dropped_by_queue, waiting = (queue.dropped, queue.waiting) if queue else (0, 0)
    dropped_by_delay, held = (stage.dropped, stage.waiting) if stage else (0, 0)
    if settings.place:
        given, sent, dropped_by_delay, _ = program.held_counts(settings.place)
        held = max(0, given - sent - dropped_by_delay)
    now = held + waiting
    carried = max(0, came - lost + doubled - dropped_by_queue - dropped_by_delay - now)
    return Counters(carried, lost, doubled, corrupted, overtaken, now, dropped_by_queue, dropped_by_delay)


def _end_holding() -> bool:
    with Middle() as middle:
        there = middle.program.all_settings() if middle.program else {}
        used = {settings.stage for index, settings in there.items() if index in middle.indexes}
        stages = middle.stages()
        for index in stages - used:
            middle.remove_link(index)
        middle.send()
    return bool(stages) and not stages & used


def _clear(source: str, target: str) -> None:
    with Middle() as middle:
        if middle.program is None:
            return
        index, leaves = middle.link(source).index, middle.link(target).index
        settings = middle.program.settings(index)
        middle.detach(index)
        middle.free(leaves)
        middle.remove_stage(leaves)
        middle.program.remove(index)
        middle.program.remove(stage_of(leaves) + 1)
        if settings and settings.place and not any(each.place for each in middle.program.all_settings().values()):
            middle.remove_stage(ALL_TARGETS)
        middle.send()
