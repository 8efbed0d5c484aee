"""Which files of a play's programs are kept, and where."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from netlab.demo import sources
from netlab.demo.evidence import Evidence
from netlab.observe.stats import LabStats
from netlab.record.model import LabRecord
from tests.unit.described import described

LAB = """
name: two
nodes: {%s}
links: [[a, b]]
"""


def evidence(folder: Path, programs: Mapping[str, str]) -> Evidence:
    """Return what a lab leaves whose nodes carry these programs."""
    nodes = ", ".join(f"{node}: {{xdp: {program}}}" for node, program in programs.items())
    return left(folder, described(LAB % nodes, folder), programs)


def left(folder: Path, lab: LabRecord, programs: Mapping[str, str]) -> Evidence:
    """Return what a lab leaves with these programs, by key."""
    texts = {key: (folder / program).read_bytes() for key, program in programs.items()}
    return Evidence([], lab, LabStats("two", {}, {}), {}, texts, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with programs of one name, and a header of one name for each."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        entry = f"int {name}(struct xdp_md *ctx) {{ return XDP_PASS; }}\n"
        (tmp_path / name / "x.c").write_text(f'#include "own.h"\n{entry}')
        (tmp_path / name / "own.h").write_text(f"// {name}\n")
        (tmp_path / name / "above.c").write_text(f'#include "../{name}.h"\n#include "../two/own.h"\n{entry}')
        (tmp_path / f"{name}.h").write_text(f"// {name}\n")
    return tmp_path


def written(folder: Path, programs: Mapping[str, str]) -> dict[str, str]:
    """Write what is kept, and return where each node's program is."""
    kept = sources.kept(evidence(folder, programs))
    kept.write(f"{folder}/kept")
    return dict(kept.paths)


def test_programs_of_one_name_are_both_kept(folder: Path) -> None:
    """The second in a folder of its node's, with its header beside it."""
    assert {"a": "x.c", "b": "b/x.c"} == written(folder, {"a": "./one/x.c", "b": "./two/x.c"})
    for place, name in (("x.c", "one/x.c"), ("own.h", "one/own.h"), ("b/x.c", "two/x.c"), ("b/own.h", "two/own.h")):
        assert (folder / name).read_text() == (folder / "kept" / place).read_text()


def test_programs_of_one_node_are_all_kept(folder: Path) -> None:
    """Two functions of a file once, and another file of its name in a folder that is called as the program is."""
    entries = "{program: ./one/x.c, interfaces: [eth0]}, {program: ./one/x.c, name: again, interfaces: [eth1]}"
    third = "{program: ./two/x.c, name: third, interfaces: [eth2]}"
    links = "links: [[a, b], [a, b], [a, b]]"
    lab = described(f"name: two\nnodes: {{a: {{xdp: [{entries}, {third}]}}, b: {{}}}}\n{links}\n", folder)
    kept = sources.kept(left(folder, lab, {"a/x": "one/x.c", "a/again": "one/x.c", "a/third": "two/x.c"}))

    assert {"a/x": "x.c", "a/again": "x.c", "a/third": "a.third/x.c"} == kept.paths
    assert kept.contents["a.third/own.h"] == b"// two\n"


def test_one_program_of_two_nodes_is_kept_once(folder: Path) -> None:
    assert {"a": "x.c", "b": "x.c"} == written(folder, {"a": "./one/x.c", "b": "./one/x.c"})


def test_headers_from_above_stand_where_the_program_finds_them(folder: Path) -> None:
    """And so it stands in the folder that it had."""
    assert {"a": "one/above.c", "b": "two/above.c"} == written(folder, {"a": "./one/above.c", "b": "./two/above.c"})
    for place in ("one.h", "two.h", "two/own.h"):
        assert (folder / place).read_text() == (folder / "kept" / place).read_text()


def test_no_file_takes_the_name_of_a_folder() -> None:
    """A header may be called as a node is, whose folder it would be."""
    own = {"x.c": b"another"}

    assert [False, False, True] == [sources._is_free({"x.c": b"", "b": b""}, each, own) for each in ("", "b/", "b-2/")]
    assert not sources._is_free({"b/x.c": b""}, "", {"b": b""})
