"""What the balancer counts, read whole and at one moment."""

import os
import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netlab import paths
from netlab.balancer.layout import FIRST, FREE, POLICIES, STATE, STATE_COUNTERS, Config, entries, key, map_of, room_of
from netlab.errors import NetlabError
from netlab.programs.maps import BPF_F_LOCK

_COUNT = struct.Struct("=QQ")  # packets, bytes


class Count(NamedTuple):
    """Packets, and their bytes, that left by one reason."""

    packets: int
    bytes: int


class Snapshot(NamedTuple):
    """A balancer at one moment: `free` and `counters` belong together, the reasons are read right after them.

    `ready` says that it takes requests. `free` and `capacity` are threads by backend; `weights` are what those have
    that are not `drained`. `counters` has received, which is forwarded + queued + dropped, dequeued and completions,
    all in requests, and expired, in threads; retried, unheld and held, too, which is how many are held now, if requests
    are at all: `holds`. `report_port` is 0 when nobody may report.
    """

    ready: bool
    policy: str
    depth: int
    queue: int
    counters: dict[str, int]
    free: dict[str, int]
    capacity: dict[str, int]
    weights: dict[str, int]
    drained: list[str]
    report_port: int
    holds: bool


def snapshot(pins: str) -> Snapshot:
    """Read a balancer's state whole, under its lock."""
    config = Config.read(pins)
    backends = entries(pins, config)
    with map_of(pins, "state") as state, map_of(pins, "slots") as slots:
        values, queue = STATE.unpack(state.get(FIRST, BPF_F_LOCK)), room_of(slots)
    return Snapshot(
        ready=bool(config.ready),
        policy=POLICIES[config.policy],
        depth=values[1],
        queue=queue,
        counters=dict(zip(STATE_COUNTERS, values[FREE - len(STATE_COUNTERS) : FREE], strict=True)),
        free={each.name: values[FREE + index] for index, each in backends.items()},
        capacity={each.name: each.capacity for each in backends.values()},
        weights={each.name: each.weight for each in backends.values()},
        report_port=config.report_port,
        holds=bool(config.holds),
        drained=[each.name for index, each in backends.items() if not config.weights[index]],
    )


def depth(pins: str) -> int:
    """Return how many requests wait."""
    with map_of(pins, "state") as state:
        waiting: int = STATE.unpack(state.get(FIRST, BPF_F_LOCK))[1]
    return waiting


def has_balancer(pins: str) -> bool:
    """Whether the program at these pins has the balancer's maps."""
    return all(os.path.exists(paths.map_pin(pins, name)) for name in ("state", "backends", "carriers"))


def enum_names(source: str, enum: str) -> list[str]:
    """Return the names of an enum in a program's C text, in order and without the last, which counts them.

    Raises NetlabError when the text has no such enum.
    """
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.DOTALL)
    found = re.search(rf"\benum\s+{enum}\s*\{{([^}}]*)\}}", bare)
    if not found:
        raise NetlabError(f"the program's source has no `enum {enum}`")
    return [name.split("=")[0].strip() for name in found[1].split(",") if name.strip()][:-1]


def counts(pins: str, map_name: str, names: Sequence[str]) -> Iterator[tuple[str, Count]]:
    """Yield each reason's count, summed over the CPUs; NetlabError where the map is another than counts are kept in."""
    with map_of(pins, map_name) as reasons:
        shape = reasons.key_size, reasons.value_size
        if shape != (len(key(0)), _COUNT.size) or reasons.max_entries < len(names):
            raise NetlabError(
                f"the map {map_name} has {reasons.max_entries} entries, with keys of {shape[0]} bytes and values of "
                f"{shape[1]}: expected an array with a `struct count` for each of {len(names)} reasons (bpf/verdict.h)"
            )
        for index, name in enumerate(names):
            values = [_COUNT.unpack(value) for value in reasons.get_per_cpu(key(index))]
            yield name, Count(sum(value[0] for value in values), sum(value[1] for value in values))
