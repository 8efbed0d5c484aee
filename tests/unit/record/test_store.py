"""Labs on disk: which there are, which one is meant, and who may change it."""

import json
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.errors import HostError, NetlabError, UsageError
from netlab.record import store
from netlab.record.model import LabRecord, LimitsRecord, NodeRecord

pytestmark = pytest.mark.usefixtures("root")


def make(root: Path, name: str, data: dict[str, Any] | None = None) -> None:
    root.mkdir(0o755, exist_ok=True)
    (root / name).mkdir(0o755)
    if data is not None:
        (root / name / "lab.json").write_text(json.dumps(data))
        (root / name / "env.json").write_text("{}")


def test_no_lab_is_a_failure_that_says_what_to_do() -> None:
    """There is nothing that a verb could mean."""
    with pytest.raises(NetlabError, match="no lab is up: netlab up FILE"):
        store.choose(None)


def test_the_only_lab_is_meant(root: Path) -> None:
    """Lock files and strange names are no labs."""
    make(root, "one")
    (root / "one.lock").touch()
    (root / "Not_a_label").mkdir()

    assert store.choose(None) == "one"


def test_one_of_several_labs_must_be_chosen(root: Path) -> None:
    """The error lists them."""
    make(root, "one")
    make(root, "two")

    with pytest.raises(UsageError, match=r"one, two.*--lab"):
        store.choose(None)
    assert store.choose("two") == "two"
    with pytest.raises(NetlabError, match="no lab named three is up; there is one, two"):
        store.choose("three")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a-", "a.b", "a" * 64, "a\n"])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    """No name of a lab can lead out of the folder of labs."""
    with pytest.raises(UsageError, match="is no name for a lab"):
        paths.folder_of(name)


def test_a_missing_or_damaged_record_is_reported(root: Path) -> None:
    """Both say how to get rid of what is left."""
    make(root, "torn")
    with pytest.raises(NetlabError, match="netlab down --lab torn"):
        store.read("torn")
    (root / "torn" / "lab.json").write_text('{"lab": ')
    with pytest.raises(NetlabError, match=r"damaged.*netlab down --lab torn"):
        store.read("torn")


def test_a_misspelt_node_gets_the_nearest_name() -> None:
    """And exit code 2."""
    worker, client = (NodeRecord("node", LimitsRecord(cpu), {}, (), ()) for cpu in (1, 2))
    record = LabRecord("one", "", "netns", "/run/netlab/one", {"worker1": worker, "client": client})

    assert store.node_of(record, "client") == client
    with pytest.raises(UsageError, match="did you mean worker1"):
        store.node_of(record, "wroker1")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_labs_are_not_kept_where_others_can_write(root: Path, mode: int) -> None:
    """Whatever is found there may be theirs."""
    root.mkdir()
    root.chmod(mode)

    with pytest.raises(HostError, match=r"labs is not safe: others can write to it"), store.locked("one"):
        pass


def test_labs_are_not_kept_behind_a_link(root: Path, tmp_path: Path) -> None:
    """Somebody else may say where it leads."""
    (tmp_path / "elsewhere").mkdir()
    root.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(HostError, match="is no folder, but a link"), store.locked("one"):
        pass
