"""What `make demo` plays: both runs of part B, and no trace of them afterwards, whatever ended it."""

import signal
import subprocess
import sys

import pytest

from tests.setup.conftest import CHECKOUT

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]
DEMO = [sys.executable, str(CHECKOUT / "docs" / "demo.py")]


def test_the_demo_shows_both_runs() -> None:
    """Nothing waits in the first run, the queue is used in the second, and both end with every thread free."""
    done = subprocess.run(DEMO, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was lost" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals) -> None:
    """Stopped in the middle of its first run, the demo takes its lab down all the same."""
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert demo.stdout is not None
    said = ""
    while "First run" not in said:
        line = demo.stdout.readline()
        assert line, said
        said += line

    demo.send_signal(number)
    demo.communicate()

    assert demo.returncode == 128 + number
