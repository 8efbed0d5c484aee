"""How long it takes until part B is ready, beside its own parts, and beside five containers that do nothing."""

import os
import sys
import tempfile
from pathlib import Path

from tests.bench import contenders, engine
from tests.bench.compare import DOWN, UP, compare
from tests.bench.contenders import Contender, run
from tests.bench.measure import Aim, Part, Table

HERE = Path(__file__).parent
OURS, FIRST, BUILT, VERIFIED, COMPILED, BCC, START = (
    "netlab",
    "netlab, the first time: it compiles",
    "the same nodes and roles without the balancer",
    "its program verified and pinned, alone",
    "its program compiled, verified and pinned, alone",
    "Python and bcc's import, alone",
    "Python's start, alone",
)
WITHOUT = """
name: partb
nodes:
  client: {role: client, after: [worker], args: {target: "worker1:8080", count: 1, interval: 0, sleep: 0}}
  lb: {}
  worker: {replicas: 3, role: worker, args: {port: 8080, threads: 5}}
links:
  - [client, lb]
  - [worker, lb]
"""


def alone(name: str, *words: str, **more: str) -> Contender:
    """Return a run of Python as a contender that leaves nothing behind; `more` is added to its environment."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent)} | more
    command = (sys.executable, *words)
    return Contender(name, lambda: run(*command, environment=environment), lambda: None, lambda: None)


def part_b(folder: Path, rounds: int) -> Table:
    """Compare part B, its program attached and its roles ready, with its parts and with idle containers."""
    without = folder / "without.yml"
    without.write_text(WITHOUT)
    fields = [
        contenders.netlab(OURS, contenders.PART_B, ["client", "true"]),
        contenders.netlab(FIRST, contenders.PART_B, ["client", "true"], compiled=False),
        contenders.netlab(BUILT, without, ["client", "true"]),
        alone(VERIFIED, str(HERE / "compile_only.py")),
        alone(COMPILED, str(HERE / "compile_only.py"), NETLAB_CACHE=""),
        alone(BCC, "-c", "import bcc"),
        alone(START, "-c", "pass"),
    ]
    try:
        theirs = contenders.compose(engine.engine(), engine.IMAGE)
    except engine.EngineError as error:
        return table_of(fields, rounds, f"docker-compose: {error}")
    table = table_of([*fields, theirs], rounds)
    return table._replace(aims=tuple(Aim(UP, name, theirs.name, 1 / 2) for name in (OURS, FIRST)))


def table_of(fields: list[Contender], rounds: int, *missing: str) -> Table:
    """Compare all of them; only labs and containers have a `down`."""
    samples = compare(fields, rounds)
    for name in (VERIFIED, COMPILED, BCC, START):
        samples[name] = {UP: samples[name][UP]}
    return Table("Part B, ready", dict.fromkeys((UP, DOWN), "ms"), samples, missing=missing)


def measure(quick: bool) -> Part:
    """Measure all of it."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        return Part("Part B ready", (TEXT,), (part_b(Path(folder), 2 if quick else 9),))


TEXT = """\
Five nodes, one program attached, five roles that have said READY; beside it its own parts, each alone. What was
compiled once is kept, as the containers' image is: from the second `up` on only the kernel's verifier takes time. The
program is made ready while the nodes are, and no role starts before it is attached, so what cannot be avoided is the
longer of the two, and then the roles."""
