"""What a role says of itself, read without running it."""

from pathlib import Path

import pytest

from netlab.errors import TopologyError
from netlab.topology import declared
from tests.checkout import ROOT
from tests.unit.described import SETTINGS, described


@pytest.mark.parametrize("text", ["CAPABILITIES = ['NOTHING']", "CAPABILITIES = 'BPF'", "CAPABILITIES = [1 + x]"])
def test_capabilities_of_a_role_that_are_none(text: str, tmp_path: Path) -> None:
    """It is a mistake in the topology that names the role."""
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(TopologyError, match="its CAPABILITIES are not a"):
        described(SETTINGS, tmp_path)


def test_role_without_capabilities() -> None:
    """It needs none."""
    assert declared.capabilities(f"{ROOT}/roles/worker.py") == ()


@pytest.mark.parametrize(
    ("role", "stays"),
    [("balancer", True), ("worker", True), ("tcp_server", True), ("client", False), ("tcp_client", False)],
)
def test_roles_say_whether_they_stay(role: str, stays: bool) -> None:
    """A client ends by itself, with what it had to send."""
    assert declared.stays(f"{ROOT}/roles/{role}.py") is stays


@pytest.mark.parametrize("text", ["STAYS = 'yes'", "STAYS = 2", "STAYS = [True]", "STAYS = always()"])
def test_a_role_that_stays_somehow_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "role.py").write_text(text)
    with pytest.raises(ValueError, match="its STAYS "):
        declared.stays(str(tmp_path / "role.py"))
