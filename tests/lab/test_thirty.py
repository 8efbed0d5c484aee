"""Thirty submissions, some hostile: the right verdict for each, in bounded time; nothing is seen, and nothing left."""

import json
import os
import socket
from pathlib import Path

import pytest

from tests.lab import handed_in
from tests.lab.clang import needed
from tests.lab.lab import ROOT, netlab

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.usefixtures("no_leaks"), needed]
GRADING = f"{ROOT}/tests/lab/grading"
CANARY = "canary-7f3a-of-the-host"


ENDLESS = "a-gigabyte-of-macros"  # which takes all the time that it is given


def graded(part: str, submissions: dict[str, str], into: Path, *words: str) -> dict[str, str]:
    """Grade submissions, and return the verdicts by name."""
    options = (f"{GRADING}/{part}", *submissions, "--save", str(into), *words, "--format", "json")
    found = json.loads(netlab("grade", *options, code=1, timeout=1200).stdout)
    return {each["name"]: each["verdict"] for each in found["submissions"]}


def written(folder: Path) -> str:
    """Return all that is in a folder."""
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_each_has_the_right_verdict_and_sees_nothing(tmp_path: Path) -> None:
    """Two at a time; a server of the host waits for whoever can reach it."""
    tmp_path.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as host:
        b, a = handed_in.write(tmp_path, CANARY, host.getsockname()[1])
        endless = {path: verdict for path, verdict in b.items() if ENDLESS in path}
        others = {path: verdict for path, verdict in b.items() if path not in endless}
        found = graded("partb", others, tmp_path / "marks-b", "-j2", "--time-limit", "90")
        found |= graded("partb", endless, tmp_path / "marks-endless", "--time-limit", "15")
        found |= graded("parta", a, tmp_path / "marks-a", "-j2")
        host.setblocking(False)
        with pytest.raises(BlockingIOError):
            host.accept()

    assert handed_in.verdicts_of({**b, **a}) == found
    assert len(found) >= 30
    assert CANARY not in written(tmp_path / "marks-b") + written(tmp_path / "marks-a")
    assert "root:" not in written(tmp_path / "marks-b")
    assert not [path for path in ("/run/hostile", "/etc/hostile") if os.path.exists(path)]
