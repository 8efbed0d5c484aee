"""The types of a kernel as a header, which is whole or not there."""

import os
from pathlib import Path

import pytest

from netlab import paths
from netlab.errors import HostError
from netlab.programs import kernel_header


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.CACHE_VARIABLE, "")


def files(folder: Path) -> list[str]:
    """Return the names of all files."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_others_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed cannot do that itself."""
    monkeypatch.setattr(kernel_header, "_dump", lambda *_: None)
    place = kernel_header.folder(str(tmp_path))
    for name in ("vmlinux.h.123.new", "vmlinux.h.new"):
        Path(place, name).write_text("half")
    os.unlink(f"{place}/vmlinux.h")

    assert kernel_header.folder(str(tmp_path)) == place
    assert files(tmp_path) == ["vmlinux.h"]
    assert Path(place, "vmlinux.h").read_text() == kernel_header._BEGIN + kernel_header._END


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a kernel without types."""

    def fails(*_: object) -> None:
        raise HostError("no types")

    monkeypatch.setattr(kernel_header, "_dump", fails)
    with pytest.raises(HostError):
        kernel_header.folder(str(tmp_path))

    assert files(tmp_path) == []
