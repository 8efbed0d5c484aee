"""The lab's own instance of the trace, with programs that really print."""

import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from netlab.cli import main
from netlab.errors import HostError
from netlab.kernel import syscalls
from netlab.lab import removal
from netlab.programs import bpf, maps
from netlab.record import mark
from netlab.supervise import client, logs, talk, trace
from netlab.testing.waiting import eventually
from tests.lab.lab import ROOT
from tests.lab.processes import STAY, Lab, shell

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

FRAME = bytes(64)
NAME = "ntest1"  # instances are the machine's, whatever folder their tracefs is mounted at
MINE = mark.printed(NAME)
TRACE_PRINTK = 6  # the number of the helper


def printer(text: str) -> maps.LoadedProgram:
    """Load an XDP program that prints a text: it builds the text on its stack and calls bpf_trace_printk."""
    raw = text.encode() + b"\0"
    padded = raw.ljust((len(raw) + 3) // 4 * 4, b"\0")
    at = -((len(padded) + 7) // 8 * 8)

    def instruction(code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
        return struct.pack("<BBhi", code, to | source << 4, offset, value)

    stores = (instruction(0x62, 10, 0, at + i, *struct.unpack_from("<i", padded, i)) for i in range(0, len(padded), 4))
    code = b"".join(stores)
    code += instruction(0xBF, 1, 10) + instruction(0x07, 1, value=at) + instruction(0xB7, 2, value=len(raw))
    code += instruction(0x85, value=TRACE_PRINTK) + instruction(0xB7, 0, value=2) + instruction(0x95)
    return maps.LoadedProgram(bpf.load_program(code, "load a program that prints"))


@pytest.fixture
def lab(tmp_path: object) -> Iterator[Lab]:
    """Yield a lab with a tracefs and an instance."""
    os.mkdir(f"{tmp_path}/tracing")
    syscalls.mount("tracefs", f"{tmp_path}/tracing", "tracefs")
    try:
        trace.open_instance(str(tmp_path), NAME)
        made = Lab(str(tmp_path), NAME)
        yield made
        made.close()
    finally:
        assert trace.close_instance(NAME)
        assert not trace.close_instance(NAME)
        syscalls.umount(f"{tmp_path}/tracing")


def printed(lab: Lab) -> list[tuple[str, str]]:
    return [(line.node, line.text) for line in logs.read(lab.folder, [], trace=True) if line.stream == "trace"]


def test_the_lab_gets_its_own_lines_with_their_times(lab: Lab) -> None:
    """Prints of other labs, also of one whose name begins alike, and of nobody in particular are left out."""
    lab.up(trace=True)
    with ExitStack() as stack:
        texts = (
            f"{MINE}/lb: mine",
            f"{mark.printed('ntest10')}/lb: other",
            f"{mark.printed('ntest')}/lb: other",
            "nobody",
            f"{MINE}/w1 with\nnewline\n",
            f"{MINE}/lb: last",
        )
        programs = [stack.enter_context(printer(text)) for text in texts]
        begun = time.monotonic_ns()
        for program in programs:
            program.test_run(FRAME)
        ended = time.monotonic_ns()
    eventually(lambda: ("lb", "last") in printed(lab), "the last line")

    assert [("lb", "mine"), ("w1", "with"), ("lb", "last")] == printed(lab)
    times = [line.ns for line in logs.read(lab.folder, [], trace=True)]
    assert times == sorted(times)
    assert begun - 1000 <= times[0]
    assert times[-1] <= ended


def test_what_was_printed_before_a_question_is_there_after_its_answer(lab: Lab) -> None:
    """Also while the trace rests, which was read just before."""
    lab.up(trace=True)
    with talk.to(lab.folder) as supervisor, printer(f"{MINE}/lb: again") as program:
        for times in range(1, 21):
            program.test_run(FRAME)
            supervisor.ask("state")
            assert printed(lab) == [("lb", "again")] * times


def test_readers_are_told_the_trace(lab: Lab) -> None:
    lab.up(trace=True)
    with talk.to(lab.folder) as supervisor:
        events = supervisor.events(["trace"])
        with printer(f"{MINE}/lb: one") as one, printer("nobody's") as nobodys, printer(f"{MINE}/w1: two") as two:
            for program in (one, nobodys, two):
                program.test_run(FRAME)
        heard = [next(events), next(events)]
    eventually(lambda: len(printed(lab)) == 2, "both lines in the log")

    logged = [(line.ns, line.node, line.text) for line in logs.read(lab.folder, [], trace=True)]
    assert logged == [(event["ns"], event["node"], event["text"]) for event in heard]
    assert [("lb", "one"), ("w1", "two")] == [(node, text) for _, node, text in logged]


def test_two_labs_steal_nothing_from_each_other(lab: Lab, tmp_path: object) -> None:
    folder = f"{tmp_path}/second"
    os.mkdir(folder)
    os.symlink(f"{lab.folder}/tracing", f"{folder}/tracing")
    trace.open_instance(folder, "ntest2")
    second = Lab(folder, "ntest2")
    try:
        lab.up(trace=True)
        second.up(trace=True)
        with printer(f"{MINE}/lb: one") as one, printer(f"{mark.printed('ntest2')}/lb: two") as two:
            for _ in range(500):
                one.test_run(FRAME)
                two.test_run(FRAME)
        eventually(lambda: len(printed(lab)) == len(printed(second)) == 500, "500 lines each")
    finally:
        second.close()
        assert trace.close_instance("ntest2")

    assert {("lb", "one")} == set(printed(lab))
    assert {("lb", "two")} == set(printed(second))


def test_a_burst_is_kept_and_lost_lines_are_counted(lab: Lab) -> None:
    supervisor = lab.up(trace=True)
    with talk.to(lab.folder) as reader, printer(f"{MINE}/lb: burst") as program:
        overruns = reader.events(["overrun"])
        os.kill(supervisor.pid, 19)  # stopped, so that nothing is read meanwhile
        program.test_run(FRAME, repeat=20_000)
        os.kill(supervisor.pid, 18)
        eventually(lambda: len(printed(lab)) == 20_000, "a burst of 20,000 lines")

        os.kill(supervisor.pid, 19)
        program.test_run(FRAME, repeat=400_000)
        os.kill(supervisor.pid, 18)
        with printer(f"{MINE}/lb: end") as last:
            last.test_run(FRAME)
        eventually(lambda: ("lb", "end") in printed(lab), "the end")
        told = next(overruns)["count"]
        while told < 420_001 - len(printed(lab)):
            told += next(overruns)["count"]

    lost = [line.text for line in logs.read(lab.folder, [], trace=True) if line.stream == "lost"]
    counts = [int(found[1]) for text in lost if (found := re.search(r"(\d+) in all", text))]
    assert counts
    assert 420_001 == len(printed(lab)) + counts[-1]
    assert told == counts[-1]


def test_the_supervisor_stays_for_the_trace_when_its_processes_have_ended(lab: Lab) -> None:
    lab.up(shell("a", "echo READY"), trace=True)
    eventually(lambda: lab.state("a") == ("exited", 0), "the end of a")
    with printer(f"{MINE}/lb: still here") as program:
        program.test_run(FRAME)
    eventually(lambda: printed(lab) == [("lb", "still here")], "the line")

    assert client.stop_supervisor(lab.folder)


def test_what_is_in_the_trace_at_the_end_is_not_lost(lab: Lab) -> None:
    lab.up(shell("a", f"echo READY; {STAY}"), trace=True)
    with printer(f"{MINE}/lb: late") as program:
        program.test_run(FRAME, repeat=1000)
    assert client.stop_supervisor(lab.folder)

    assert [("lb", "late")] * 1000 == printed(lab)


def test_without_tracefs_there_is_an_error_in_words(tmp_path: object) -> None:
    with pytest.raises(HostError, match="cannot collect the trace"):
        trace.open_instance(str(tmp_path), NAME)

    assert os.listdir(str(tmp_path)) == []
    assert not trace.close_instance(NAME)


def test_a_lab_of_which_only_the_trace_instance_is_left_is_found(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Its tracefs may have been unmounted, and its folder be gone."""
    assert removal.labs_with_leftovers() == [NAME]

    assert main.main(["down", NAME]) == 0
    assert "removed what was left of it: a trace instance" in capsys.readouterr().err
    assert trace.labs() == []
    trace.open_instance(lab.folder, NAME)  # what the fixture takes away


def test_a_later_namespace_that_gets_the_same_number_has_other_labs() -> None:
    """A container may be killed, and leaves its instance; the next one has its number, and must not find it."""
    says = "import os; from netlab.record import mark; print(os.stat('/proc/self/ns/pid').st_ino, mark.mark('x'))"
    words = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", says]
    found: dict[str, set[str]] = {}

    def is_used_again() -> bool:
        number, its = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()
        marks = found.setdefault(number, set())
        is_known = bool(marks)
        assert its not in marks
        marks.add(its)
        return is_known

    eventually(is_used_again, "a number is used again")
