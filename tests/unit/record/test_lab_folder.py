"""A lab's folder: who may read it."""

import pytest

from netlab.record import lab_folder


@pytest.mark.parametrize(("variable", "group"), [("1000", 1000), ("", 0), ("-1", 0), ("٣", 0), ("1,gid=0", 0)])
def test_the_group_is_what_sudo_says(monkeypatch: pytest.MonkeyPatch, variable: str, group: int) -> None:
    """And root's where that is no number."""
    monkeypatch.setenv("SUDO_GID", variable)

    assert lab_folder._group() == group
