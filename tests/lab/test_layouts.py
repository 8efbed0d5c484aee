"""What programs count is read as they were loaded: by their own types, in the lab's folder."""

import json
import os
import stat
from pathlib import Path

import pytest

from netlab import paths
from netlab.programs import map_values
from netlab.record import store
from tests.lab.lab import LAB, inside, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

THREE = """
name: three
nodes:
  left: {xdp: ./left.c}
  right: {xdp: ./right.c}
  odd: {xdp: ./odd.c}
links: [[left, right], [left, odd]]
"""
REASONS = "enum reason { PASS_SHORT, PASS_OTHER, REASONS }; /* from short to other */\n"
COUNTING = """
BPF_PERCPU_ARRAY(reasons, struct count, REASONS);

int count(struct xdp_md *ctx)
{
	u32 reason = PASS_OTHER;
	struct count *count = reasons.lookup(&reason);

	if (count) {
		count->packets++;
		count->bytes += 1;
	}
	return XDP_PASS;
}
"""
LEFT = f'#include <uapi/linux/bpf.h>\n#include "verdict.h"\n#include "why.h"\n{COUNTING}'
OWN_COUNT = "struct count { u64 extra; u64 packets; u64 bytes; };\n"
RIGHT = f'#include <uapi/linux/bpf.h>\n#include "why.h"\n{OWN_COUNT}{COUNTING}'
# what this compiler says of a float no kernel takes from bcc, so that nothing is known of this program's types
ODD = f"#include <uapi/linux/bpf.h>\n{REASONS}struct count {{ u64 packets; u64 bytes; float share; }};\n{COUNTING}"


def test_reasons_are_those_of_the_program_that_was_loaded(tmp_path: Path) -> None:
    """The header that has them may change or go; BTF need not have them; types nobody can read hinder nothing else."""
    for name, text in {"three.yml": THREE, "why.h": REASONS, "left.c": LEFT, "right.c": RIGHT, "odd.c": ODD}.items():
        (tmp_path / name).write_text(text)
    with lab(str(tmp_path / "three.yml"), name=LAB):
        (tmp_path / "why.h").write_text("enum reason { ANOTHER, REASONS };\n")
        (tmp_path / "left.c").unlink()
        inside("left", "ping", "-c1", "right")
        inside("left", "ping", "-c1", "odd")
        counted = json.loads(netlab("stats", "--format", "json").stdout)["programs"]
        record = store.read(LAB)
        known = {key: map_values.types(paths.layouts(program.pins)).layouts for key, program in record.programs()}
        mode = stat.S_IMODE(os.stat(paths.layouts(paths.pins(record.folder, "left"))).st_mode)

    names = ["PASS_SHORT", "PASS_OTHER"]
    assert [list(counted[node]["reasons"]) for node in ("left", "right")] == [names, names]
    for node in ("left", "right"):
        about = counted[node]["reasons"]["PASS_OTHER"]
        assert about["packets"] == about["bytes"] > 0
    assert counted["odd"]["reasons"] == {}
    assert [field.name for field in known["right"].structs["struct count"].fields] == ["extra", "packets", "bytes"]
    assert known["odd"].maps == {}
    assert mode == 0o640
