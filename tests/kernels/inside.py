"""The side of the kernel under test: runs the tests of a form, and prints what came of each as a line of data.

    python -m tests.kernels.inside short|whole

Standard output gets these lines, each a JSON object, and nothing else; what pytest says goes to standard error.
"""

import json
import os
import platform
import sys
from typing import Any

import pytest

from tests.kernels import checks

_TEXT_CHARACTERS = 4000  # of what a failed test says: the end


class Teller:
    """A plugin of pytest that tells what came of each test at once, so that a panic loses nothing."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def tell(self, **line: Any) -> None:
        """Print a line of data."""
        os.write(self._fd, f"{json.dumps(line)}\n".encode())

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell what is tried now: if the machine dies of it, that is the last line."""
        self.tell(trying=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of the test itself, and of what surrounds it if that failed or chose to skip."""
        if report.when == "call" or report.outcome != "passed":
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            self.tell(test=report.nodeid, result=report.outcome, seconds=report.duration, text=text[-_TEXT_CHARACTERS:])


def main() -> int:
    """Run the tests and return pytest's exit code."""
    teller = Teller(os.dup(1))
    os.dup2(2, 1)  # what pytest prints is for people
    teller.tell(kernel=platform.release())
    tests = checks.chosen(sys.argv[1] == "short")
    code = int(pytest.main(["-p", "no:cacheprovider", "-q", "-m", "not docker and not slow", *tests], [teller]))
    teller.tell(done=code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
