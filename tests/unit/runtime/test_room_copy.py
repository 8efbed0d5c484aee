"""The copy of an untrusted topology's folder: plain files only, nothing of elsewhere, and not too much."""

import os
import stat
from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.runtime import room_copy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to copy."""
    made = tmp_path / "mine"
    made.mkdir()
    return made


def copied(folder: Path) -> Path:
    """Return a copy of a folder."""
    target = folder.parent / "copy"
    target.mkdir()
    room_copy.copy(str(folder), str(target))
    return target


def test_everybody_can_read_a_copy_whatever_the_modes_were(folder: Path) -> None:
    """And execute what could be executed; the content is the same."""
    (folder / "sub").mkdir(mode=0o700)
    for name, mode in (("a", 0o600), ("sub/run", 0o700)):
        (folder / name).write_text(name)
        (folder / name).chmod(mode)

    copy = copied(folder)

    assert ["a", "sub/run"] == [(copy / name).read_text() for name in ("a", "sub/run")]
    modes = [stat.S_IMODE((copy / name).stat().st_mode) for name in ("a", "sub", "sub/run")]
    assert [0o644, 0o755, 0o755] == modes


def test_what_is_no_plain_file_stays_outside(folder: Path) -> None:
    """A pipe would make readers wait; a link leads to the same words, which mean something else in a room."""
    os.mkfifo(folder / "pipe")
    (folder / "out").symlink_to("/etc/shadow")
    (folder / "up").symlink_to("..")
    for hidden in (".git", ".env"):
        (folder / hidden).mkdir()
        (folder / hidden / "x").write_text("secret")

    copy = copied(folder)

    assert ["out", "up"] == sorted(os.listdir(copy))
    assert ("/etc/shadow", "..") == (os.readlink(copy / "out"), os.readlink(copy / "up"))


def test_too_much_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both in bytes and in files."""
    (folder / "large").write_bytes(b"x" * 2000)
    monkeypatch.setattr(room_copy, "MAX_BYTES", 1000)
    with pytest.raises(UsageError, match="more than can be shown to an untrusted topology"):
        copied(folder)
    (folder / "large").unlink()
    for number in range(5):
        (folder / str(number)).touch()
    monkeypatch.setattr(room_copy, "MAX_ENTRIES", 4)
    with pytest.raises(UsageError, match="put it in a folder of its own"):
        room_copy.copy(str(folder), str(folder.parent / "copy"))


@pytest.mark.parametrize("folder", ["/", "/tmp", "/etc", "/root", "/tmp/../etc"])  # noqa: S108
def test_folders_that_everybody_has_are_refused(folder: str) -> None:
    """And homes of users; a folder below them is good."""
    assert "right in" in room_copy.problem(folder)
    assert not room_copy.problem("/tmp/mine")  # noqa: S108
