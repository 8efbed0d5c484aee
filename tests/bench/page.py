"""What was measured, as text: tables for the terminal and docs/benchmarks.md, plots beside it."""

import datetime as dt
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.measure import Aim, Curves, Middle, Part, Table, middle, quantile, ratio

HEAD = """# Benchmarks

Written by `make bench`, from docs/benchmarks.json. All contenders of a table were measured in one run, in turns. A cell
says first how many times the first row's it is: the median of the rounds' ratios, ± by how much that of another run may
differ, which holds in more than 99 of 100 cases; `±?` stands where there were too few rounds to tell, and `×?` for a
ratio that does not stand out of its noise. Behind it are the median of the rounds, and from where to where eight in ten
of them lie. An aim is met, or missed, where that is clear of the noise. Absolute figures depend on the machine; ratios,
taken in one run, carry over better. `make bench-quick` measures again, with fewer rounds, and lists each ratio that
differs from this page by more than the wider of the two ±.
"""
JSON = "benchmarks.json"
DEBIAN = ("iproute2", "mininet", "docker.io", "docker-compose", "nginx", "nftables", "python3-bpfcc")


def number(value: float) -> str:
    """Return a number with three digits that count, and no exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = 2 if abs(value) < 1 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" if abs(value) >= 0.1 else f"{value:.2g}"


def cell(table: Table, row: str, column: str) -> str:
    """Return how many times the first row's it is, then the median with its range."""
    values = table.samples[row].get(column)
    if not values:
        return "–"
    text = number(statistics.median(values))
    if len(values) > 1:
        text += f" ({number(quantile(values, 0.1))}–{number(quantile(values, 0.9))})"
    found = ratios(table).get((row, column))
    return f"{times(found)} · {text}" if found else text


def ratios(table: Table) -> dict[tuple[str, str], Middle]:
    """Return all ratios of a table to its first row, by row and column."""
    first, *others = table.samples
    found = {
        (row, column): ratio(table.samples[row][column], table.samples[first].get(column, []))
        for row in others
        for column, unit in table.units.items()
        if unit and table.samples[row].get(column)
    }
    return {place: each for place, each in found.items() if each}


def times(found: Middle) -> str:
    """Return a ratio with its noise."""
    return f"**{number(found.value)}×** {noise(found)}" if found.is_told else "×?"


def noise(found: Middle) -> str:
    """Return the noise of a median."""
    if found.noise == 0:  # nothing at all, and never more
        return ""
    return "±?" if found.noise is None else f"± {number(found.noise)}"


def table_text(table: Table) -> str:
    """Return a comparison as a Markdown section."""
    head = [f"{column} ({unit})" if unit else column for column, unit in table.units.items()]
    lines = [f"### {table.title}", ""]
    lines += [table.intro, ""] if table.intro else []
    lines += ["| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    lines += [
        f"| {row} | " + " | ".join(cell(table, row, name) for name in table.units) + " |" for row in table.samples
    ]
    after = [verdict(table, aim) for aim in table.aims if {aim.row, aim.peer or aim.row} <= set(table.samples)]
    after += [f"- Skipped: {reason}" for reason in table.missing]
    after += [f"- {note}" for note in table.notes]
    return "\n".join([*lines, "", *after, ""] if after else [*lines, ""])


def verdict(table: Table, aim: Aim) -> str:
    """Return one line that says whether an aim is met."""
    what, found = f"- {aim.row}, {aim.column}", aimed_at(table, aim)
    if not found:
        return f"{what}: no figure"
    unit = f"times {aim.peer}" if aim.peer else table.units[aim.column]
    said = " ".join(word for word in (f"{what}: {number(found.value)}", noise(found), unit) if word)
    if aim.limit is None:
        return said
    return f"{said}; {aim.word}: at most {aim.limit:.3g}: {judged(found, aim.limit)}"


def aimed_at(table: Table, aim: Aim) -> Middle | None:
    """Return the figure that an aim is about."""
    ours = table.samples[aim.row].get(aim.column, [])
    if aim.peer:
        return ratio(ours, table.samples[aim.peer].get(aim.column, []))
    return middle(ours) if ours else None


def judged(found: Middle, limit: float) -> str:
    """Say whether a figure that is to be so much at most is."""
    margin = found.noise or 0.0
    if found.value + margin <= limit:
        return "met"
    if found.value - margin > limit:
        return "**missed**"
    return f"within noise ({'met' if found.value <= limit else 'missed'} by the median)"


