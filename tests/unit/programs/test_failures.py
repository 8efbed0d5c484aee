"""What is told of a program that was not loaded."""

import signal

from netlab.programs import failures
from netlab.programs.diagnostics import Source
from netlab.programs.loader import Job, Limits

JOB = Job("lab", "node", "/lab/fw.o", "/nowhere", "/nowhere")
OBJECT = Source("/lab/fw.o", "fw.o", ())
CLEAR = "\x1b[2J"  # clears a terminal


def test_names_in_an_object_do_not_disturb_a_terminal() -> None:
    """Neither in what netlab says, nor in libbpf's own lines, also when it crashes. Lines and tabs stay."""
    said = f"libbpf: sec '{CLEAR}xdp': is\twrong\n"
    told = [
        failures.refused(JOB, "plain", f"has no program: it has {CLEAR}\u202e in tc", said, OBJECT),
        failures.refused(JOB, "object", "cannot be loaded", said, OBJECT),
        failures.crashed(JOB, -signal.SIGSEGV, said, OBJECT, Limits()),
    ]

    assert str(told[0]) == r"node: fw.o: has no program: it has \x1b[2J\u202e in tc"
    for each in told[1:]:
        assert str(each).endswith("\n    libbpf: sec '\\x1b[2Jxdp': is\twrong")
