"""Labs of containers that come and go many times, some of them killed on their way: nothing is left of any."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.lab.endurance import TOPOLOGY, Rounds, of_the_lab

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.usefixtures("no_leaks")]
ROUNDS, KILLED = (200, 40) if os.environ.get("NETLAB_LONG") else (4, 2)


def test_labs_of_containers_that_come_and_go_leave_nothing(client: Any, tmp_path: Path) -> None:
    """Nothing is left on the engine (`client`), and nothing that bears the lab's name on the machine."""
    (tmp_path / "lab.yml").write_text(TOPOLOGY)
    rounds = Rounds(str(tmp_path / "lab.yml"), "--runtime", "docker", looks=of_the_lab)

    rounds.play(ROUNDS, killed=KILLED)

    assert rounds.hit > 0
