"""Tests beside each other: what is given to one process as a whole, and what is given first (pytest-xdist).

A file is given as a whole, since its tests may share a lab. Of the files below, whose tests share nothing, each test is
given alone; and they come first. So when little is left, all that is left is short, and no processor waits for another.
"""

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

WHOLE = (
    "tests/bpf/test_races.py",  # each of its tests takes both processors: two at once would wait for each other
    "tests/lab/test_reload.py",  # these have builds of the balancer, which each process compiles for its own labs
    "tests/lab/test_healing.py",
    "tests/lab/test_retry.py",
    "tests/lab/test_servers.py",
    "tests/lab/test_dns.py",
    "tests/unit/topology/test_broken.py",
    "tests/unit/roles/test_roles.py",
    "tests/lab/test_supervisor.py",
    "tests/lab/test_socket.py",
)
ALONE = (
    "tests/lab/test_students.py",
    "tests/lab/test_demo.py",
    "tests/lab/test_interrupted.py",
    "tests/lab/test_killed.py",
    "tests/lab/test_killed_reloads.py",
    "tests/lab/test_escaped.py",
)
FIRST = (*WHOLE, *ALONE)  # by the time that they take, the longest first


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives each process a file at a time, or a test that is given alone."""

    def _split_scope(self, nodeid: str) -> str:
        return given_with(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> Scheduling:
    """Distribute the tests so."""
    return Scheduling(config, log)


def given_with(test: str) -> str:
    """Return what a test is given with: its file, or itself alone."""
    file = test.partition("::")[0]
    return test if file in ALONE else file


def ordered(items: list[pytest.Item]) -> None:
    """Put what is given first before all others."""
    place = {file: number for number, file in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(FIRST)))
