"""`make test-kernels`: which of Debian's kernels are tried, what cannot be had, and who writes the page."""

import os
import shutil
from pathlib import Path

import pytest

from tests.kernels import __main__ as kernels
from tests.kernels import debian, machine, page

APT = """#!/bin/sh
case "$1 $*" in
search*) echo "linux-image-6.9-amd64 - a"; echo "linux-image-6.12-amd64 - b"; echo "linux-image-amd64 - c" ;;
depends*6.12-amd64) echo "  Depends: linux-image-6.12.117+deb12-amd64" ;;
depends*6.9-amd64) echo "  Depends: linux-image-6.9.1-amd64" ;;
depends*) echo "  Depends: linux-image-6.1.0-57-amd64" ;;
*show*) echo "Version: 1" ;;
esac
"""


def apt(folder: Path, monkeypatch: pytest.MonkeyPatch, cache: str = APT, get: str = "exit 100") -> None:
    """Put scripts in the place of apt, on a Debian of this architecture."""
    for name, text in (
        ("apt-cache", cache),
        ("apt-get", f"#!/bin/sh\necho 'E: no network' >&2\n{get}\n"),
        (
            "dpkg",
            '#!/bin/sh\n[ "$1" = -x ] || { echo amd64; exit; }\nmkdir -p "$3/boot"; cp "$2" "$3/boot/vmlinuz-6"\n',
        ),
    ):
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(debian, "FOLDER", f"{folder}/kernels")
    monkeypatch.setattr(machine, "lacking", list)


def test_a_run_without_machines_says_so_in_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no failure, and nobody overlooks it."""
    apt(tmp_path, monkeypatch)
    monkeypatch.setattr("sys.argv", ["tests.kernels", "--short"])

    assert kernels.main() == 0
    assert capsys.readouterr().out == (
        "SKIPPED linux-image-6.1.0-57-amd64 could not be fetched: E: no network\n"
        "SKIPPED linux-image-6.12.117+deb12-amd64 could not be fetched: E: no network\n"
        "kernels: 0 tried, 0 failed, others SKIPPED\n"
    )


def test_the_releases_own_kernel_and_the_newest_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number: 6.12 is newer than 6.9."""
    apt(tmp_path, monkeypatch)

    assert debian.offered() == ["linux-image-6.1.0-57-amd64", "linux-image-6.12.117+deb12-amd64"]


def test_without_network_other_kernels_are_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt(tmp_path, monkeypatch)

    found, notes, lacks = kernels.wanted([])

    assert (found, notes) == ([], [])
    assert lacks == [f"{name} could not be fetched: E: no network" for name in debian.offered()]
    assert os.listdir(tmp_path / "kernels") == []


def test_without_packages_other_kernels_are_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt(tmp_path, monkeypatch, cache="#!/bin/sh\n")

    assert kernels.wanted([])[2][0].startswith("apt offers no linux-image-amd64")


def fetching(folder: Path, *names: str) -> str:
    """Return a script for apt-get that fetches these packages, and no others."""
    these = "|".join(f"*{name}*" for name in names)
    return f"case $* in {these}) echo x >>{folder}/fetched; echo image >one.deb ;; *) exit 100; esac"


@pytest.mark.parametrize("gone", ["linux-image-6.12.117+deb12-amd64", "linux-image-6.1.0-57-amd64"])
def test_a_kernel_that_cannot_be_fetched_takes_no_other_with_it(
    gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = ["linux-image-6.1.0-57-amd64", "linux-image-6.12.117+deb12-amd64"]
    apt(tmp_path, monkeypatch, get=fetching(tmp_path, *(name for name in packages if name != gone)))

    found, _, lacks = kernels.wanted([])

    assert [each.name for each in found] == [name for name in packages if name != gone]
    assert lacks == [f"{gone} could not be fetched: E: no network"]


def test_what_was_unpacked_before_is_tried_when_the_newer_cannot_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same series; and also when apt knows of no kernel any more."""
    apt(tmp_path, monkeypatch, get=fetching(tmp_path, "6.1.0", "6.12.117"))
    kernels.wanted([])
    apt(tmp_path, monkeypatch, cache=APT.replace("6.12.117", "6.12.200"))
    newer = kernels.wanted([])
    apt(tmp_path, monkeypatch, cache="#!/bin/sh\n")
    none = kernels.wanted([])

    names = ["linux-image-6.1.0-57-amd64", "linux-image-6.12.117+deb12-amd64"]
    assert [each.name for each in newer[0]] == [each.name for each in none[0]] == names
    problem = "linux-image-6.12.200+deb12-amd64 could not be fetched: E: no network"
    assert newer[1:] == ([f"{problem}; {names[1]} was unpacked before, and is tried"], [])
    assert none[1][0].endswith(f"; {', '.join(names)} was unpacked before, and is tried")
    assert none[2] == []


def test_a_kernel_is_fetched_once_and_again_when_there_is_a_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no longer offered goes; what is no kernel, or is just being fetched by another run, stays."""
    fetch = f"echo x >>{tmp_path}/fetched; echo image >one.deb"
    apt(tmp_path, monkeypatch, get=fetch)
    counts = []
    for version in ("1", "1", "2"):
        (tmp_path / "apt-cache").write_text(APT.replace("Version: 1", f"Version: {version}"))
        found, notes, lacks = kernels.wanted([])
        counts.append(len((tmp_path / "fetched").read_text().split()))
        for name in ("linux-image-6.0-amd64/version", "new.x/x/version", "file"):
            (tmp_path / "kernels" / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / "kernels" / name).touch()
    kernels.wanted([])

    assert notes == lacks == []
    assert counts == [2, 2, 4]
    assert [Path(each.image).read_text() for each in found] == ["image\n"] * 2
    assert sorted(os.listdir(tmp_path / "kernels")) == ["file", *(each.name for each in found), "new.x"]


@pytest.mark.parametrize(
    ("words", "writes"),
    [
        (["--short"], False),
        (["--short", "--write"], True),
        ([], True),
        (["/boot/mine"], False),  # the table is of Debian's kernels
        (["--write", "/boot/mine"], True),
    ],
)
def test_who_writes_the_page(words: list[str], writes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The running kernel has a column whenever it is written; and nothing is when a kernel is missing."""
    apt(tmp_path, monkeypatch, get=fetching(tmp_path, "6.1.0", "6.12.117"))
    ran = []
    monkeypatch.setattr(kernels, "PAGE", tmp_path / "kernels.md")
    monkeypatch.setattr(kernels.Trial, "run", lambda trial, begun, stop: ran.append(trial.kernel.name))
    monkeypatch.setattr("sys.argv", ["tests.kernels", *words])
    kernels.PAGE.write_text(f"{page.BEGIN}\n{page.END}\n")

    assert kernels.main() == 1

    assert ("minutes" in kernels.PAGE.read_text()) == writes
    assert writes <= (kernels.THIS in ran)
    shutil.rmtree(tmp_path / "kernels", ignore_errors=True)
    kernels.PAGE.write_text("as it was")
    apt(tmp_path, monkeypatch)
    kernels.main()
    assert [] != words[-1:] != ["--write"] or kernels.PAGE.read_text() == "as it was"


@pytest.mark.parametrize("mask", [0, 0o077])
def test_the_folder_of_kernels_is_for_all_to_read_and_roots_to_write(
    mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask."""
    apt(tmp_path, monkeypatch, get=fetching(tmp_path, "6.1.0", "6.12.117"))
    before = os.umask(mask)
    try:
        kernels.wanted([])
    finally:
        os.umask(before)

    assert os.stat(tmp_path / "kernels").st_mode & 0o777 == 0o755
