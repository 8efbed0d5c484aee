"""What the tests of real labs share."""

from collections.abc import Iterator

import pytest

from netlab.record.store import labs
from tests.lab import processes
from tests.lab.lab import netlab
from tests.lab.namespaces import Lab, lab


@pytest.fixture(scope="module", autouse=True)
def _no_lab_is_left_to_the_next_file() -> Iterator[None]:
    """Take down what a test that failed has left: the tests of other files ask for the only lab."""
    before = labs()
    yield
    for name in set(labs()) - set(before):
        netlab("down", "--lab", name, code=None)


@pytest.fixture
def one(no_leaks: None) -> Iterator[Lab]:
    """A lab of namespaces and links, to be filled and built."""
    with lab() as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Supervisors that kill the stubborn soon, for tests that wait for that."""
    processes.impatient(monkeypatch)
