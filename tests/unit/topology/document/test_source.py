"""What is read of a topology file, and what is no file to read."""

import os
import socket
from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.topology import document
from netlab.topology.document.source import MAX_BYTES
from netlab.topology.document.tree import plain
from tests.checkout import ROOT


def refused(path: str | os.PathLike[str]) -> str:
    """Return why a file is refused."""
    with pytest.raises(UsageError) as caught:
        document.load(str(path))
    return str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Editors that write one do no harm."""
    path = tmp_path / "lab.yml"
    path.write_bytes(b"\xef\xbb\xbfname: lab\r\nnodes:\r\n  a:\r\n")

    assert {"name": "lab", "nodes": {"a": None}} == plain(document.load(str(path)).root)


def test_a_directory(tmp_path: Path) -> None:
    """A directory is named as what it is."""
    assert f"{tmp_path}: expected a topology, found a directory (name a regular file)" == refused(tmp_path)


def test_other_files_are_called_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{tmp_path}/none: expected a file of points, found no such file$"):
        document.load(f"{tmp_path}/none", what="a file of points")


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is said to be missing."""
    assert "found no such file" in refused(tmp_path / "none.yml")


@pytest.mark.parametrize("name", ["partb", "partb.yml", "somewhere/partb.yml"])
def test_a_missing_file_that_netlab_has(name: str) -> None:
    """The path of a topology of netlab's own is shown to who names it without its folder."""
    assert f"(netlab's own is {ROOT}/topologies/partb.yml)" in refused(f"/nonexistent/{name}")


def test_a_missing_lab_that_netlab_has() -> None:
    """The labs with daemons, which have a folder of their own, are found, too."""
    assert f"(netlab's own is {ROOT}/topologies/labs/rip.yml)" in refused("rip")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "/dev/null/lab.yml", "\udcff.yml"])
def test_paths_that_no_file_has(path: str) -> None:
    """A name that cannot be a file's is refused like a missing file."""
    assert "expected" in refused(path)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem", "/proc/self/ns/net"])
def test_special_files_do_not_hang(path: str) -> None:
    """Devices and what else is no file with text is refused at once."""
    if not os.path.exists(path):
        pytest.skip(f"no {path} here")
    with pytest.raises(UsageError):
        document.load(path)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    """Nobody will ever write to this pipe."""
    os.mkfifo(tmp_path / "pipe")

    assert "a device, pipe or socket" in refused(tmp_path / "pipe")


def test_a_socket(tmp_path: Path) -> None:
    """A socket cannot even be opened."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))

        assert "expected a topology that can be read" in refused(tmp_path / "socket")


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A file that we may not read is said to be so."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = tmp_path / "lab.yml"
    path.touch(mode=0)

    assert "Permission denied" in refused(path)


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1])
def test_the_size_limit(size: int, tmp_path: Path) -> None:
    """A file of the greatest size is read, one more byte is too much."""
    path = tmp_path / "lab.yml"
    path.write_bytes(b"name: lab\n".ljust(size, b"#"))
    if size == MAX_BYTES:
        assert plain(document.load(str(path)).root) == {"name": "lab"}
        return

    assert "expected a topology of at most 1,048,576 bytes" in refused(path)


def test_a_huge_sparse_file_is_not_read_whole(tmp_path: Path) -> None:
    """A terabyte of nothing is refused as fast as a megabyte."""
    path = tmp_path / "lab.yml"
    with open(path, "wb") as file:
        file.truncate(1 << 40)

    assert "found a longer file" in refused(path)
