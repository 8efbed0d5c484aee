"""The programs, compiled once for all packet tests."""

import os
from collections.abc import Iterator

import pytest

from tests.bpf.rig import DROPPER, ROOT, SOURCE, Dropper, Rig, pinned

RULES = [(0, 0), (0, 1), (1, 0), (1, 1)]  # JUDGE_ALL, TRACE


def read(source: str) -> str:
    with open(f"{ROOT}/{source}", encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="session")
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("loading programs needs root")


@pytest.fixture(scope="session", params=[0, 1], ids=["silent", "traced"])
def rig(root: None, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The balancer with a queue of eight, its trace compiled out and in."""
    with pinned(f"{ROOT}/{SOURCE}", QUEUE=8, TRACE=request.param, TEST_ENTRIES=1) as pins:
        rig = Rig(pins, read(SOURCE))
        yield rig
        rig.close()


@pytest.fixture(scope="session", params=RULES, ids=["silent", "traced", "judge-all-silent", "judge-all-traced"])
def dropper(root: None, request: pytest.FixtureRequest) -> Iterator[Dropper]:
    """The dropper by both of its rules, its trace compiled out and in."""
    judges_all, trace = request.param
    with pinned(f"{ROOT}/{DROPPER}", PORT=9000, JUDGE_ALL=judges_all, TRACE=trace) as pins:
        dropper = Dropper(pins, read(DROPPER), bool(judges_all))
        yield dropper
        dropper.close()
