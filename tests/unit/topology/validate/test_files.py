"""Programs and roles that a topology names: what is no file of that kind."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.errors import TopologyError
from netlab.topology import document, validate
from tests.checkout import ROOT
from tests.unit.topology.texts import mistakes, topology


def test_without_a_file_nothing_is_looked_up_beside_it() -> None:
    """A topology from text finds netlab's own programs, and no files of the current folder."""
    (read,) = topology("{name: x, nodes: {a: {xdp: balancer}, b: }, links: [[a, b]]}").nodes[0].programs

    assert os.path.join(ROOT, "bpf", "balancer.c") == read.path
    assert mistakes("{name: x, nodes: {a: {xdp: nothing}, b: }, links: [[a, b]]}")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [make_pipe, make_socket, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize(
    ("key", "name", "written"),
    [
        ("role", "mine.py", "mine"),
        ("role", "mine.py", "./mine.py"),
        ("xdp", "mine.c", "mine"),
        ("xdp", "mine.c", "./mine.c"),
    ],
)
def test_what_is_no_regular_file_is_told_for_what_it_is(
    tmp_path: Path, make: Callable[[Path], None], key: str, name: str, written: str
) -> None:
    """A pipe would be waited for, a device never ends; that such a name is near its own is no help."""
    make(tmp_path / name)
    (tmp_path / "lab.yml").write_text(f"{{name: x, nodes: {{a: {{{key}: {written}}}, b: }}, links: [[a, b]]}}")
    with pytest.raises(TopologyError) as caught:
        validate.topology(document.load(str(tmp_path / "lab.yml"), []))

    assert "no regular file" in str(caught.value)
    assert "did you mean" not in str(caught.value)


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """It may hold topologies and roles; only the compiler takes no program from there."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    (folder / "mine.py").touch()
    (folder / "mine.c").touch()
    (folder / "lab.yml").write_text("{name: x, nodes: {a: {role: mine, xdp: mine}, b: }, links: [[a, b]]}")
    with pytest.raises(TopologyError) as caught:
        validate.topology(document.load(str(folder / "lab.yml"), []))

    assert [mistake.path for mistake in caught.value.mistakes] == ["nodes.a.xdp"]
    assert "is no UTF-8" in str(caught.value)


def make_loop(path: Path) -> None:
    path.symlink_to(path)


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 33)


@pytest.mark.parametrize(
    ("make", "why"), [(make_loop, "Too many levels of symbolic links"), (make_huge, "longer than 16,777,216 bytes")]
)
@pytest.mark.parametrize("written", ["mine", "./mine.c", "{program: ./mine.c, define: {A: 1}}"])
def test_a_program_that_cannot_be_read_hides_no_other_mistake(
    tmp_path: Path, make: Callable[[Path], None], why: str, written: str
) -> None:
    """It is a mistake like the others, with its place."""
    make(tmp_path / "mine.c")
    (tmp_path / "lab.yml").write_text(f"{{name: x, nodes: {{a: {{xdp: {written}}}, b: {{oops: 1}}}}, links: [[a, b]]}}")
    with pytest.raises(TopologyError) as caught:
        validate.topology(document.load(str(tmp_path / "lab.yml"), []))

    program, other = caught.value.mistakes
    assert "cannot be read" in program.message
    assert why in program.message
    assert other.path == "nodes.b.oops"


def test_a_program_that_others_alone_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does one of which only the permission is wrong, or that goes while it is read."""

    def refuse(path: str, _: int) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("netlab.kernel.files.read", refuse)
    found = mistakes("{name: x, nodes: {a: {xdp: pass}, b: {oops: 1}}, links: [[a, b]]}")

    assert ["nodes.a.xdp", "nodes.b.oops"] == [line.split(": ")[1] for line in found]
    assert "pass.c' cannot be read: Permission denied" in found[0]
