"""`make test-kernels`: what is tried, a machine that misbehaves, and the table."""

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from netlab.testing.waiting import eventually
from tests import checkout
from tests.kernels import __main__ as kernels
from tests.kernels import checks, machine, page

ROOT = Path(checkout.ROOT)
LIMITS = machine.Limits(600, 600)


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put Python code in the place of virtme-ng."""
    path = folder / "vng"
    find = "path = [word for word in ' '.join(sys.argv).replace(',', ' ').split() if word.startswith('path=')][1][5:]"
    path.write_text(f"import os, sys, time\n{find}\nsys.stdout = open(path + '/lines', 'a')\n{code}\n")
    monkeypatch.setattr(machine, "_vng", lambda: str(path))


def told(limits: machine.Limits = LIMITS) -> tuple[machine.Ending, list[str]]:
    """Run a machine; return how it ended, and its lines."""
    lines: list[str] = []
    ending = machine.run("/boot/vmlinuz", ["sh", "/a b/script", "short"], limits, lines.append)
    return ending, lines


def alive(group: int) -> bool:
    """Say whether a process of a group is left; one that has ended, and that nobody has waited for, is none."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            if fields[0] not in "ZX" and int(fields[2]) == group:
                return True
    return False


def test_lines_come_as_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the words of the command as one, quoted for the shell there."""
    stand_in(tmp_path, monkeypatch, "print('one'); print(sys.argv[-1])")

    ending, lines = told()

    assert (ending.problem, lines) == ("", ["one", "sh '/a b/script' short"])


@pytest.mark.parametrize(
    ("code", "limits", "problem"),
    [
        ("time.sleep(600)", machine.Limits(600, 0.5), "it said nothing for 0.5 s"),
        ("while True: print('x', flush=True); time.sleep(0.05)", machine.Limits(0.7, 600), "it was not done after 1 s"),
        ("sys.exit(3)", LIMITS, ""),  # which virtme-ng may say of a machine that was well, too
    ],
)
def test_a_machine_that_does_not_end_well_is_ended_with_its_last_words(
    code: str, limits: machine.Limits, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it has started ends with it; the end of its console is shown. Time begins when it runs."""
    child = "os.fork() or time.sleep(600)" if "sleep(600)" in code else ""
    words = "print('Kernel panic - not syncing', file=sys.stderr, flush=True)"
    runs = f"open('{tmp_path}/new', 'w').write(str(os.getpid())); os.rename('{tmp_path}/new', '{tmp_path}/pid')"
    stand_in(tmp_path, monkeypatch, f"{words}\n{runs}\n{child}\n{code}")
    begun: list[float] = []

    def clock() -> float:
        if not begun and (tmp_path / "pid").exists():
            begun.append(time.monotonic())
        return time.monotonic() - begun[0] if begun else 0.0

    monkeypatch.setattr(machine, "time", SimpleNamespace(monotonic=clock))

    ending, _ = told(limits)

    assert ending.problem == problem
    assert "    Kernel panic - not syncing" in ending.words
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not alive(pid), "no process is left")


def test_what_is_missing_for_a_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package that brings it."""
    monkeypatch.setattr(machine, "_which", lambda command: None)
    monkeypatch.setattr(machine, "_vng", lambda: "/nowhere/vng")

    found, _, (lack,) = kernels.wanted([])

    assert found == []
    assert "other kernels: no qemu-system-x86_64 (Debian's qemu-system-x86)" in lack
    assert "no virtme-ng (PyPI's virtme-ng)" in lack


def test_every_check_is_a_test_that_is_there() -> None:
    """And each belongs to a feature."""
    for name in [*checks.chosen(is_short=True), *checks.chosen(is_short=False)]:
        file, _, test = name.partition("::")
        text = (ROOT / file).read_text()
        assert re.search(rf"^def {test or 'test_'}", text, re.MULTILINE), name
        assert checks.feature_of(name)


def test_a_test_that_two_features_name_belongs_to_the_one_that_names_it_alone() -> None:
    alone = "tests/lab/test_dns.py::test_a_reload_between_two_questions"

    assert checks.feature_of(alone) == "`reload` and `stats`"
    assert checks.feature_of("tests/lab/test_dns.py::test_no_query_is_lost[1]") == "DNS through the balancer"


PASSED: dict[str, object] = {"test": "tests/lab/test_trace.py::test_x", "result": "passed", "seconds": 1.0, "text": ""}
SKIPPED: dict[str, object] = {**PASSED, "result": "skipped"}
FAILED: dict[str, object] = {**PASSED, "result": "failed", "text": "assert 1 == 2"}
BEGUN: dict[str, object] = {"kernel": "6.1.0"}
DONE: dict[str, object] = {"done": 0}


def column(lines: list[dict[str, object]], problem: str = "") -> page.Column:
    """Return what came of a kernel that printed these lines, in the whole form."""
    return page.column("image", lines, machine.Ending(problem, "    Kernel panic"), 60, is_short=False)


@pytest.fixture
def trace_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the trace be the only feature that there is."""
    monkeypatch.setattr(page, "FEATURES", [each for each in checks.FEATURES if each.name == "trace"])


