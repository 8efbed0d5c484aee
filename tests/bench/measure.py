"""Interleaved rounds, medians and ratios, and how they are written down."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

SETTLE_S = 0.15  # the kernel removes namespaces behind us; one contender's should not fall into the next one's time
HEAD = (
    "# Benchmarks",
    "",
    "Written by `make bench`. Wall-clock time from the start of a command to its end, in ms: median (least–most) of",
    "interleaved rounds, and how many times netlab's own median that is. Absolute figures depend on the machine; the",
    "ratios, taken in one run, carry over better.",
    "",
)


class Job(NamedTuple):
    """One thing to time for one contender. The jobs of a group are done in order."""

    contender: str
    measure: str
    timed: Callable[[], object]


class Aim(NamedTuple):
    """The first contender's median over another's should stay below `limit`; `word` is what that is called."""

    measure: str
    peer: str
    limit: float
    word: str = "aim"


class Result(NamedTuple):
    """A comparison: for each contender and measure its times in ms. The first contender is ours."""

    title: str
    samples: dict[str, dict[str, list[float]]]
    aims: tuple[Aim, ...]
    skipped: tuple[str, ...]

    def median(self, contender: str, measure: str) -> float:
        """Return a median in ms."""
        return statistics.median(self.samples[contender][measure])

    def ratio(self, measure: str, peer: str) -> float:
        """Return our median as a share of a peer's."""
        return self.median(next(iter(self.samples)), measure) / self.median(peer, measure)


def interleave(jobs: Sequence[Sequence[Job]], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Time every group of jobs once in each round, each round beginning with another group; return the times in ms."""
    samples: dict[str, dict[str, list[float]]] = {}
    for group in jobs:
        for job in group:
            samples.setdefault(job.contender, {})[job.measure] = []
    for number in range(rounds):
        first = number % len(jobs)
        for group in [*jobs[first:], *jobs[:first]]:
            for job in group:
                started = time.perf_counter()
                job.timed()
                samples[job.contender][job.measure].append((time.perf_counter() - started) * 1000)
            time.sleep(SETTLE_S)
    return samples


def table(result: Result) -> str:
    """Return a comparison as a Markdown section."""
    measures = list(next(iter(result.samples.values())))
    lines = [f"## {result.title}", "", "| | " + " | ".join(f"{measure} (ms)" for measure in measures) + " |"]
    lines.append("|---" * (len(measures) + 1) + "|")
    for contender in result.samples:
        cells = [cell(result, contender, measure) for measure in measures]
        lines.append(f"| {contender} | " + " | ".join(cells) + " |")
    aims = [verdict(result, aim) for aim in result.aims if aim.peer in result.samples]
    lines += ["", *aims] if aims else []
    lines += [f"- Skipped: {reason}" for reason in result.skipped]
    return "\n".join(lines) + "\n"


def cell(result: Result, contender: str, measure: str) -> str:
    """Return the median with its range, and how many times ours it is."""
    times = result.samples[contender][measure]
    text = f"{statistics.median(times):.1f} ({min(times):.1f}–{max(times):.1f})"
    ours = next(iter(result.samples))
    return text if contender == ours else f"{text}, {1 / result.ratio(measure, contender):.2f}×"


def verdict(result: Result, aim: Aim) -> str:
    """Return one line that says whether an aim is met."""
    ratio = result.ratio(aim.measure, aim.peer)
    met = "met" if ratio < aim.limit else "**missed**"
    return f"- {aim.measure}: {ratio:.2f} of {aim.peer}; {aim.word}: below {aim.limit:.2f}, {met}"


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "kernel": ".".join(platform.release().split(".")[:2]),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "iproute2": first_line("ip", "-V").removeprefix("ip utility, ").split(",")[0].removeprefix("iproute2-"),
        "Mininet": first_line("dpkg-query", "-W", "-f", "${Version}", "mininet"),
        "Docker": first_line("dpkg-query", "-W", "-f", "${Version}", "docker.io"),
        "docker-compose": first_line("dpkg-query", "-W", "-f", "${Version}", "docker-compose"),
    }


def first_line(*command: str) -> str:
    """Return what a command says of itself, or `none`."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (done.stdout.splitlines() or ["none"])[0]


def write(results: Sequence[Result], folder: Path) -> None:
    """Write docs/benchmarks.md and .json, belonging to whoever the folder belongs to."""
    about = machine()
    head = [*HEAD, "; ".join(f"{name} {value}" for name, value in about.items()), ""]
    comparisons = {result.title: {"skipped": result.skipped, "ms": result.samples} for result in results}
    texts = {
        "md": "\n".join([*head, *(table(result) for result in results)]),
        "json": json.dumps({"machine": about, "comparisons": comparisons}, indent=1) + "\n",
    }
    for kind, text in texts.items():
        path = folder / f"benchmarks.{kind}"
        path.write_text(text)
        os.chown(path, folder.stat().st_uid, folder.stat().st_gid)
