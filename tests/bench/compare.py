"""Contenders against one another: up, seen to work, down, in interleaved rounds."""

import shutil
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tests.bench.contenders import CPU, Contender
from tests.bench.leavings import Mark
from tests.bench.measure import Samples

UP, DOWN, GONE = "up", "down", "until the kernel has let go"
UNITS = {UP: "ms", DOWN: "ms", GONE: "ms", CPU: "ms"}
NO_LIMITS: Mapping[str, int] = MappingProxyType({})


def lacking(*tools: str) -> list[str]:
    """Return which of these commands are not installed."""
    return [tool for tool in tools if shutil.which(tool) is None]


def compare(
    fields: Sequence[Contender], rounds: int, most: Mapping[str, int] = NO_LIMITS, is_tried: bool = False
) -> Samples:
    """Bring every contender up and down, once to see that it works, then in rounds that each begin with another one.

    `most` says who takes part in the first rounds only. What `is_tried` has been seen to work before, if only with
    fewer nodes. Returns times in ms. Nobody begins before the kernel has removed what the one before has left.
    """
    for field in fields:
        if not is_tried and min(rounds, most.get(field.name, rounds)) > 1:
            field.up()
            try:
                field.check()
            finally:
                field.down()
    samples: Samples = {field.name: {} for field in fields}
    for number in range(rounds):
        for place in range(len(fields)):
            field = fields[(number + place) % len(fields)]
            for column, value in (once(field) if number < most.get(field.name, rounds) else {}).items():
                samples[field.name].setdefault(column, []).append(value)
    return samples


def once(field: Contender) -> dict[str, float]:
    """Bring a contender up and down."""
    begun = time.perf_counter()
    spent = field.up()
    found = {UP: (time.perf_counter() - begun) * 1000, **spent, **field.spent()}
    with Mark() as mark:
        begun = time.perf_counter()
        field.down()
        found[DOWN] = (time.perf_counter() - begun) * 1000
        mark.await_removal()
        found[GONE] = (time.perf_counter() - begun) * 1000
    return found
