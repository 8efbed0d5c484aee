"""What all tests share: who may run them, and that they leave nothing behind."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests import leaks


def pytest_configure() -> None:
    """Be no job in the background: a shell starts those with these signals ignored, and children inherit that."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


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
