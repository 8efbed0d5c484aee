"""The folder that a play is kept in: whole, or as it was before."""

import os
from pathlib import Path

import pytest

from netlab.demo import save
from netlab.errors import NetlabError


@pytest.mark.parametrize("is_there", [True, False])
def test_a_late_error_is_told_and_the_folder_is_as_it_was(tmp_path: Path, is_there: bool) -> None:
    """Folders in it go as files do, and links without what they lead to."""
    where = tmp_path / "kept"
    (tmp_path / "mine").mkdir()
    if is_there:
        where.mkdir()

    def fail() -> None:
        with save.folder(str(where)) as folder:
            os.makedirs(f"{folder}/programs/balancer")
            Path(f"{folder}/programs/balancer/queue.h").touch()
            Path(f"{folder}/timeline.txt").touch()
            os.symlink(tmp_path / "mine", f"{folder}/link")
            raise NetlabError("no room")

    with pytest.raises(NetlabError, match="no room"):
        fail()

    assert (is_there, [], True) == (where.exists(), list(where.glob("*")), (tmp_path / "mine").exists())
