"""A submission is read whole, as what it is; nothing outside of it is followed."""

import os
from pathlib import Path

import pytest

from netlab.errors import UsageError
from netlab.grade import folders, submission

PROGRAM = "int x(struct xdp_md *ctx) { return 2; }"


def test_a_c_file_is_alone(tmp_path: Path) -> None:
    (tmp_path / "ann.c").write_text(PROGRAM)
    (tmp_path / "eve.c").write_text("secret")

    (found,) = submission.read_all([str(tmp_path / "ann.c")])

    assert ("ann", "ann.c", {"ann.c"}) == (found.name, found.program, set(found.files))


def test_a_folder_has_one_program_and_headers(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "more.c").write_text("static int more(void) { return 1; }")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "own.h").write_text("")

    found = submission.read(str(tmp_path), "ann")

    assert ("main.c", "", {"main.c", "more.c", "lib/own.h"}) == (found.program, found.topology, set(found.files))


def test_a_topology_comes_before_programs(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(PROGRAM)
    (tmp_path / "b.c").write_text(PROGRAM)
    (tmp_path / "prints.yml").write_text("received: x\n")
    assert "which program? There are a.c, b.c" in submission.read(str(tmp_path), "ann").problem
    (tmp_path / "lab.yml").write_text("nodes: {}\n")

    assert ("lab.yml", "") == submission.read(str(tmp_path), "ann")[3:5]


def test_links_and_pipes_are_left_out_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(PROGRAM)
    (tmp_path / "shadow.h").symlink_to("/etc/shadow")
    os.mkfifo(tmp_path / "pipe.h")

    found = submission.read(str(tmp_path), "ann")

    assert ["a.c"] == list(found.files)
    assert ("pipe.h (a pipe)", "shadow.h (a link to /etc/shadow)") == found.left_out


def test_too_much_is_a_problem_and_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_FILES", 1)
    (tmp_path / "a.c").write_text(PROGRAM)
    (tmp_path / "b.h").write_text("")

    assert "at most 1 files" in submission.read(str(tmp_path), "ann").problem
    with pytest.raises(UsageError, match="found nothing"):
        submission.read_all([str(tmp_path / "nobody")])


def test_what_takes_long_to_look_through_is_a_problem(tmp_path: Path) -> None:
    """But a header of the kernel's types is long, and is not looked through."""
    (tmp_path / "lb.c").write_text(PROGRAM)
    (tmp_path / "vmlinux.h").write_text(" " * (5 << 20))
    assert submission.read(str(tmp_path), "ann").problem == ""
    (tmp_path / "long.h").write_text(" " * (4 << 20))
    (tmp_path / "long.c").write_text(PROGRAM + " " * (4 << 20))

    for path in (tmp_path, tmp_path / "long.c"):
        assert "at most 4 MiB of C in .c and .h, found" in submission.read(str(path), "ann").problem
    (tmp_path / "long.h").unlink()
    (tmp_path / "long.c").unlink()
    (tmp_path / "lab.yml").write_text("nodes: {}\n" + "#" * (1 << 20))
    assert "lab.yml: expected a topology of at most 1,048,576 bytes" in submission.read(str(tmp_path), "ann").problem


def test_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    for name in ("ann", "eve"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lb.c").write_text(PROGRAM)
    paths = [f"{tmp_path}/{each}" for each in ("ann/lb.c", "eve/lb.c", "eve/lb.c", "ann")]

    assert ["ann-lb", "eve-lb", "eve-lb-2", "ann"] == [each.name for each in submission.read_all(paths)]


def test_a_name_is_that_of_a_folder_and_nobody_elses(tmp_path: Path) -> None:
    """Whatever a file is called, its results get a folder beside the others'."""
    for name in ("...c", "..c", "eve.c", "eve-2.c", f"{'é' * 120}.c"):
        (tmp_path / name).write_text(PROGRAM)
    names = [f"{tmp_path}/{each}" for each in ("...c", "..c", "eve.c", "eve.c", "eve-2.c", f"{'é' * 120}.c")]

    assert ["submission", "submission-2", "eve", "eve-3", "eve-2", "é" * 100] == [
        each.name for each in submission.read_all(names)
    ]
