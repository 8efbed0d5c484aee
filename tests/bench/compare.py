"""Contenders against one another: up, seen to work, down, in interleaved rounds."""

import shutil
from collections.abc import Sequence

from tests.bench.contenders import Contender
from tests.bench.measure import Job, Samples, interleave

UP, DOWN, BOTH = "up", "down", "up and down"


def lacking(*tools: str) -> list[str]:
    """Return which of these commands are not installed."""
    return [tool for tool in tools if shutil.which(tool) is None]


def compare(fields: Sequence[Contender], rounds: int) -> Samples:
    """Bring every contender up and down, once to see that it works, then in interleaved rounds; return times in ms."""
    for contender in fields:
        contender.up()
        try:
            contender.check()
        finally:
            contender.down()
    jobs = [[Job(field.name, UP, field.up), Job(field.name, DOWN, field.down)] for field in fields]
    samples = interleave(jobs, rounds)
    for measures in samples.values():
        measures[BOTH] = [up + down for up, down in zip(measures[UP], measures[DOWN], strict=True)]
    return samples
