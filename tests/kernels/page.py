"""What came of trying kernels, as a table, for the terminal and docs/kernels.md."""

import datetime as dt
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.kernels import checks
from tests.kernels.checks import FEATURES
from tests.kernels.machine import Ending

_SLOW = (
    " The machines had no KVM: there the client of `partb-low` has sent a request every 0.6 s, not every 0.1 s, "
    "with which an emulated processor does not keep up."
)
BEGIN, END = "<!-- written by `make test-kernels` -->", "<!-- end -->"


class Column(NamedTuple):
    """A kernel's results: those of each feature, and why it did not come to its end, if it did not."""

    kernel: str
    results: dict[str, list[dict[str, Any]]]
    problem: str
    lasted_s: float
    is_short: bool

    @property
    def failed(self) -> bool:
        """Say whether anything was not as it should be."""
        results = [one["result"] for found in self.results.values() for one in found]
        return bool(self.problem) or "failed" in results or bool(self.unshown)

    @property
    def unshown(self) -> list[str]:
        """Return the features of which no test has failed, and none has passed either."""
        results = {name: {one["result"] for one in found} for name, found in self.results.items()}
        names = [feature.name for feature in FEATURES if feature.tests(self.is_short)]
        return [name for name in names if not {"passed", "failed"} & results.get(name, set())]


def column(name: str, lines: Sequence[dict[str, Any]], ending: Ending, lasted_s: float, is_short: bool) -> Column:
    """Return a kernel's results from the lines of data that it printed."""
    release = next((line["kernel"] for line in lines if "kernel" in line), name)
    done = next((line["done"] for line in lines if "done" in line), None)
    results: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if "test" in line:
            results.setdefault(checks.feature_of(line["test"]), []).append(line)
    problem = ending.problem
    if not problem and done is None:
        problem = "it did not come to its end"
    elif not problem and done not in (0, 1):
        problem = f"pytest ended with exit code {done}"
    if problem:
        last = next((line["trying"] for line in reversed(lines) if "trying" in line), "")
        problem += f"\n    the last that was tried: {last or 'nothing'}\n{ending.words}"
    return Column(release, results, problem, lasted_s, is_short)


def cell(results: Sequence[dict[str, Any]]) -> str:
    """Return what is to be said of a feature on one kernel."""
    if not results:
        return "not tried"
    counts = {what: sum(one["result"] == what for one in results) for what in ("passed", "failed", "skipped")}
    if counts["failed"]:
        return f"✗ {counts['failed']} of {len(results)} failed"
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    return f"{'✓' if counts['passed'] else '–'} {counts['passed']}{skipped}"


def table(columns: Sequence[Column], is_short: bool) -> str:
    """Return kernel × feature × result in Markdown."""
    features = [feature.name for feature in FEATURES if feature.tests(is_short)]
    lines = ["| | " + " | ".join(each.kernel for each in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in features:
        cells = [cell(each.results.get(name, ())) for each in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("| minutes | " + " | ".join(f"{each.lasted_s / 60:.1f}" for each in columns) + " |")
    return "\n".join(lines)


def failures(column: Column) -> str:
    """Return what failed on a kernel, and what was skipped there, at length."""
    text = f"\n{column.kernel}: {column.problem}\n" if column.problem else ""
    for found in column.results.values():
        for one in found:
            if one["result"] == "failed":
                text += f"\n{column.kernel}: {one['test']} failed\n{one['text']}\n"
            elif one["result"] == "skipped":
                text += f"{column.kernel}: {one['test']} skipped: {one['text']}\n"
    return text + "".join(f"{column.kernel}: {name}: no test has passed\n" for name in column.unshown)


def write(columns: Sequence[Column], is_short: bool, has_kvm: bool, path: Path) -> None:
    """Put the table, and what failed, between the marks of a page."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    failed = [f"- {each.kernel}: {what}" for each in columns for what in _wrong(each)]
    how = f"Measured on {today}{', the short form' if is_short else ''}, with {os.cpu_count()} processors."
    how += "" if has_kvm else _SLOW
    text = "\n".join([*textwrap.wrap(how, 120), "", table(columns, is_short=False), "", *failed])
    path.write_text(f"{before}{BEGIN}\n\n{text.rstrip()}\n\n{END}{after}", encoding="utf-8")


def _wrong(column: Column) -> list[str]:
    """Return what was not as it should be, a line each."""
    failed = [one["test"] for found in column.results.values() for one in found if one["result"] == "failed"]
    problem = [column.problem.partition("\n")[0]] if column.problem else []
    return [*(f"`{test}` failed" for test in failed), *problem, *(f"{n}: no test has passed" for n in column.unshown)]
