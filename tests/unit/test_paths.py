"""What a lab may be called, and where that leads."""

import pytest

from netlab import paths
from netlab.errors import UsageError


@pytest.mark.parametrize("name", ["a", "7", "part-b", "x--y", "a" * 63])
def test_a_label_has_a_folder(name: str) -> None:
    assert paths.is_label(name)
    assert f"/run/netlab/{name}" == paths.folder_of(name)
    assert f"/run/netlab/{name}.lock" == paths.lock(name)


@pytest.mark.parametrize("name", ["", "-", "-a", "a-", "A", "a.b", "a/b", "..", "a\n", "é", "٣", "a" * 64])
def test_no_other_name_leads_anywhere(name: str) -> None:
    """It could lead out of the folder of all labs, or mean another lab."""
    assert not paths.is_label(name)
    with pytest.raises(UsageError, match="is no name for a lab: expected letters a-z, digits and inner hyphens, 63 at"):
        paths.folder_of(name)


def test_a_process_with_its_nodes_name_is_called_as_the_node() -> None:
    """Each other one has both names; the node can be told from either."""
    keys = [paths.process_key("r1", name) for name in ("r1", "zebra", "r2")]

    assert keys == ["r1", "r1/zebra", "r1/r2"]
    assert {"r1"} == {paths.node_of(key) for key in keys}


def test_no_two_logs_are_one_file() -> None:
    """Nor is one what another has become when it was full."""
    names = ("r1", "r2", "log", "1", "r1-log")
    logs = [paths.log("/x", paths.process_key(node, name)) for node in names for name in names]

    assert "/x/logs/r1.log" in logs
    assert "/x/logs/r1.r2.log" in logs
    assert 2 * len(logs) == len({*logs, *(f"{log}.1" for log in logs)})
