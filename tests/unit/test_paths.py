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


def test_no_two_programs_share_a_file() -> None:
    """Whatever their names, and whether a node has one or several; nor do they with what passes for neighbours."""
    nodes, names = ("a", "b", "a-b", "a_b", "a__b", "peer"), ("a", "b", "b_a", "_a", "a-b", "peer", "reload", "A")
    keys = [paths.program_key(node, name, is_only=False) for node in nodes for name in names]
    keys += [paths.program_key(node, "a", is_only=True) for node in nodes]
    pins = [*(paths.pins("/x", key) for key in keys), *(paths.passing_pins("/x", node) for node in nodes)]
    others = [
        *map(paths.layouts, pins),
        *map(paths.successor_layouts, pins),
        *(paths.source("/x", key, "y.c") for key in keys),
    ]

    assert len(keys) == len(set(keys))
    assert {"/x/bpf/a", "/x/bpf/a=b"} < set(pins)
    assert {"/x/layouts/a=b.json", "/x/layouts/a=b.reload.json", "/x/programs/a.b.c"} < set(others)
    assert len(pins + others) == len({*pins, *others})
    assert not any("." in pin for pin in pins)  # which a BPF file system does not take


@pytest.mark.parametrize("name", ["a", "xdp_prog", "_x", "B-2", "7", "a" * 63])
def test_one_of_several_programs_may_be_called_so(name: str) -> None:
    assert paths.is_program_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a.b", "a/b", "..", "a b", "a\n", 'a"', "é", "٣", "a" * 64])
def test_one_of_several_programs_may_not_be_called_so(name: str) -> None:
    """The name is in paths, in keys, and in a text of the program."""
    assert not paths.is_program_name(name)


@pytest.mark.parametrize(
    ("name", "label"), [("PC1", "pc1"), ("ws_random", "ws-random"), ("a" * 63, "a" * 63), ("x__Y", "x--y")]
)
def test_a_name_makes_a_label(name: str, label: str) -> None:
    assert paths.is_name(name)
    assert label == paths.label_of(name)
    assert paths.is_label(label)


@pytest.mark.parametrize("name", ["", "_", "_a", "a_", "-a", "A-", "a.b", "a/b", "..", "a\n", "É", "\u212a", "a" * 64])
def test_no_other_name_is_a_nodes(name: str) -> None:
    """It could lead out of a folder, or make no label."""
    assert not paths.is_name(name)
