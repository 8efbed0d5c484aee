"""What the balancer counts, read whole and at one moment."""

import os
from typing import NamedTuple

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.layout import STATE_COUNTERS, Config, entries, key, map_of, room_of, types


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
    state = layout.state(pins)
    free = state["free_threads"]
    with map_of(pins, "slots") as slots:
        queue = room_of(slots)
    return Snapshot(
        ready=bool(config.ready),
        policy=config.policy,
        depth=state["depth"],
        queue=queue,
        counters={name: state[name] for name in STATE_COUNTERS},
        free={each.name: free[index] for index, each in backends.items()},
        capacity={each.name: each.capacity for each in backends.values()},
        weights={each.name: each.weight for each in backends.values()},
        report_port=config.report_port,
        holds=bool(config.holds),
        drained=[each.name for index, each in backends.items() if not config.weights[index]],
    )


def has_balancer(pins: str) -> bool:
    """Whether the program at these pins has the balancer's maps."""
    return all(os.path.exists(paths.map_pin(pins, name)) for name in ("state", "backends", "carriers"))


def counts(pins: str, map_name: str, enum: str) -> dict[str, Count]:
    """Return the count of each reason, summed over the CPUs: `enum` numbers the entries of the map."""
    known = types(pins)
    if map_name not in known.layouts.maps:
        return {}
    names, fields = known.enum(enum), known.value(map_name)
    found = {}
    with map_of(pins, map_name) as reasons:
        for name, number in names.items():
            if number < reasons.max_entries:  # the last one counts them
                each = [fields.of(value) for value in reasons.get_per_cpu(key(number))]
                found[name] = Count(sum(one["packets"] for one in each), sum(one["bytes"] for one in each))
    return found
