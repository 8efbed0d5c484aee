"""`netlab grade`: each submission is played in labs of its own, and gets its verdict; nothing is left."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netlab import paths
from netlab.record import store
from netlab.testing.waiting import eventually
from tests.lab.lab import ROOT, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]
LAB = """
name: pass
nodes: {a: {}, b: {xdp: ./program.c}}
links: [[a, b]]
checks:
  - {ping: [a, b], within: 2s}
  - {name: and back, ping: [b, a], within: 2s}
"""
PROGRAM = "#include <uapi/linux/bpf.h>\nint mine(struct xdp_md *ctx)\n{\n%s\n}\n"
BODIES = {
    "passes": "return XDP_PASS;",
    "drops": "return XDP_DROP;",
    "unbuilt": "return nothing;",
    "refused": "return *(int *)(long)ctx->data;",
}
VERDICTS = {
    "passes": "full",
    "drops": "claims fail",
    "unbuilt": "does not build",
    "refused": "refused by the verifier",
}


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """Return a folder with an exercise and four submissions."""
    (tmp_path / "lab.yml").write_text(LAB)
    for name, body in BODIES.items():
        (tmp_path / f"{name}.c").write_text(PROGRAM % body)
    return tmp_path


def submissions(folder: Path) -> list[str]:
    return [f"{folder}/{name}.c" for name in BODIES]


def verdicts(text: str) -> dict[str, str]:
    found: dict[str, Any] = json.loads(text)
    return {each["name"]: each["verdict"] for each in found["submissions"]}


def test_each_has_its_verdict_and_its_reports(handed_in: Path) -> None:
    words = (f"{handed_in}/lab.yml", *submissions(handed_in), "-j2", f"--save={handed_in}/marks")
    done = netlab("grade", *words, "--format", "json", code=1)

    assert VERDICTS == verdicts(done.stdout)
    assert "drops.html" not in os.listdir(handed_in / "marks")
    assert "refused: refused by the verifier" in (handed_in / "marks/submissions/refused/report.md").read_text()
    with open(handed_in / "marks/results.csv", encoding="utf-8", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert ("2", "0") == (rows["passes"]["points"], rows["drops"]["check-1"])


def test_all_full_ends_with_0(handed_in: Path) -> None:
    netlab("grade", f"{handed_in}/lab.yml", f"{handed_in}/passes.c", code=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("partc", "x.c"), "there is no exercise partc"),
        (("parta", "/nowhere.c"), "/nowhere.c: expected a submission"),
        (("parta", f"{ROOT}/README.md"), "expected a C file (.c) or a folder"),
        (("parta", f"{ROOT}/bpf/dropper.c", "--resume"), "expected --save"),
    ],
)
def test_a_wrong_word_ends_with_2(words: tuple[str, ...], message: str) -> None:
    assert message in netlab("grade", *words, code=2).stderr


def test_a_killed_run_goes_on_where_it_was(handed_in: Path) -> None:
    """Labs and folders that it has left are removed by the next one."""
    words = ["grade", f"{handed_in}/lab.yml", *submissions(handed_in), f"--save={handed_in}/marks", "--seed=3"]
    first = subprocess.Popen([sys.executable, "-I", "-m", "netlab", *words], cwd=ROOT, stderr=subprocess.DEVNULL)
    kept = handed_in / "marks/submissions/passes/result.json"
    eventually(lambda: kept.exists() and bool(store.labs()), "a first result, and a second lab")
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = kept.stat().st_mtime_ns
    done = netlab(*words, "--resume", "--format", "json", code=1)

    assert VERDICTS == verdicts(done.stdout)
    assert before == kept.stat().st_mtime_ns
    assert not store.labs()
    assert not os.path.exists(paths.GRADES)
