"""The programs, compiled once for all packet tests."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bpf import sources
from tests.bpf.rig import SILENT, TRACED, Dropper, Rig, built, pinned

COUNTED = pytest.StashKey[Counter[str]]()
DISTINCT = pytest.StashKey[dict[str, set[str]]]()
RULES = [(0, 0), (0, 1), (1, 0), (1, 1)]  # JUDGE_ALL, TRACE


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTED] = Counter()
    names: dict[str, set[str]] = defaultdict(set)
    config.stash[DISTINCT] = names


@pytest.fixture(scope="session")
def counted(pytestconfig: pytest.Config) -> Counter[str]:
    """How much of what has been tested so far, for the last lines."""
    return pytestconfig.stash[COUNTED]


@pytest.fixture(scope="session")
def distinct(pytestconfig: pytest.Config) -> dict[str, set[str]]:
    """The names of what is tested more than once, and counts as one, such as a case on several builds."""
    return pytestconfig.stash[DISTINCT]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker has counted to who prints it."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        counted: Counter[str] = session.config.stash[COUNTED]
        output["counted"] = dict(counted)
        output["distinct"] = {what: sorted(names) for what, names in session.config.stash[DISTINCT].items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker has counted; one that was lost hands nothing over."""
    output = getattr(node, "workeroutput", {})
    stash: pytest.Stash = node.config.stash
    counted: Counter[str] = stash[COUNTED]
    counted.update(output.get("counted", {}))
    for what, names in output.get("distinct", {}).items():
        stash[DISTINCT][what].update(names)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how much was tested."""
    for what, names in config.stash[DISTINCT].items():
        terminalreporter.write_line(f"{len(names):>9,} {what}")
    for what, number in config.stash[COUNTED].items():
        terminalreporter.write_line(f"{number:>9,} {what}")


@pytest.fixture(scope="session")
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("loading programs needs root")


@pytest.fixture(scope="session", params=[SILENT, TRACED], ids=["silent", "traced"])
def rig(root: None, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The balancer with a queue of eight, its trace compiled out and in."""
    with built(request.param) as rig:
        yield rig


@pytest.fixture(scope="session", params=RULES, ids=["silent", "traced", "judge-all-silent", "judge-all-traced"])
def dropper(root: None, request: pytest.FixtureRequest) -> Iterator[Dropper]:
    """The dropper by both of its rules, its trace compiled out and in."""
    judges_all, trace = request.param
    with pinned(str(sources.FOLDER / "dropper.c"), PORT=9000, JUDGE_ALL=judges_all, TRACE=trace) as pins:
        dropper = Dropper(pins, bool(judges_all))
        yield dropper
        dropper.close()
