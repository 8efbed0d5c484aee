"""What is no longer in the middle of links as it was set, in words."""

from collections.abc import Sequence

from netlab.network.impairment_settings import UNLIMITED, Direction, bucket_of, settings_of
from netlab.network.middle import ALL_TARGETS, Middle, stage_of
from netlab.network.queue_messages import Link
from netlab.programs import impairment_layout as layout
from netlab.programs.impairment_maps import Settings
from netlab.topology.impairment import Impairment

_PACKET_SOCKETS = "/proc/thread-self/net/packet"


def missing_in_middle(directions: Sequence[Direction]) -> list[str]:
    """Return what is missing in the middle that the thread has entered, a line each."""
    with Middle() as middle:
        found = [line for direction in directions for line in _missing(middle, direction)]
        stages = {stage_of(ALL_TARGETS)} & middle.indexes
        by_process = any(
            settings.flags & layout.HOLDS and settings.flags & layout.BY_PROCESS
            for settings in (middle.program.all_settings().values() if middle.program else ())
        )
        if by_process and stages and not has_listener():
            found.append("the process that delays packets does not run: what it should delay is lost")
        return found


def _missing(middle: Middle, direction: Direction) -> list[str]:
    """Return what is not as it should be in one direction."""
    gone = [name for name in direction[:2] if name not in middle.links]
    if gone:
        return [f"the interface {name} in the middle is gone" for name in gone]
    source, target, impairment = middle.link(direction.source), middle.link(direction.target), direction.impairment
    program = middle.attached(source.index)
    if program is None:
        return [f"the program at {source.name} in the middle is gone: nothing passes there"]
    found = []
    settings = program.settings(source.index)
    program.close()
    if settings is None or not _is_as(settings, target, impairment):
        found.append(f"packets that come into the middle at {source.name} are not impaired as set")
    queue = middle.queues.get(target.index)
    tbf = queue.tbf if queue else None
    if impairment.rate and (tbf is None or not tbf.is_as(bucket_of(impairment, target.mtu))):
        found.append(f"the rate of what leaves the middle by {target.name} is not limited as set")
    if not impairment.rate and queue and tbf != UNLIMITED and not (tbf and tbf.is_as(UNLIMITED)):
        found.append(f"what leaves the middle by {target.name} has a queue that netlab has not set")
    if settings and settings.flags & layout.HOLDS and not _has_stage(middle, settings):
        found.append(f"what leaves the middle by {target.name} is not delayed: {_lack(middle, settings)} is gone")
    return found


def _is_as(settings: Settings, target: Link, impairment: Impairment) -> bool:
    wanted = settings_of({}, settings, target, impairment, held_by_netem=not settings.flags & layout.BY_PROCESS)
    return wanted._replace(until_ns=0) == settings._replace(until_ns=0)


def _has_stage(middle: Middle, settings: Settings) -> bool:
    return settings.stage in (middle.indexes if settings.flags & layout.BY_PROCESS else middle.queues)


def _lack(middle: Middle, settings: Settings) -> str:
    return "netem" if settings.stage in middle.indexes else "the interface where it waits"


def has_listener() -> bool:
    """Say whether somebody takes the packets that are to be held up in the middle that the thread has entered."""
    with open(_PACKET_SOCKETS, encoding="ascii") as file:
        return any(int(line.split()[4]) == stage_of(ALL_TARGETS) for line in file.readlines()[1:])
