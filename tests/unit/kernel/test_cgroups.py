"""Who is in control groups."""

import os
from pathlib import Path

from netlab.kernel import cgroups


def test_members_are_those_of_groups_below_too(tmp_path: Path) -> None:
    """A process in the lab may make groups; one that cannot be seen from here is shown as 0, and is nobody."""
    os.mkdir(f"{tmp_path}/inner")
    Path(tmp_path, "cgroup.procs").write_text("12\n0\n")
    Path(tmp_path, "inner/cgroup.procs").write_text("13\n")

    assert cgroups.members([str(tmp_path)]) == {12, 13}
