"""How much of a small lab's time is Python's start and imports, and which imports those are."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.bench import contenders
from tests.bench.contenders import LAB, NETLAB, Contender, Spent, run
from tests.bench.measure import Samples, Table

HERE = Path(__file__).parent
WATCHED = "netlab, its imports timed"
START, IMPORTS, REST = "of that Python's start", "of that imports", "of that the rest"
DEAREST = 10
SELF_US, NAME = 0, 2  # columns of what -X importtime prints
TIMED = "import time:"


def watched(folder: Path, leaves: int) -> Contender:
    """Return netlab with a bare star, which says how its time divides; in ms, by what that is called."""
    topology, said = contenders.star(folder, leaves), folder / "imports.json"

    def up() -> Spent:
        begun_ns = time.monotonic_ns()
        script = (sys.executable, "-P", HERE / "watched.py", said, str(begun_ns))
        run(*script, "up", "--lab", LAB, topology)
        lasted = (time.monotonic_ns() - begun_ns) / 1e6
        start, imports = json.loads(said.read_text())
        return {START: start, IMPORTS: imports, REST: lasted - start - imports}

    return Contender(WATCHED, up, down=lambda: run(NETLAB, "down", "--lab", LAB), check=lambda: None)


def divided(samples: Samples, column: str) -> None:
    """Make rows of the parts of the watched one's time."""
    for part in (START, IMPORTS, REST):
        samples[part] = {column: samples[WATCHED].pop(part)}


def dearest(folder: Path, leaves: int, rounds: int) -> Table:
    """Return which packages take longest to import, of all that a bare star needs."""
    topology = contenders.star(folder, leaves)
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-X", "importtime", "-P", "-m", "netlab", "up", "--lab", LAB, str(topology)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        found.append(by_package(said))
        run(NETLAB, "down", "--lab", LAB)
    total: Counter[str] = sum(found, Counter())
    every = "all imports"
    samples: Samples = {every: {"time": [sum(each.values()) / 1000 for each in found]}}
    for name, _ in total.most_common(DEAREST):
        samples[name] = {"time": [each[name] / 1000 for each in found]}
    return Table(f"The {DEAREST} dearest imports, {leaves} leaves", {"time": "ms"}, samples, intro=TEXT)


def by_package(said: str) -> Counter[str]:
    """Return how many µs the modules of each package have taken by themselves, of what -X importtime prints."""
    found: Counter[str] = Counter()
    for line in said.splitlines():
        columns = line.removeprefix(TIMED).split("|")
        if line.startswith(TIMED) and columns[SELF_US].strip().isdigit():
            found[columns[NAME].strip().partition(".")[0]] += int(columns[SELF_US])
    return found


TEXT = """\
By `python -X importtime`, which makes each a little dearer: what a package's modules take by themselves, without what
they import in their turn."""
