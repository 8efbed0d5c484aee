"""netlab's own files and folders: their modes, and what stands in their way."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.kernel import files, umask


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
def test_a_folder_has_the_given_mode(tmp_path: Path, wanted: int) -> None:
    """Those that had to be made around it have it too."""
    files.make_folder(f"{tmp_path}/one", wanted)
    files.ensure_folder(f"{tmp_path}/two/three", wanted)

    assert [mode(tmp_path / name) for name in ("one", "two", "two/three")] == [wanted] * 3


def test_a_folder_gives_its_group_to_what_is_in_it(tmp_path: Path) -> None:
    files.make_folder(f"{tmp_path}/lab", files.FOR_ALL)
    (tmp_path / "lab").chmod(0o2755)
    files.make_folder(f"{tmp_path}/lab/logs", files.FOR_GROUP)

    assert oct(0o2750) == oct(mode(tmp_path / "lab" / "logs"))


def test_a_file_has_the_given_mode(tmp_path: Path) -> None:
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


def test_what_a_killed_writer_has_left_is_removed(tmp_path: Path) -> None:
    """And no other file."""
    for name in ("a.json", "a.json.265.new", "a.json.4.new", "b.a.json.4.new", "a.jsonx.4.new"):
        (tmp_path / name).touch()
    files.remove_halves(f"{tmp_path}/a.json")
    files.remove_halves(f"{tmp_path}/none/a.json")

    assert ["a.json", "a.jsonx.4.new", "b.a.json.4.new"] == sorted(os.listdir(tmp_path))


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


def test_what_is_in_an_open_folder_can_be_replaced(tmp_path: Path) -> None:
    """However far up; but not in one like /tmp, and what is not there yet is nobody's."""
    for name in ("open", "open/mine"):
        files.make_folder(f"{tmp_path}/{name}", files.FOR_ALL)
    path = str(tmp_path / "open/mine/new/newer")

    assert files.problem_around(path) == ""
    (tmp_path / "open").chmod(0o777)
    assert files.problem_around(path) == f"others can write to {tmp_path}/open (mode 777)"
    (tmp_path / "open").chmod(0o1777)
    assert files.problem_around(path) == ""


def test_a_link_on_the_way_leads_through_the_folders_around_its_target(tmp_path: Path) -> None:
    """Whoever can change one of those decides what is found."""
    for name in ("open", "open/mine"):
        files.make_folder(f"{tmp_path}/{name}", files.FOR_ALL)
    (tmp_path / "link").symlink_to("open/mine")

    assert files.problem_around(f"{tmp_path}/link/new") == ""
    (tmp_path / "open").chmod(0o777)
    assert files.problem_around(f"{tmp_path}/link/new") == f"others can write to {tmp_path}/open (mode 777)"


@pytest.mark.root
def test_a_friend_counts_like_root_and_so_does_the_friends_own_group(tmp_path: Path) -> None:
    """As Debian and Ubuntu make one for each user, who may let it write; a link is its owner's."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to("theirs")
    for name, mode in (("theirs", 0o775), ("link", 0)):
        os.chown(tmp_path / name, 4711, 4711, follow_symlinks=False)
        if mode:
            (tmp_path / name).chmod(mode)
    about = os.stat(tmp_path / "theirs")

    assert files.problem(about, 4711) == files.problem_around(f"{tmp_path}/link/new", 4711) == ""
    assert files.problem(about) == "it belongs to user 4711"
    assert files.problem_around(f"{tmp_path}/link/new") == f"{tmp_path}/link belongs to user 4711"
    os.chown(tmp_path / "theirs", 4711, 0)
    assert files.problem(about := os.stat(tmp_path / "theirs"), 4711) == "others can write to it (mode 775)"
    assert files.problem(about, 0) == "it belongs to user 4711"