def part_text(part: Part) -> str:
    """Return a part as Markdown, the plots as images beside the page."""
    paragraphs = [*part.text, *([part.measured] if part.measured else [])]
    text = [f"## {part.title}", "", *(line for paragraph in paragraphs for line in (paragraph, ""))]
    for plot in part.plots:
        text += [f"![{plot.title}](benchmarks/{plot.file})", ""]
    return "\n".join([*text, *(table_text(table) for table in part.tables)])


def draw(plot: Curves, folder: Path) -> None:
    """Write a plot as SVG, if matplotlib is there (the extra `bench` of pyproject.toml)."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "netlab"  # the same picture is the same file
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, points in plot.lines.items():
        style = "--" if name.startswith(("ideal", "Erlang", "M/M")) else "-"
        axes.plot([x for x, _ in points], [y for _, y in points], style, marker="o", markersize=4, label=name)
    for axis in plot.logarithmic:
        getattr(axes, f"set_{axis}scale")("log")
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(folder / plot.file, metadata={"Date": None})
    plt.close(figure)


def machine() -> dict[str, str]:
    """Return the versions that the figures depend on."""
    return {"Python": platform.python_version()} | {name: version(name) for name in DEBIAN}


def measured_now() -> str:
    """Return on what, when, and of which commit something is measured now."""
    kernel = ".".join(platform.release().split(".")[:2])
    today = dt.datetime.now(dt.UTC).date()
    return f"Measured on {today}, commit {commit()}, on {os.cpu_count()} × {cpu()}, Linux {kernel}."


def cpu() -> str:
    """Return what the kernel calls the CPU."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


def commit() -> str:
    """Return the checkout's commit, and whether it has changed since, the page aside."""
    git = ("git", "-c", "safe.directory=*", "-C", str(Path(__file__).parent))
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
        look = [*git, "diff", "--quiet", "HEAD", "--", ":/", ":(top,exclude)docs"]
        changed = subprocess.run(look, check=False, capture_output=True).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + (" with changes" if changed else "")


def version(package: str) -> str:
    """Return the version of a Debian package, or `none`."""
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "none"


def load(folder: Path) -> dict[str, Any]:
    """Return what has been measured before: {"machine": …, "parts": {name: …}}."""
    path = folder / JSON
    return read(path) if path.exists() else {"machine": {}, "parts": {}}


def read(path: Path) -> dict[str, Any]:
    """Return what a file holds, which must be one that `write` has written."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def part_of(found: dict[str, Any]) -> Part:
    """Return a part from its JSON."""
    tables = tuple(Table(**{**each, "aims": tuple(Aim(*aim) for aim in each["aims"])}) for each in found["tables"])
    plots = tuple(Curves(**each) for each in found["plots"])
    return Part(found["title"], tuple(found["text"]), tables, plots, found.get("measured", ""))


def json_of(part: Part) -> dict[str, Any]:
    """Return a part as JSON has it, samples with four digits that count."""
    tables = [{**table._asdict(), "samples": rounded(table.samples)} for table in part.tables]
    return {**part._asdict(), "tables": tables, "plots": [rounded(plot._asdict()) for plot in part.plots]}


def rounded(value: Any) -> Any:
    """Return nested lists and dicts with numbers of four digits that count."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write(measured: dict[str, Any], order: Sequence[str], folder: Path) -> None:
    """Write docs/benchmarks.json, .md and the plots, belonging to whoever the folder belongs to."""
    parts = [part_of(measured["parts"][name]) for name in order if name in measured["parts"]]
    pictures = folder / "benchmarks"
    pictures.mkdir(exist_ok=True)
    plots = [plot for part in parts for plot in part.plots]
    for plot in plots:
        draw(plot, pictures)
    about = "; ".join(f"{name} {value}" for name, value in measured["machine"].items())
    text = "\n".join([HEAD, about, "", *(part_text(part) for part in parts)])
    (folder / "benchmarks.md").write_text(text)
    (folder / JSON).write_text(json.dumps(measured) + "\n")
    owner = folder.stat()
    for path in (pictures, *pictures.iterdir(), folder / "benchmarks.md", folder / JSON):
        os.chown(path, owner.st_uid, owner.st_gid)
