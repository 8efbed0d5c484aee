"""The verifier's log of a program that is refused, with the lines of the source also where bcc leaves them out.

bcc hands the kernel a program with the lines of its source. Is it refused with EINVAL, bcc takes that for the word of a
kernel which knows no such lines, and tries again without: that log names no line. But a log for which the buffer is too
small is refused with ENOSPC, and stays as it is. So a buffer that lacks a little shows what is wanted, but for one end:
the last part before Linux 6.4, the first part since.
"""

import math
import re
import signal
import time
from collections.abc import Callable

Attempt = Callable[[int], tuple[str, bool]]
"""Loads the program with a log of so many bytes; returns the log, and whether the buffer was too small for it."""

LOG_BYTES = 1 << 20
ATTEMPTS = 16  # for the first part; the last one is found by the first of them
_MARGIN = (
    3  # attempts for which CPU time must be left: a line is a help, and who runs out of time is ended without a word
)

INSTRUCTION = re.compile(r"\d+: \([0-9a-f]{2}\)")
_LOOKED_AT_BYTES = 16  # of the line behind the last instruction, which says why


def log_with_lines(attempt: Attempt) -> str:
    """Return the whole log of a program that is refused with EINVAL, with source lines; "" where none can be had."""
    began_s = time.process_time()
    whole, _ = attempt(LOG_BYTES)
    takes_s = time.process_time() - began_s
    lines = whole.splitlines(keepends=True)
    last = max((n for n, line in enumerate(lines) if INSTRUCTION.match(line)), default=-1)
    if not 0 <= last < len(lines) - 1:
        return ""
    end = lines[last] + lines[last + 1][:_LOOKED_AT_BYTES]
    least, most = len(whole), 4 * len(whole)  # what is too small, and what is not; lines are about as long as states
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
