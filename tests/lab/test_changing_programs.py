"""`apply` and programs: another build takes over maps, or begins anew; one that does not compile changes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: programs
nodes:
  a: {}
  b:
    command: [sleep, inf]
    xdp: ./count.c
    maps: {wanted: {1: 10, 2: 20}}
links: [[a, b]]
"""
SOURCE = """
#include <uapi/linux/bpf.h>
#include "kinds.h"
BPF_ARRAY(seen, u64, 4);
BPF_HASH(wanted, u32, VALUE);
int count(struct xdp_md *ctx)
{
	int zero = 0;
	seen.increment(zero);
	return XDP_PASS;
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "lab.yml").write_text(TOPOLOGY)
    (tmp_path / "count.c").write_text(SOURCE)
    (tmp_path / "kinds.h").write_text("#define VALUE u32\n")
    with lab(str(tmp_path / "lab.yml"), name="programs"):
        inside("a", "ping", "-c", "1", "b")
        yield tmp_path


def apply(folder: Path, code: int = 0) -> str:
    return netlab("apply", str(folder / "lab.yml"), code=code).stderr


def entries(name: str) -> dict[str, object]:
    """Return what is in a map, by key, as text."""
    found = json.loads(netlab("maps", "b", name, "--json").stdout)
    return {str(each["key"]): each["value"] for each in _entries(found)}


def _entries(found: object) -> list[dict[str, object]]:
    """Return the list of entries, wherever it is in the answer."""
    if isinstance(found, dict):
        if isinstance(found.get("entries"), list):
            return list(found["entries"])
        return [each for value in found.values() for each in _entries(value)]
    return [each for value in found for each in _entries(value)] if isinstance(found, list) else []


def test_programs_and_maps_become_what_the_file_says(folder: Path) -> None:
    seen = entries("seen")["0"]
    assert entries("wanted") == {"1": 10, "2": 20}

    # entries of maps
    (folder / "lab.yml").write_text(TOPOLOGY.replace("1: 10, 2: 20", "2: 21, 3: 30"))
    assert "replaced" not in apply(folder)
    assert entries("wanted") == {"2": 21, "3": 30}
    netlab("maps", "set", "b", "wanted", "9", "90")

    # another build, with the maps: a header of it has changed
    (folder / "kinds.h").write_text("#define VALUE u32\n#define OTHER 1\n")
    assert "count of b is replaced by another build; its maps stay" in apply(folder)
    assert entries("wanted") == {"2": 21, "3": 30, "9": 90}
    assert int(str(entries("seen")["0"])) >= int(str(seen)) > 0

    # one that does not compile
    (folder / "count.c").write_text(SOURCE.replace("int zero", "in zero"))
    assert "count.c:8" in apply(folder, code=1)
    netlab("status")
    assert entries("wanted") == {"2": 21, "3": 30, "9": 90}

    # another shape of a map
    (folder / "count.c").write_text(SOURCE)
    (folder / "kinds.h").write_text("#define VALUE u64\n")
    said = apply(folder)
    assert "its maps have other shapes, and begin anew" in said
    assert "b ends and starts again" in said
    assert entries("wanted") == {"2": 21, "3": 30}
    inside("a", "ping", "-c", "1", "b")
    netlab("status")
    assert "nothing to do" in apply(folder)

    # no program, and one again
    (folder / "lab.yml").write_text("name: programs\nnodes: {a: {}, b: {}}\nlinks: [[a, b]]\n")
    apply(folder)
    assert "xdp" not in inside("b", "ip", "link").stdout
    (folder / "lab.yml").write_text(TOPOLOGY)
    apply(folder)
    assert entries("wanted") == {"1": 10, "2": 20}
    netlab("status")
