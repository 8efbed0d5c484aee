"""A small start of one's own: what is written, and that nothing is overwritten."""

import os
from pathlib import Path

import pytest

from netlab.cli import new
from netlab.cli.main import main
from netlab.cli.verbs import VERBS
from netlab.errors import UsageError
from netlab.paths import TEMPLATES


def test_every_kind_may_be_typed() -> None:
    [kind] = [argument for argument in VERBS["new"].arguments if argument.names == ("kind",)]

    assert set(new.STARTS) == set(kind.keywords["choices"])


def test_every_file_belongs_to_a_start() -> None:
    there = {name for name in os.listdir(TEMPLATES) if "." in name}

    assert there == {name for start in new.STARTS.values() for name in start.files}


@pytest.mark.parametrize("kind", new.STARTS)
def test_a_start_is_written_and_is_a_good_topology(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what it has written and what comes next; `validate` names the files that are not netlab's own."""
    folder = tmp_path / "a" / "b"
    topology, *others = new.STARTS[kind].files

    assert 0 == main(["new", kind, str(folder)])
    said = capsys.readouterr().err
    assert sorted(new.STARTS[kind].files) == sorted(os.listdir(folder))
    assert f"next: sudo netlab up {folder}/{topology}" in said
    assert 0 == main(["validate", str(folder / topology)])
    said = capsys.readouterr().err
    assert all(f" is {folder}/{name}" in said for name in others)


def test_nothing_is_overwritten_nor_written_beside_it(tmp_path: Path) -> None:
    (tmp_path / "balancer.c").write_text("mine")

    with pytest.raises(UsageError, match=r"balancer\.c: there already, and nothing is overwritten"):
        new.write("partb", str(tmp_path))
    assert ["balancer.c"] == os.listdir(tmp_path)
    assert "mine" == (tmp_path / "balancer.c").read_text()


def test_where_no_folder_can_be_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="expected a folder, or one that can be made: "):
        new.write("role", str(tmp_path / "file" / "more"))
