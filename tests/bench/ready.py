"""How long it takes until part B is ready, beside its own parts, and beside five containers that do nothing."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import compile_profile, contenders, engine
from tests.bench.compare import DOWN, UP, compare
from tests.bench.contenders import LAB, Contender, Spent, run
from tests.bench.measure import Aim, Part, Samples, Table

HERE = Path(__file__).parent
OURS, FIRST, NODES, VERIFIED, COMPILED, BCC, START = (
    "netlab",
    "netlab, the first time: it compiles",
    "the same nodes without the roles and the balancer",
    "its program verified and pinned, alone",
    "its program compiled, verified and pinned, alone",
    "Python and bcc's import, alone",
    "Python's start, alone",
)
ROLES, FIRST_ROLES = "its roles, from the first one's start until all are READY", "the same, the first time"
SUM = "sum: the longer of nodes and program, then roles"
FIRST_SUM = "sum, the first time: the longer of nodes and compiled program, then roles"
ALONE = (VERIFIED, COMPILED, BCC, START)
WITHOUT = """
name: partb
nodes: {client: {}, lb: {}, worker: {replicas: 3}}
links:
  - [client, lb]
  - [worker, lb]
"""


def alone(name: str, *words: str, **more: str) -> Contender:
    """Return a run of Python as a contender that leaves nothing behind; `more` is added to its environment."""
    command = (sys.executable, *words)
    return Contender(name, lambda: run(*command, environment=environment(**more)), lambda: None, lambda: None)


def environment(**more: str) -> dict[str, str]:
    """Return an environment for our own scripts."""
    return os.environ | {"PYTHONPATH": str(HERE.parent.parent)} | more


def part_b(name: str, compiled: bool = True) -> Contender:
    """Return part B, which says how long its roles took, by the record of who started them."""
    lab = contenders.netlab(name, contenders.PART_B, ["client", "true"], compiled)
    return lab._replace(spent=roles_spent)


def roles_spent() -> Spent:
    """Return how long the roles of the lab that is up took to get ready, in ms."""
    facts = [json.loads(line) for line in Path(f"/run/netlab/{LAB}/processes").read_text().splitlines()]
    ready = [fact["ready_ns"] for fact in facts if "ready_ns" in fact]
    return {ROLES: (max(ready) - min(fact["started_ns"] for fact in facts if "started_ns" in fact)) / 1e6}


def readiness(folder: Path, rounds: int, quick: bool) -> Table:
    """Compare part B, its program attached and its roles ready, with its parts and with idle containers."""
    without = folder / "without.yml"
    without.write_text(WITHOUT)
    fields = [
        part_b(OURS),
        part_b(FIRST, compiled=False),
        contenders.netlab(NODES, without, ["client", "true"]),
        alone(VERIFIED, str(HERE / "compile_only.py")),
    ]
    missing, aims = [], [Aim(UP, OURS, SUM, None)]
    if quick:
        missing.append("compilation, Python and bcc, each alone: they take too long for a quick run")
    else:
        aims.append(Aim(UP, FIRST, FIRST_SUM, None))
        fields += [
            alone(COMPILED, str(HERE / "compile_only.py"), NETLAB_CACHE=""),
            alone(BCC, "-c", "import bcc"),
            alone(START, "-c", "pass"),
        ]
    try:
        theirs = contenders.compose(engine.engine(), engine.IMAGE)
    except engine.EngineError as error:
        missing.append(f"docker-compose: {error}")
    else:
        fields.append(theirs)
        aims += [Aim(UP, name, theirs.name, None) for name in (OURS, FIRST)]
    samples = with_sums(compare(fields, rounds, is_tried=quick))
    return Table("Part B, ready", dict.fromkeys((UP, DOWN), "ms"), samples, tuple(aims), tuple(missing))


def with_sums(samples: Samples) -> Samples:
    """Add what cannot be avoided, round by round; only labs and containers have a `down`."""
    for name in ALONE:
        if name in samples:
            samples[name] = {UP: samples[name][UP]}
    for roles, total, whose, program in ((ROLES, SUM, OURS, VERIFIED), (FIRST_ROLES, FIRST_SUM, FIRST, COMPILED)):
        samples[roles] = {UP: samples[whose].pop(ROLES)}
        if program not in samples:
            continue
        parts = zip(samples[NODES][UP], samples[program][UP], samples[roles][UP], strict=True)
        samples[total] = {UP: [max(nodes, ready) + then for nodes, ready, then in parts]}
    return samples


HEADERS = "the headers alone: the constructor of a program that does nothing"


def first_compile(folder: Path, rounds: int) -> Table:
    """Return what the first compilation consists of."""
    whole = "compiled and verified"
    samples: Samples = {whole: {}}
    for _ in range(rounds):
        found = profiled(folder, "all")
        rows = {whole: sum(found.values())} | found
        rows[HEADERS] = profiled(folder, "headers")[compile_profile.CONSTRUCTOR]
        for name, value in rows.items():
            samples.setdefault(name, {}).setdefault("time", []).append(value)
    return Table("What the first compilation consists of", {"time": "ms"}, samples, intro=PROFILE)


def profiled(folder: Path, what: str) -> dict[str, float]:
    """Compile once, and return what took how long."""
    said = folder / "profile.json"
    words = (HERE / "compile_profile.py", said, str(time.monotonic_ns()), what)
    run(sys.executable, *words, environment=environment(NETLAB_CACHE=""))
    found: dict[str, float] = json.loads(said.read_text())
    return found


def measure(quick: bool) -> Part:
    """Measure all of it."""
    rounds = 3 if quick else 9
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as name:
        folder = Path(name)
        return Part("Part B ready", (TEXT,), (readiness(folder, rounds, quick), first_compile(folder, rounds)))


TEXT = """\
Five nodes, one program attached, five roles that have said READY; beside it its own parts, each alone. What was
compiled once is kept, as the containers' image is: from the second `up` on only the kernel's verifier takes time. The
program is made ready while the nodes are, and no role starts before it is attached, so what cannot be avoided is the
longer of the two, and then the roles, of which the client waits for all others."""
PROFILE = """\
bcc's constructor reads the source, rewrites it, reads it again, optimises it, and makes code of it; that of a program
that does nothing shows what the headers take of that. The verifier is asked for each program of the file."""
