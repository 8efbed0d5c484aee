"""Programs and roles that a topology names: what is no file of that kind."""

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
    read = topology("{name: x, nodes: {a: {xdp: balancer}, b: }, links: [[a, b]]}").nodes[0].program

    assert read
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
