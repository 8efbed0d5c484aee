"""The lines of the source are found in the log of a program that is refused with EINVAL."""

import signal
import time
from itertools import count

import pytest

from netlab.programs import log_capture
from netlab.programs.log_capture import log_with_lines

PLAIN = """\
0: R1=ctx() R10=fp0
0: (bf) r6 = r1                       ; R1=ctx() R6=ctx()
1: (0f) r7 += r0                      ; R7=pkt(r=0)
0: (bf) r6 = r1                       ; R1=ctx() R6=ctx()
1: (0f) r7 += r0
math between pkt pointer and register with unbounded min value is not allowed
processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
ANNOTATED = PLAIN.replace("0: (bf)", "; int drop(struct xdp_md *ctx)\n0: (bf)").replace(
    "1: (0f)", "; data = further(data);\n1: (0f)"
)


class Kernel:
    """A kernel that keeps one end of a log for which there is no room, and bcc, which tries again after EINVAL."""

    def __init__(self, *, keeps_the_end: bool) -> None:
        self.keeps_the_end = keeps_the_end
        self.attempts = 0

    def load(self, size: int) -> tuple[str, bool]:
        self.attempts += 1
        if size > len(ANNOTATED):
            return PLAIN[: size - 1], False
        return (ANNOTATED[-(size - 1) :] if self.keeps_the_end else ANNOTATED[: size - 1]), True


@pytest.mark.parametrize("keeps_the_end", [True, False])
def test_the_line_before_the_last_instruction_is_found(keeps_the_end: bool) -> None:
    """Whichever end of the log is cut off; the reason is behind it, and what instruction it was is not confused."""
    kernel = Kernel(keeps_the_end=keeps_the_end)

    log = log_with_lines(kernel.load)

    assert log.endswith("; data = further(data);\n" + "".join(PLAIN.splitlines(keepends=True)[4:]))
    assert kernel.attempts < 16


def test_a_log_without_instructions_has_no_lines() -> None:
    """The verifier has refused the program as a whole."""
    assert log_with_lines(lambda size: ("back-edge from insn 5 to 2\nprocessed 0 insns\n", False)) == ""


def test_a_kernel_that_knows_no_lines_is_asked_a_bounded_number_of_times() -> None:
    """Nothing is found, and that is said soon."""
    asked: list[int] = []

    def load(size: int) -> tuple[str, bool]:
        asked.append(size)
        return PLAIN[: size - 1], size <= len(PLAIN)

    found = log_with_lines(load)

    assert found in ("", PLAIN)
    assert len(asked) < 16


def test_the_end_of_a_log_is_found_by_one_attempt() -> None:
    """As kernels keep it since 6.4."""
    kernel = Kernel(keeps_the_end=True)
    log_with_lines(kernel.load)

    assert kernel.attempts == 2  # the first shows how long the log is


@pytest.mark.parametrize(("left_s", "finds"), [(0.1, False), (100, True)])
def test_no_line_is_looked_for_when_the_time_is_nearly_used_up(
    left_s: float, finds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is a help: that the compiler's process is ended, would be none; a slow clock does not count."""
    kernel = Kernel(keeps_the_end=False)
    cpu_s, clock_s = count(step=1), count(step=1000)
    monkeypatch.setattr(time, "process_time", lambda: float(next(cpu_s)))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock_s)))
    monkeypatch.setattr(log_capture, "cpu_left_s", lambda: left_s)

    assert bool(log_with_lines(kernel.load)) == finds
    assert (kernel.attempts > 1) == finds


def test_the_time_that_is_left_is_that_of_the_timer() -> None:
    before = signal.getitimer(signal.ITIMER_PROF)
    signal.setitimer(signal.ITIMER_PROF, 1000)
    try:
        assert 900 < log_capture.cpu_left_s() < 1001
    finally:
        signal.setitimer(signal.ITIMER_PROF, *before)
    assert before[0] or log_capture.cpu_left_s() == float("inf")
