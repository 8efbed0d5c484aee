"""What was measured, as text: tables for the terminal and docs/benchmarks.md, plots beside it."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.measure import Aim, Curves, Part, Table, quantile, ratio

HEAD = """# Benchmarks

Written by `make bench`, from docs/benchmarks.json. All contenders of a table were measured in one run, in turns. A cell
is the median of the rounds, and from where to where eight in ten of them lie; then how many times the first row's that
is: the median of the rounds' ratios, ± how far nine in ten of the rounds' ratios lie from it at most. Absolute figures
depend on the machine; ratios, taken in one run, carry over better.
"""
DEBIAN = ("iproute2", "mininet", "docker.io", "docker-compose", "nginx", "nftables", "python3-bpfcc")


def number(value: float) -> str:
    """Return a number with three digits that count, and no exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = 2 if abs(value) < 1 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" if abs(value) >= 0.1 else f"{value:.2g}"


def cell(table: Table, row: str, column: str) -> str:
    """Return the median with its range, and how many times the first row's it is."""
    values = table.samples[row].get(column)
    if not values:
        return "–"
    text = number(statistics.median(values))
    if len(values) > 1:
        text += f" ({number(quantile(values, 0.1))}–{number(quantile(values, 0.9))})"
    first = next(iter(table.samples))
    found = ratio(values, table.samples[first].get(column, [])) if row != first and table.units[column] else None
    return f"{text}, **{number(found.value)}×** ± {number(found.noise)}" if found else text


def table_text(table: Table) -> str:
    """Return a comparison as a Markdown section."""
    head = [f"{column} ({unit})" if unit else column for column, unit in table.units.items()]
    lines = [f"### {table.title}", ""]
    lines += [table.intro, ""] if table.intro else []
    lines += ["| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    lines += [
        f"| {row} | " + " | ".join(cell(table, row, name) for name in table.units) + " |" for row in table.samples
    ]
    after = [verdict(table, aim) for aim in table.aims if aim.peer in table.samples and aim.row in table.samples]
    after += [f"- Skipped: {reason}" for reason in table.missing]
    after += [f"- {note}" for note in table.notes]
    return "\n".join([*lines, "", *after, ""] if after else [*lines, ""])


def verdict(table: Table, aim: Aim) -> str:
    """Return one line that says whether an aim is met."""
    found = ratio(table.samples[aim.row].get(aim.column, []), table.samples[aim.peer].get(aim.column, []))
    if not found:
        return f"- {aim.row}, {aim.column}: no figure"
    met = "met" if found.value <= aim.limit else "**missed**"
    against = f"{aim.row}, {aim.column}: {number(found.value)} ± {number(found.noise)} times {aim.peer}"
    return f"- {against}; {aim.word}: at most {aim.limit:g}: {met}"


def part_text(part: Part) -> str:
    """Return a part as Markdown, the plots as images beside the page."""
    text = [f"## {part.title}", "", *(line for paragraph in part.text for line in (paragraph, ""))]
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
        style = "--" if name.startswith(("ideal", "Erlang")) else "-"
        axes.plot([x for x, _ in points], [y for _, y in points], style, marker="o", markersize=4, label=name)
    for axis in plot.logarithmic:
        getattr(axes, f"set_{axis}scale")("log")
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(folder / plot.file, metadata={"Date": None})
    plt.close(figure)


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    found = {
        "kernel": ".".join(platform.release().split(".")[:2]),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
    }
    return found | {name: version(name) for name in DEBIAN}


def version(package: str) -> str:
    """Return the version of a Debian package, or `none`."""
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "none"


def load(folder: Path) -> dict[str, Any]:
    """Return what has been measured before: {"machine": …, "parts": {name: …}}."""
    path = folder / "benchmarks.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found if "parts" in found else {"machine": {}, "parts": {}}


def part_of(found: dict[str, Any]) -> Part:
    """Return a part from its JSON."""
    tables = tuple(Table(**{**each, "aims": tuple(Aim(*aim) for aim in each["aims"])}) for each in found["tables"])
    return Part(found["title"], tuple(found["text"]), tables, tuple(Curves(**each) for each in found["plots"]))


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
    (folder / "benchmarks.json").write_text(json.dumps(measured) + "\n")
    owner = folder.stat()
    for path in (pictures, *pictures.iterdir(), folder / "benchmarks.md", folder / "benchmarks.json"):
        os.chown(path, owner.st_uid, owner.st_gid)