@pytest.mark.parametrize(
    ("lines", "problem", "cell", "failed"),
    [
        ([BEGUN, PASSED, DONE], "", "✓ 1", False),
        ([BEGUN, PASSED, FAILED, {"done": 1}], "", "✗ 1 of 2 failed", True),
        ([BEGUN, PASSED, SKIPPED, DONE], "", "✓ 1, 1 skipped", False),
        ([BEGUN, SKIPPED, DONE], "", "– 0, 1 skipped", True),
        ([BEGUN, DONE], "", "not tried", True),
        ([BEGUN, PASSED, {"trying": "test_y"}], "", "✓ 1", True),
        ([BEGUN, PASSED, DONE], "the machine said nothing", "✓ 1", True),
        ([BEGUN, {"done": 4}], "", "not tried", True),
    ],
)
@pytest.mark.usefixtures("trace_only")
def test_what_came_of_a_kernel(lines: list[dict[str, object]], problem: str, cell: str, failed: bool) -> None:
    """Failures, tests that never ran, and a machine that did not come to its end all count as failed."""
    found = column(lines, problem)

    assert ("Kernel panic" in found.problem) == bool(found.problem)
    assert (found.kernel, found.failed) == ("6.1.0", failed)
    assert f"| trace | {cell} |" in page.table([found], is_short=False)
    assert ("6.1.0: trace: no test has passed" in page.failures(found)) == (cell[0] not in "✓✗")


def test_a_form_wants_its_own_features_alone() -> None:
    """What passed in the short form is enough for it, and not for the whole one."""
    lines = [BEGUN, *({**PASSED, "test": name} for name in checks.chosen(is_short=True)), DONE]

    assert not page.column("image", lines, machine.Ending("", ""), 60, is_short=True).failed
    assert "trace" in page.column("image", lines, machine.Ending("", ""), 60, is_short=False).unshown


@pytest.mark.parametrize("is_short", [True, False])
def test_the_page_keeps_what_people_wrote(is_short: bool, tmp_path: Path) -> None:
    """Only what stands between the marks is replaced, twice as well as once."""
    path = tmp_path / "kernels.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    for _ in range(2):
        page.write([column([BEGUN, FAILED, {"done": 1}])], is_short, has_kvm=False, path=path)

    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "- 6.1.0: `tests/lab/test_trace.py::test_x` failed" in text
    assert text.count("| trace |") == 1
    assert (", the short form," in text) == is_short
    assert "had no KVM" in text


def test_the_time_of_a_form_is_for_all_machines_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for those that wait for a processor."""
    left_s = []

    def run(image: str, command: list[str], limits: machine.Limits, hear: object) -> machine.Ending:
        left_s.append(limits.whole_s)
        time.sleep(0.1)
        return machine.Ending("", "")

    monkeypatch.setattr(machine, "run", run)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    kernels.together([kernels.Trial(kernels.Kernel(name, "/boot/x"), kernels.SHORT) for name in "ab"])

    assert left_s[1] + 0.1 <= left_s[0] <= kernels.SHORT.whole_s


def test_a_test_may_take_longer_than_a_command_of_its_own() -> None:
    """And less than all of them, so that it is the test that fails first, by name."""
    for form in (kernels.SHORT, kernels.WHOLE):
        assert form.patience_s < form.test_s < form.whole_s


def test_the_trial_on_this_host_ends_with_the_others(tmp_path: Path) -> None:
    """It is asked to, so that it can tidy up."""
    stop, lines = threading.Event(), []
    code = "import time\ntry: print('begun', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: pass"

    def hear(line: str) -> None:
        lines.append(line)
        stop.set()

    ending = machine.run_here([sys.executable, "-c", code], str(tmp_path), machine.Limits(60, 60, stop), hear)

    assert (ending.problem, ending.words) == ("it was ended", "    exit code 0")
    assert lines == ["begun"]


def test_the_marks_are_in_the_page() -> None:
    text = (ROOT / "docs" / "kernels.md").read_text()

    assert 0 < text.index(page.BEGIN) < text.index(page.END)


@pytest.mark.parametrize("code", [0, 3])
def test_continuous_integration_says_at_its_end_what_was_skipped(code: int, tmp_path: Path) -> None:
    """The soak prints much after it; a kernel that failed ends the run there."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    (tmp_path / ".ci" / "setup").touch()
    make = tmp_path / "make"
    told = f'printf "SKIPPED two\\nkernels: 1 tried\\n"; exit {code}'
    make.write_text(f'#!/bin/sh\n[ "$1" != test-kernels ] || {{ {told}; }}\necho "$1"\n')
    make.chmod(0o755)

    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(tmp_path / ".ci" / "run")], check=False, capture_output=True, text=True, env=environment
    )

    assert done.returncode == code
    *before, skipped, summary = done.stdout.splitlines()
    assert (skipped, summary) == ("SKIPPED two", "kernels: 1 tried")
    assert before[-1] == ("test" if code else "soak")
