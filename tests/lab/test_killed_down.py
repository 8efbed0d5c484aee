"""`down` killed with -9 anywhere: the next one removes what is left of that lab and nothing else."""

import pytest

from netlab.testing import leaks
from tests.lab.killing import clean_after, every, lines_of, run_killed, small
from tests.lab.lab import netlab

pytestmark = pytest.mark.root
STEPS = every(some=50, many=5)


@pytest.fixture
def topology(tmp_path: str) -> str:
    return small(tmp_path)


@pytest.mark.parametrize("step", STEPS)
def test_down_killed_at_its_lines(topology: str, tmp_path: str, step: int) -> None:
    """A second `down` finishes what the first began."""
    before = leaks.snapshot()
    netlab("up", topology)
    for line in lines_of(tmp_path, "down", "--lab", "small")[::step]:
        netlab("up", topology)
        run_killed(f"SIGKILL@{line}", "down", "--lab", "small")
        left = clean_after(line, before)
        assert not left, "\n".join(left)
