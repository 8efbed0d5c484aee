"""What the tests of real labs share."""

from collections.abc import Iterator

import pytest

from tests.lab import processes
from tests.lab.namespaces import Lab, lab


@pytest.fixture
def one(no_leaks: None) -> Iterator[Lab]:
    """A lab of namespaces and links, to be filled and built."""
    with lab() as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Supervisors that kill the stubborn soon, for tests that wait for that."""
    processes.impatient(monkeypatch)
