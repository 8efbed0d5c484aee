"""`make test-kernels`: what is tried, a machine that misbehaves, what cannot be had here, and the table."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.kernels import __main__ as kernels
from tests.kernels import checks, debian, machine, page

ROOT = Path(__file__).parent.parent.parent
LIMITS = machine.Limits(20, 10)


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
        ("time.sleep(60)", machine.Limits(20, 0.5), "the machine said nothing for 0.5 s"),
        ("while True: print('x', flush=True); time.sleep(0.05)", machine.Limits(0.7, 10), "not done after 0.7 s"),
        ("sys.exit(3)", LIMITS, ""),  # which virtme-ng may say of a machine that was well, too
    ],
)
def test_a_machine_that_does_not_end_well_is_ended_with_its_last_words(
    code: str, limits: machine.Limits, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it has started ends with it; the end of its console is shown."""
    child = "os.fork() or time.sleep(60)" if "sleep(60)" in code else ""
    words = "print('Kernel panic - not syncing', file=sys.stderr, flush=True)"
    stand_in(tmp_path, monkeypatch, f"{words}\nopen('{tmp_path}/pid', 'w').write(str(os.getpid()))\n{child}\n{code}")

    ending, _ = told(limits)

    assert problem in ending.problem
    assert bool(problem) == bool(ending.problem)
    assert "    Kernel panic - not syncing" in ending.words
    ends = time.monotonic() + 5
    while alive(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < ends, "a process is left"
        time.sleep(0.02)


def test_what_is_missing_for_a_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package that brings it."""
    monkeypatch.setattr(machine, "_which", lambda command: None)
    monkeypatch.setattr(machine, "_vng", lambda: "/nowhere/vng")

    found, lacks = kernels.wanted([])

    assert found == []
    assert "no qemu-system-x86_64 (Debian's qemu-system-x86)" in lacks
    assert "no virtme-ng (PyPI's virtme-ng)" in lacks


APT = """#!/bin/sh
case "$1 $*" in
search*) echo "linux-image-6.9-amd64 - a"; echo "linux-image-6.12-amd64 - b"; echo "linux-image-amd64 - c" ;;
depends*6.12-amd64) echo "  Depends: linux-image-6.12.117+deb12-amd64" ;;
depends*6.9-amd64) echo "  Depends: linux-image-6.9.1-amd64" ;;
depends*) echo "  Depends: linux-image-6.1.0-57-amd64" ;;
*show*) echo "Version: 1" ;;
esac
"""


def apt(folder: Path, monkeypatch: pytest.MonkeyPatch, cache: str = APT, get: str = "exit 100") -> None:
    """Put scripts in the place of apt, on a Debian of this architecture."""
    for name, text in (
        ("apt-cache", cache),
        ("apt-get", f"#!/bin/sh\necho 'E: no network' >&2\n{get}\n"),
        (
            "dpkg",
            '#!/bin/sh\n[ "$1" = -x ] || { echo amd64; exit; }\nmkdir -p "$3/boot"; cp "$2" "$3/boot/vmlinuz-6"\n',
        ),
    ):
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(debian, "FOLDER", f"{folder}/kernels")
    monkeypatch.setattr(machine, "lacking", list)


def test_a_run_without_machines_says_so_in_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no failure, and nobody overlooks it."""
    apt(tmp_path, monkeypatch)
    monkeypatch.setattr("sys.argv", ["tests.kernels", "--short"])

    assert kernels.main() == 0
    assert capsys.readouterr().out == (
        "SKIPPED other kernels: linux-image-6.1.0-57-amd64 could not be fetched: E: no network\n"
        "kernels: 0 tried, 0 failed, others SKIPPED\n"
    )


def test_the_releases_own_kernel_and_the_newest_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number: 6.12 is newer than 6.9."""
    apt(tmp_path, monkeypatch)

    assert debian.offered() == ["linux-image-6.1.0-57-amd64", "linux-image-6.12.117+deb12-amd64"]


def test_without_network_other_kernels_are_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt(tmp_path, monkeypatch)

    found, lacks = kernels.wanted([])

    assert found == []
    assert lacks == "linux-image-6.1.0-57-amd64 could not be fetched: E: no network"
    assert os.listdir(tmp_path / "kernels") == []


def test_without_packages_other_kernels_are_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt(tmp_path, monkeypatch, cache="#!/bin/sh\n")

    assert kernels.wanted([])[1].startswith("apt offers no linux-image-amd64")


def test_a_kernel_is_fetched_once_and_again_when_there_is_a_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no longer offered goes."""
    fetch = f"echo x >>{tmp_path}/fetched; echo image >one.deb"
    apt(tmp_path, monkeypatch, get=fetch)
    counts = []
    for version in ("1", "1", "2"):
        (tmp_path / "apt-cache").write_text(APT.replace("Version: 1", f"Version: {version}"))
        found, lacks = kernels.wanted([])
        counts.append(len((tmp_path / "fetched").read_text().split()))
        (tmp_path / "kernels" / "linux-image-6.0-amd64").mkdir(exist_ok=True)
    kernels.wanted([])

    assert lacks == ""
    assert counts == [2, 2, 4]
    assert [Path(each.image).read_text() for each in found] == ["image\n"] * 2
    assert sorted(os.listdir(tmp_path / "kernels")) == [each.name for each in found]


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


PASSED = {"test": "tests/lab/test_trace.py::test_x", "result": "passed", "seconds": 1.0, "text": ""}
FAILED = {**PASSED, "result": "failed", "text": "assert 1 == 2"}
BEGUN = {"kernel": "6.1.0"}
DONE = {"done": 0}


@pytest.mark.parametrize(
    ("lines", "problem", "cell", "failed"),
    [
        ([BEGUN, PASSED, DONE], "", "✓ 1", False),
        ([BEGUN, PASSED, FAILED, {"done": 1}], "", "✗ 1 of 2 failed", True),
        ([BEGUN, PASSED, {**PASSED, "result": "skipped"}, DONE], "", "✓ 1, 1 skipped", False),
        ([BEGUN, {**PASSED, "result": "skipped"}, DONE], "", "– 0, 1 skipped", False),
        ([BEGUN, DONE], "", "not tried", True),
        ([BEGUN, PASSED, {"trying": "test_y"}], "", "✓ 1", True),
        ([BEGUN, PASSED, DONE], "the machine said nothing", "✓ 1", True),
        ([BEGUN, {"done": 4}], "", "not tried", True),
    ],
)
def test_what_came_of_a_kernel(lines: list[dict[str, object]], problem: str, cell: str, failed: bool) -> None:
    """Failures, tests that never ran, and a machine that did not come to its end all count as failed."""
    column = page.column("image", lines, machine.Ending(problem, "    Kernel panic"), 60)

    assert ("Kernel panic" in column.problem) == bool(column.problem)
    assert (column.kernel, column.failed) == ("6.1.0", failed)
    assert f"| trace | {cell} |" in page.table([column], is_short=False)


def test_the_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    """Only what stands between the marks is replaced, twice as well as once."""
    path = tmp_path / "kernels.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    for _ in range(2):
        page.write([page.column("image", [BEGUN, FAILED, {"done": 1}], machine.Ending("", ""), 60)], path)

    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "- 6.1.0: `tests/lab/test_trace.py::test_x` failed" in text
    assert text.count("| trace |") == 1


def test_the_marks_are_in_the_page() -> None:
    text = (ROOT / "docs" / "kernels.md").read_text()

    assert 0 < text.index(page.BEGIN) < text.index(page.END)
