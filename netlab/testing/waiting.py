"""How long a test waits for what must happen.

No test passes or fails by the speed of its machine: it waits until something is so, and brings about what it wants to
see. The deadline is only there to end a test that would wait for ever; it is as long as a machine may need that is
shared by many. Where the processor is emulated, NETLAB_TEST_PATIENCE is a longer one, in seconds.
"""

import os
import time
from collections.abc import Callable

IS_SLOW = "NETLAB_TEST_PATIENCE" in os.environ
PATIENCE_S = float(os.environ.get("NETLAB_TEST_PATIENCE", "180"))
_POLL_S = 0.01


def eventually(condition: Callable[[], object], what: str = "the condition", patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so; AssertionError at the deadline, in seconds, says what was waited for."""
    ends = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() >= ends:
            raise AssertionError(f"not so within {patience_s:g} s: {what}")
        time.sleep(_POLL_S)
