"""Forks until nothing can be forked any more, and each child stays."""

import os
import time

try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
except OSError:
    pass
