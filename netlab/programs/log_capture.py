"""Gets the verifier's log of a refused program with source lines, also where bcc leaves them out.

bcc loads a program together with the lines of its source. If the kernel answers EINVAL, bcc assumes that the kernel
does not support source lines, and loads the program again without them; then the log names no line. If the log's buffer
is too small, the kernel answers ENOSPC instead, and bcc does not try again. So a buffer that is a little too small
gives a log with lines. One end of it is missing: the last part before Linux 6.4, the first part since.
"""

import math
import re
import signal
import time
from collections.abc import Callable

Attempt = Callable[[int], tuple[str, bool]]
"""Loads the program with a log buffer of this size in bytes; returns the log, and whether the buffer was too small."""

LOG_BYTES = 1 << 20
ATTEMPTS = 16  # at most, to find the right size since Linux 6.4; before, the first attempt is enough
# The CPU time of so many attempts must be left: source lines only help, and a process out of CPU time is killed.
_MARGIN = 3

INSTRUCTION = re.compile(r"\d+: \([0-9a-f]{2}\)")
_LOOKED_AT_BYTES = 16  # of the line after the last instruction, which says why


def log_with_lines(attempt: Attempt) -> str:
    """Return the whole log, with source lines, of a program refused with EINVAL; "" if there is none to be had."""
    began_s = time.process_time()
    whole, _ = attempt(LOG_BYTES)
    takes_s = time.process_time() - began_s
    lines = whole.splitlines(keepends=True)
    last = max((n for n, line in enumerate(lines) if INSTRUCTION.match(line)), default=-1)
    if not 0 <= last < len(lines) - 1:
        return ""
    end = lines[last] + lines[last + 1][:_LOOKED_AT_BYTES]
    least, most = len(whole), 4 * len(whole)  # too small, and large enough: source lines about double a log
    size = least
    for _ in range(ATTEMPTS):
        if least >= most or cpu_left_s() < _MARGIN * takes_s:
            break
        log, is_short = attempt(size)
        if is_short and end in log:
            return log[: log.index(end)] + "".join(lines[last:])
        least, most = (size + 1, most) if is_short else (least, size)
        size = (least + most) // 2
    return ""


def cpu_left_s() -> float:
    """Return the CPU time that this process may still use before its timer ends it (`loader_child`), in seconds."""
    return signal.getitimer(signal.ITIMER_PROF)[0] or math.inf
