"""What all tests together have left on the machine, that no single test can see: its cell did not hold it.

Others may use the machine meanwhile. So what is there when the tests have ended counts only if it does not go, and what
comes later is none of ours. Cells, and trace instances by their marks, are ours if one of our processes was there.
"""

import glob
import re
import tempfile
import time
from typing import Any

import pytest

from netlab.record import mark
from netlab.testing import leaks

SETTLED_WITHIN_S = 120.0
POLL_S = 0.02
OURS = "whose"  # the key of what a worker hands over


def whose() -> list[str]:
    """Return what the marks of all labs end with that are made where this process is, and its cell, if any."""
    return [mark.mark("").rpartition(".")[2], *_cells(tempfile.gettempdir())]


class LeftOver:
    """A plugin of the process that gives out the tests, or runs them all."""

    def __init__(self) -> None:
        self._ours = set(whose())
        self._before = self._machine()
        self._was_root = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note whether any test was run that could leave something."""
        self._was_root = self._was_root or ("root" in report.keywords and report.when == "call")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over whose labs a worker's were."""
        self._ours.update(getattr(node, "workeroutput", {}).get(OURS, []))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the whole if something stays; tests without root can leave files only."""
        if left := self.left("" if self._was_root else "left behind: file "):
            print("\nwhen all tests had ended:", *sorted(left)[:40], sep="\n")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def left(self, kind: str = "", within_s: float = SETTLED_WITHIN_S) -> set[str]:
        """Return a sentence, which begins with `kind`, for each thing that is new and does not go."""
        ends = time.monotonic() + within_s
        found = {each for each in leaks.difference(self._before, self._machine()) if each.startswith(kind)}
        while found and time.monotonic() < ends:
            time.sleep(POLL_S)
            found.intersection_update(leaks.difference(self._before, self._machine()))
        return found

    def _machine(self) -> leaks.Snapshot:
        """Return what there is on the whole machine, cells included, of what none of them keeps to itself."""
        found = leaks.machine()
        found["file"].update(path for path in glob.glob("/tmp/cell-*") if self._ours & {*_cells(path)})  # noqa: S108
        found["cgroup"] = {path for path in found["cgroup"] if self._ours.issuperset(_cells(path))}
        found["trace instance"] = {name for name in found["trace instance"] if name.rpartition(".")[2] in self._ours}
        return found


def _cells(path: str) -> list[str]:
    """Return the names of cells in a path, `cell-PID` of `cell-PID` and `cell-PID-MORE`."""
    return re.findall(r"(?<=/)cell-\d+(?=[-/]|$)", path)
