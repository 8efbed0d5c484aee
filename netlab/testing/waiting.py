"""How long a test waits for what must happen.

No test depends on the speed of its machine. It waits for a condition, and causes what it wants to see. The deadline
only ends a test that would wait for ever. So it is as long as a machine needs that many share. For an emulated
processor NETLAB_TEST_PATIENCE is a longer deadline, in seconds.
"""

import os
import time
from collections.abc import Callable

IS_SLOW = "NETLAB_TEST_PATIENCE" in os.environ
PATIENCE_S = float(os.environ.get("NETLAB_TEST_PATIENCE", "180"))
_POLL_S = 0.01


def eventually(condition: Callable[[], object], what: str = "the condition", patience_s: float = PATIENCE_S) -> None:
    """Wait until the condition holds; AssertionError after `patience_s` seconds says what was waited for."""
    ends = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() >= ends:
            raise AssertionError(f"not so within {patience_s:g} s: {what}")
        time.sleep(_POLL_S)
