"""Reads the balancer's counters and state, all as of one moment."""

import os

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.layout import STATE_COUNTERS, Config, entries, key, map_of, room_of, types
from netlab.named_tuple import NamedTuple


class Count(NamedTuple):
    """How many packets left for one reason, and their bytes."""

    packets: int
    bytes: int


class Snapshot(NamedTuple):
    """A balancer at one moment; `free` and `counters` are read together.

    `ready`: it takes requests. `free` and `capacity`: threads of each backend. `weights`: of each backend, also while
    it is `drained`. `counters`: `received` = `forwarded` + `queued` + `dropped`, `dequeued`, `completions`, `retried`
    and `unheld` count requests since the start, `expired` counts threads; `held` is how many requests are held now.
    `holds`: requests are held until they are done. `report_port`: 0 if backends do not report.
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
    """Read a balancer's state as a whole, under its lock."""
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
            if number < reasons.max_entries:  # the last name of the enum is only its size
                each = [fields.of(value) for value in reasons.get_per_cpu(key(number))]
                found[name] = Count(sum(one["packets"] for one in each), sum(one["bytes"] for one in each))
    return found
