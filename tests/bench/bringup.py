"""How long it takes until a lab without programs and roles stands, and until it is gone, beside others."""

import tempfile
import time
from pathlib import Path

from tests.bench import contenders, engine
from tests.bench.compare import GONE, UNITS, UP, compare, lacking
from tests.bench.contenders import Contender
from tests.bench.leavings import processes, used_kb
from tests.bench.measure import Aim, Part, Samples, Table

NETLAB, BOUND, MININET, BATCH = "netlab", "raw netlink in C", "Mininet", "ip -batch"
IMPORTS, REST = "only Python's start and imports", "netlab without that"
MOST_IN_MININET = 200  # leaves: a thousand take it a minute
SETTLED_S = 1.0
PER_NODE, LEFT, PEAK = "memory of a node", "processes of a node", "largest process of up"
# leaves, rounds, rounds when quick
SIZES = ((4, 15, 3), (50, 7, 2), (200, 5, 1), (1000, 4, 1))
AIMS = {
    4: (Aim(UP, NETLAB, MININET, 1 / 3), Aim(UP, REST, BATCH, 3)),
    1000: (Aim(UP, NETLAB, BOUND, 1.6), Aim(UP, NETLAB, BATCH, 1 / 2)),
}


def fields(folder: Path, leaves: int, quick: bool) -> tuple[list[Contender], list[str]]:
    """Return who makes a star of so many leaves, and who does not, and why."""
    found, missing = [contenders.netlab_star(folder, leaves)], []
    if leaves == SIZES[0][0]:
        found.append(contenders.imports(folder))
    if lacking("gcc"):
        missing.append("raw netlink in C: gcc is not installed")
    else:
        found.append(contenders.bound(folder, leaves))
    found.append(contenders.ip_batch(folder, leaves))
    if lacking("mnexec"):
        missing.append("Mininet: not installed (Debian package mininet)")
    elif leaves > (SIZES[0][0] if quick else MOST_IN_MININET):
        missing.append(f"Mininet: {leaves:,} leaves take it too long")
    else:
        found.append(contenders.mininet(leaves))
    return found, missing


def star(folder: Path, leaves: int, rounds: int, quick: bool) -> Table:
    """Compare a star of so many leaves."""
    who, missing = fields(folder, leaves, quick)
    samples = compare(who, rounds)
    if IMPORTS in samples:
        imports = samples[IMPORTS] = {UP: samples[IMPORTS][UP]}
        rest = [all_of_it - some for all_of_it, some in zip(samples[NETLAB][UP], imports[UP], strict=True)]
        samples[REST] = {UP: rest}
    return Table(f"A star of {leaves:,} leaves", UNITS, samples, AIMS.get(leaves, ()), tuple(missing))


def per_node(stars: dict[int, Table]) -> Table:
    """Return what a leaf costs netlab in stars of different sizes."""
    samples: Samples = {}
    for leaves, table in stars.items():
        if leaves > SIZES[0][0]:
            ours = table.samples[NETLAB]
            each = {column: [value / leaves for value in ours[column]] for column in (UP, GONE)}
            samples[f"{leaves:,} leaves"] = each
    return Table("netlab's time for each leaf", {UP: "ms", GONE: "ms"}, samples)


def idle(folder: Path, leaves: int, rounds: int) -> Table:
    """Measure what a star holds while nothing happens in it, and what its making has taken at most."""
    who = [contenders.netlab_star(folder, leaves), contenders.ip_batch(folder, leaves)]
    if not lacking("mnexec"):
        who.append(contenders.mininet(leaves))
    samples = holdings(who, leaves + 1, rounds)
    units = {PER_NODE: "KB", LEFT: ""}
    missing = [
        f"largest process: {tool} is not installed (Debian package time)" for tool in lacking(contenders.GNU_TIME)
    ]
    if not missing:
        units[PEAK] = "MB"
        for field in (field for _ in range(rounds) for field in who):
            assert field.peak_mb
            samples[field.name].setdefault(PEAK, []).append(field.peak_mb())
            field.down()
    return Table(f"Memory and processes, {leaves} idle leaves", units, samples, missing=tuple(missing))


def holdings(who: list[Contender], nodes: int, rounds: int) -> Samples:
    """Return what each contender's nodes hold, in rounds."""
    samples: Samples = {field.name: {PER_NODE: [], LEFT: []} for field in who}
    for _ in range(rounds):
        for field in who:
            time.sleep(SETTLED_S)  # what was there before is gone, and its memory given back
            memory, count = used_kb(), processes()
            field.up()
            time.sleep(SETTLED_S)
            samples[field.name][PER_NODE].append((used_kb() - memory) / nodes)
            samples[field.name][LEFT].append((processes() - count) / nodes)
            field.down()
    return samples


def containers(folder: Path, rounds: int) -> list[Table]:
    """Compare five nodes with five containers."""
    title, ours = "Five nodes, five containers", contenders.netlab_star(folder, contenders.CONTAINERS - 1)
    units = {column: unit for column, unit in UNITS.items() if unit == "ms" and column != contenders.CPU}
    try:
        environment = engine.engine()
    except engine.EngineError as error:
        return [Table(title, units, compare([ours], rounds), (), (f"Docker: {error}",))]
    theirs = [contenders.docker(environment, engine.IMAGE), contenders.compose(environment, engine.IMAGE)]
    held = holdings([ours, *theirs], contenders.CONTAINERS, 1)
    return [
        Table(title, units, compare([ours, *theirs], rounds)),
        Table("An idle container", {PER_NODE: "KB", LEFT: ""}, held),
    ]


def measure(quick: bool) -> Part:
    """Measure all of it."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as name:
        folder = Path(name)
        stars = {leaves: star(folder, leaves, short if quick else long, quick) for leaves, long, short in SIZES}
        tables = [*stars.values(), per_node(stars), idle(folder, 20 if quick else 200, 1 if quick else 3)]
        tables += containers(folder, 2 if quick else 5)
    return Part("Bring-up", (TEXT,), tuple(tables))


TEXT = """\
A centre and N leaves, a veth pair with addresses and a route each; no programs, no processes. netlab and the C program
give IPv4 and IPv6 addresses, the others only IPv4; Mininet adds a shell and a mount namespace a node, Docker full
isolation: not the same service. CPU is what the processes of `up` have taken; Docker's engine took the rest. Memory of
a node is what more of the machine's is in use. A lab is gone when the kernel has removed its last namespace, which it
does behind the back of who has let go of it; an empty one takes it some 20 ms. The C program is the bound: the same
messages, and nothing else. It, and netlab, use two threads from a hundred leaves on."""
