"""What containers see of this host, and what of their nodes' own is mounted in them."""

from pathlib import Path

from netlab import paths
from netlab.runtime import container_files
from netlab.runtime.container_files import ContainerFiles
from netlab.topology.model import OwnFile, OwnFiles, OwnFolder
from tests.checkout import ROOT
from tests.unit.described import SETTINGS, described


def test_what_containers_see_of_the_host(tmp_path: Path) -> None:
    """The topology's folder, those of roles, and netlab's modules."""
    (tmp_path / "mine.py").write_text("")
    record = described(SETTINGS, tmp_path)

    assert set(container_files.shared(record)) == {str(tmp_path), f"{ROOT}/roles", f"{ROOT}/netlab"}


def test_folders_below_the_root_are_the_containers_own(tmp_path: Path) -> None:
    """A role that lies in one of those is given as a file."""
    (tmp_path / "mine.py").write_text("")
    record = described(SETTINGS, tmp_path)
    [process] = record.nodes["c"].processes
    moved = record.nodes["c"]._replace(processes=(process._replace(argv=("python3", "/opt/mine.py")),))
    elsewhere = record._replace(topology="/etc/lab.yml", nodes={**record.nodes, "c": moved})

    assert set(container_files.shared(elsewhere)) == {"/opt/mine.py", f"{ROOT}/roles", f"{ROOT}/netlab"}


def test_what_the_engine_or_the_image_would_hide_is_mounted(tmp_path: Path) -> None:
    """An empty folder, and the files that an engine mounts itself; all else of a node's own is copied."""
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hosts").write_text("")
    (tmp_path / paths.RECORD).write_text("")
    record = described(SETTINGS, tmp_path)
    files = (OwnFile("/etc/hosts", b"1"), OwnFile("/etc/frr/x", b"2"))
    own = OwnFiles(files, (OwnFolder("/run/x"), OwnFolder("/var/log", keeps=True)))

    mounts = ContainerFiles(record, str(tmp_path), "a", own).mounts()

    written = {each["Target"]: each["Source"] for each in mounts if not each["ReadOnly"]}
    assert {"/etc/hosts": f"{tmp_path}/own/a/1", "/run/x": f"{tmp_path}/own/a/0"} == written
    assert [each["Target"] for each in mounts].count("/etc/hosts") == 1
    assert f"{tmp_path}/{paths.RECORD}" in {each["Target"] for each in mounts if each["ReadOnly"]}
