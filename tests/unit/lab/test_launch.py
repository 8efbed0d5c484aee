"""What processes of a lab see of this host."""

from pathlib import Path

from netlab.lab import launch
from tests.lab.lab import ROOT
from tests.unit.described import SETTINGS, described


def test_what_containers_see_of_the_host(tmp_path: Path) -> None:
    """The topology's folder, those of roles, and netlab's modules."""
    (tmp_path / "mine.py").write_text("")
    data = described(SETTINGS, tmp_path)

    assert set(launch.shared(data)) == {str(tmp_path), f"{ROOT}/roles", f"{ROOT}/netlab"}


def test_folders_below_the_root_are_the_containers_own(tmp_path: Path) -> None:
    """A role that lies in one of those is given as a file."""
    (tmp_path / "mine.py").write_text("")
    data = described(SETTINGS, tmp_path)
    data["topology"] = "/etc/lab.yml"
    data["nodes"]["c"]["process"]["argv"][1] = "/opt/mine.py"

    assert set(launch.shared(data)) == {"/opt/mine.py", f"{ROOT}/roles", f"{ROOT}/netlab"}


def test_a_lab_without_a_record_may_be_of_either_runtime() -> None:
    """All are looked through, whether or not an engine answers."""
    runtimes = launch.runtimes_left("no-such-lab", "/run/netlab/no-such-lab")

    assert ["Netns", "Docker"] == [type(runtime).__name__ for runtime in runtimes]
