"""What containers see of this host."""

from pathlib import Path

from netlab.runtime import docker
from tests.checkout import ROOT
from tests.unit.described import SETTINGS, described


def test_what_containers_see_of_the_host(tmp_path: Path) -> None:
    """The topology's folder, those of roles, and netlab's modules."""
    (tmp_path / "mine.py").write_text("")
    record = described(SETTINGS, tmp_path)

    assert set(docker.shared(record)) == {str(tmp_path), f"{ROOT}/roles", f"{ROOT}/netlab"}


def test_folders_below_the_root_are_the_containers_own(tmp_path: Path) -> None:
    """A role that lies in one of those is given as a file."""
    (tmp_path / "mine.py").write_text("")
    record = described(SETTINGS, tmp_path)
    [process] = record.nodes["c"].processes
    moved = record.nodes["c"]._replace(processes=(process._replace(argv=("python3", "/opt/mine.py")),))
    elsewhere = record._replace(topology="/etc/lab.yml", nodes={**record.nodes, "c": moved})

    assert set(docker.shared(elsewhere)) == {"/opt/mine.py", f"{ROOT}/roles", f"{ROOT}/netlab"}
