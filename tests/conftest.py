"""What all tests share: who may run them, and that they leave nothing behind."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

from netlab import cache_folder
from tests import leaks

CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Be no job in the background: a shell starts those with these signals ignored, and children inherit that.

    What is compiled is kept for these tests only, which so begin with nothing.
    """
    os.environ[cache_folder.VARIABLE] = config.stash[CACHE] = tempfile.mkdtemp(prefix="compiled-")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Throw away what was compiled."""
    shutil.rmtree(config.stash[CACHE])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root when we are not."""
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root: it makes namespaces, mounts or programs"))


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves anything on the machine, or takes away what is not its own."""
    before = leaks.snapshot()
    yield
    left = leaks.settled(before)

    assert not left, "\n".join(left)
