"""The verifier's log of a program that is refused, with the lines of the source also where bcc leaves them out.

bcc hands the kernel a program with the lines of its source. Is it refused with EINVAL, bcc takes that for the word of a
kernel which knows no such lines, and tries again without: that log names no line. But a log for which the buffer is too
small is refused with ENOSPC, and stays as it is. So a buffer that lacks a little shows what is wanted, but for one end:
the last part before Linux 6.4, the first part since.
"""

import re
import time
from collections.abc import Callable

Attempt = Callable[[int], tuple[str, bool]]
"""Loads the program with a log of so many bytes; returns the log, and whether the buffer was too small for it."""

LOG_BYTES = 1 << 20
LIMIT_S = 5.0  # for looking for a line, which is no more than a help

INSTRUCTION = re.compile(r"\d+: \([0-9a-f]{2}\)")
_LOOKED_AT_BYTES = 16  # of the line behind the last instruction, which says why


def log_with_lines(attempt: Attempt) -> str:
    """Return the whole log of a program that is refused with EINVAL, with source lines; "" where none can be had."""
    whole, _ = attempt(LOG_BYTES)
    lines = whole.splitlines(keepends=True)
    last = max((n for n, line in enumerate(lines) if INSTRUCTION.match(line)), default=-1)
    if not 0 <= last < len(lines) - 1:
        return ""
    end = lines[last] + lines[last + 1][:_LOOKED_AT_BYTES]
    ends = time.monotonic() + LIMIT_S
    least, most = len(whole), 4 * len(whole)  # what is too small, and what is not; lines are about as long as states
    size = least
    while least < most and time.monotonic() < ends:
        log, is_short = attempt(size)
        if is_short and end in log:
            return log[: log.index(end)] + "".join(lines[last:])
        least, most = (size + 1, most) if is_short else (least, size)
        size = (least + most) // 2
    return ""
