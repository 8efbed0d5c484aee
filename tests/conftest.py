"""What all tests share: who may run them, and that they leave nothing behind."""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

from netlab import paths
from netlab.testing import leaks
from tests import left_over
from tests.beside import ordered, pytest_xdist_make_scheduler

__all__ = ["pytest_xdist_make_scheduler"]
COMPILED = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Be no job in the background: a shell starts those with these signals ignored, and children inherit that.

    What is compiled is kept for these tests only, which so begin with nothing.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # .ci/test blocks all, for threads that are here already
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    gc.disable()  # until all tests are collected
    if not is_worker(config):
        config.stash[COMPILED] = tempfile.mkdtemp(prefix="compiled-")
        os.environ[paths.CACHE_VARIABLE] = os.path.join(config.stash[COMPILED], "cache")
        config.pluginmanager.register(left_over.LeftOver())


def is_worker(config: pytest.Config) -> bool:
    """Say whether this process runs tests for another, beside others."""
    return hasattr(config, "workerinput")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over, as a worker, whose labs ours were."""
    if is_worker(session.config):
        session.config.workeroutput[left_over.OURS] = left_over.whose()  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Throw away what was compiled."""
    if not is_worker(config):
        shutil.rmtree(config.stash[COMPILED])


def pytest_collection_finish() -> None:
    """Let the garbage collector not look again and again at thousands of tests, which stay until the end."""
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs root when we are not; beside others, begin with what takes longest."""
    if is_worker(config):
        ordered(items)
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root: it makes namespaces, mounts or programs"))


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves anything on the machine, or takes away what is not its own."""
    with leaks.nothing_left():
        yield
