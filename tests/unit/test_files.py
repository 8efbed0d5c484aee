"""netlab's own files and folders: their modes, and what stands in their way."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab import files, umask
from netlab.errors import HostError


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct, autouse=True)
def callers(request: pytest.FixtureRequest) -> Iterator[int]:
    """A caller with this umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    """Return the mode of a file or folder, with the bit that hands its group on."""
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("wanted", [files.FOR_ALL, files.FOR_GROUP, files.FOR_OWNER])
def test_a_folder_has_the_mode_that_was_said(tmp_path: Path, wanted: int) -> None:
    """Those that had to be made around it have it too."""
    files.make_folder(f"{tmp_path}/one", wanted)
    files.ensure_folder(f"{tmp_path}/two/three", wanted)

    assert [mode(tmp_path / name) for name in ("one", "two", "two/three")] == [wanted] * 3


def test_a_folder_hands_its_group_on(tmp_path: Path) -> None:
    files.make_folder(f"{tmp_path}/lab", files.FOR_ALL)
    (tmp_path / "lab").chmod(0o2755)
    files.make_folder(f"{tmp_path}/lab/logs", files.FOR_GROUP)

    assert oct(0o2750) == oct(mode(tmp_path / "lab" / "logs"))


def test_a_file_has_the_mode_that_was_said(tmp_path: Path) -> None:
    """Also where there was another before."""
    for wanted in (0o644, 0o640, 0o600, 0o444):
        files.write(f"{tmp_path}/file", "text", wanted)

        assert oct(wanted) == oct(mode(tmp_path / "file"))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """The old contents stand until the new ones do, and nothing else is left."""
    files.write(f"{tmp_path}/file", "old")
    with pytest.raises(UnicodeEncodeError):
        files.write(f"{tmp_path}/file", "half \udc80")

    assert ["file"] == os.listdir(tmp_path)
    assert (tmp_path / "file").read_text() == "old"


def test_a_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    """Neither one of its name nor one of the name that it has while it is written."""
    (tmp_path / "victim").write_text("untouched")
    for name in ("file", f"file.{os.getpid()}.new", "file.new"):
        (tmp_path / name).symlink_to(tmp_path / "victim")
    files.write(f"{tmp_path}/file", "text")

    assert (tmp_path / "victim").read_text() == "untouched"
    assert (tmp_path / "file").read_text() == "text"
    assert not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize("open_to", [0o775, 0o757, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, open_to: int) -> None:
    """What is in it may be anybody's."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(open_to)

    with pytest.raises(HostError, match=rf"folder is not safe: others can write to it \(mode {open_to:o}\)"):
        files.ensure_folder(f"{tmp_path}/folder", files.FOR_ALL)


@pytest.mark.root
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(0o755)
    os.chown(tmp_path / "folder", 65534, 65534)

    with pytest.raises(HostError, match="it belongs to user 65534"):
        files.ensure_folder(f"{tmp_path}/folder", files.FOR_ALL)


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    """Wherever it leads."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(HostError, match="is no folder, but a link"):
        files.ensure_folder(f"{tmp_path}/folder", files.FOR_ALL)


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """One that is closed to others is not opened."""
    files.make_folder(f"{tmp_path}/folder", files.FOR_OWNER)
    files.ensure_folder(f"{tmp_path}/folder", files.FOR_ALL)

    assert oct(files.FOR_OWNER) == oct(mode(tmp_path / "folder"))
    with pytest.raises(FileExistsError):
        files.make_folder(f"{tmp_path}/folder", files.FOR_ALL)


def test_the_callers_umask_comes_back(callers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In between it is netlab's own."""
    monkeypatch.setattr(umask, "_callers", None)
    before = umask.callers()
    umask.take()
    meanwhile, told = os.umask(0), umask.callers()
    umask.give_back()

    assert [callers, 0o022, callers, callers] == [before, meanwhile, told, os.umask(callers)]
