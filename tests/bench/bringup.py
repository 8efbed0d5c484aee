"""How long it takes until a lab without programs and roles stands, and until it is gone, beside others."""

import itertools
import tempfile
from pathlib import Path

from tests.bench import contenders, engine, importing
from tests.bench.compare import GONE, UNITS, UP, compare, lacking
from tests.bench.contenders import CONTAINERS, GNU_TIME, Contender
from tests.bench.leavings import Footprint
from tests.bench.measure import Aim, Part, Samples, Table

NETLAB, BOUND, MININET, BATCH = "netlab", "raw netlink in C", "Mininet", "ip -batch"
PER_NODE, LEFT, PEAK = "memory of a node", "processes of a node", "largest process of up"
LONG, SHORT = {4: 15, 50: 9, 200: 9, 1000: 9}, {4: 5, 50: 3, 1000: 3}  # rounds by leaves
# Rounds that others take part in, by leaves: they take seconds, or a minute.
FEWER_LONG = {200: {MININET: 5}, 1000: {MININET: 1}}
FEWER_SHORT = {50: {MININET: 0}, 1000: {MININET: 0, BATCH: 0}}
AIMS = {
    4: (Aim(UP, NETLAB, MININET, 1 / 3), Aim(UP, importing.REST, BATCH, 3)),
    1000: (Aim(UP, NETLAB, BOUND, 1.6), Aim(UP, NETLAB, BATCH, 1 / 2)),
}
SMALLEST = min(LONG)


def fields(folder: Path, leaves: int) -> tuple[list[Contender], list[str]]:
    """Return who makes a star of so many leaves, and who does not, and why."""
    found, missing = [contenders.netlab_star(folder, leaves)], []
    if lacking("gcc"):
        missing.append(f"{BOUND}: gcc is not installed")
    else:
        found.append(contenders.bound(folder, leaves))
    found.append(contenders.ip_batch(folder, leaves))
    if lacking("mnexec"):
        missing.append(f"{MININET}: not installed (Debian package mininet)")
    else:
        found.append(contenders.mininet(leaves))
    return found, missing


def star(folder: Path, leaves: int, quick: bool) -> Table:
    """Compare a star of so many leaves."""
    who, missing = fields(folder, leaves)
    most = (FEWER_SHORT if quick else FEWER_LONG).get(leaves, {})
    missing += [f"{field.name}: it takes too long for a quick run" for field in who if most.get(field.name) == 0]
    who = [field for field in who if most.get(field.name) != 0]
    who += [importing.watched(folder, leaves)] if leaves == SMALLEST else []
    samples = compare(who, (SHORT if quick else LONG)[leaves], most, is_tried=quick and leaves > SMALLEST)
    if importing.WATCHED in samples:
        importing.divided(samples, UP)
    return Table(f"A star of {leaves:,} leaves", UNITS, samples, AIMS.get(leaves, ()), tuple(missing))


def per_leaf(stars: dict[int, Table]) -> Table:
    """Return what a leaf costs in stars of different sizes, and what each one more costs."""
    units = {f"{who}, {column}": "ms" for who in (NETLAB, BOUND) for column in (UP, GONE)}
    samples: Samples = {}
    sizes = [leaves for leaves in stars if leaves > SMALLEST]
    cases = [(f"{leaves:,} leaves", 0, leaves) for leaves in sizes]
    cases += [
        (f"the {large - small:,} from {small:,} to {large:,}", small, large)
        for small, large in itertools.pairwise(sizes)
    ]
    for row, small, large in cases:
        for who in (NETLAB, BOUND):
            for column in (UP, GONE):
                more = stars[large].samples.get(who, {}).get(column, [])
                less = stars[small].samples.get(who, {}).get(column, []) if small else [0.0] * len(more)
                each = [(one - other) / (large - small) for one, other in zip(more, less, strict=False)]
                samples.setdefault(row, {})[f"{who}, {column}"] = each
    flat = Aim(f"{NETLAB}, {UP}", f"{sizes[-1]:,} leaves", f"{sizes[0]:,} leaves", 1.1, "flat")
    return Table("The time for each leaf", units, samples, (flat,), intro=PER_LEAF)


def idle(folder: Path, leaves: int, count: int, rounds: int, quick: bool) -> Table:
    """Measure what idle nodes hold, and what their making has taken at most; of containers there are less."""
    title, (who, missing) = f"An idle node: {leaves} leaves, {count} containers", fields(folder, leaves)
    if quick:  # what the others leave are the same namespaces, and Mininet's shells
        missing += [f"{field.name}: it takes too long for a quick run" for field in who[1:]]
        who = who[:1]
    if lacking(GNU_TIME):
        return Table(title, {}, {NETLAB: {}}, missing=(f"{GNU_TIME} is not installed (Debian package time)",))
    nodes = {field.name: leaves + 1 for field in who}
    try:
        environment = engine.engine()
    except engine.EngineError as error:
        missing.append(f"Docker: {error}")
    else:
        makers = (contenders.docker,) if quick else (contenders.docker, contenders.compose)
        theirs = [make(environment, engine.IMAGE, count) for make in makers]
        nodes |= {field.name: count for field in theirs}
        who += theirs
    aims = (Aim(LEFT, NETLAB, "", 0, "none is to be left"),)
    units = {PER_NODE: "KB", LEFT: "", PEAK: "MB"}
    return Table(title, units, holdings(who, nodes, rounds), aims, tuple(missing), intro=IDLE)


def holdings(who: list[Contender], nodes: dict[str, int], rounds: int) -> Samples:
    """Return what each contender's nodes hold, in rounds, and the memory of its largest process."""
    samples: Samples = {field.name: {PER_NODE: [], LEFT: [], PEAK: []} for field in who}
    footprint = Footprint()
    for _ in range(rounds):
        for field in who:
            assert field.peak_mb
            footprint.begin()
            peak_mb = field.peak_mb()
            memory_kb, processes = footprint.taken_kb()
            field.down()
            found = {PER_NODE: memory_kb / nodes[field.name], LEFT: processes / nodes[field.name], PEAK: peak_mb}
            for column, value in found.items():
                samples[field.name][column].append(value)
    return samples


def containers(folder: Path, rounds: int, quick: bool) -> Table:
    """Compare five nodes with five containers."""
    title, ours = "Five nodes, five containers", contenders.netlab_star(folder, CONTAINERS - 1)
    units = {column: unit for column, unit in UNITS.items() if column != contenders.CPU}
    try:
        environment = engine.engine()
    except engine.EngineError as error:
        return Table(title, units, compare([ours], rounds), (), (f"Docker: {error}",))
    theirs = [contenders.docker(environment, engine.IMAGE)]
    if not quick:  # part B is compared with the same
        theirs.append(contenders.compose(environment, engine.IMAGE))
    missing = ("docker-compose: in a quick run only beside part B",) if quick else ()
    return Table(title, units, compare([ours, *theirs], rounds, is_tried=quick), missing=missing)


def measure(quick: bool) -> Part:
    """Measure all of it."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as name:
        folder = Path(name)
        stars = {leaves: star(folder, leaves, quick) for leaves in (SHORT if quick else LONG)}
        tables = [
            *stars.values(),
            importing.dearest(folder, SMALLEST, 3 if quick else 5),
            per_leaf(stars),
            idle(folder, *((20, 3, 3) if quick else (200, 20, 3)), quick),
            containers(folder, 3 if quick else 9, quick),
        ]
    return Part("Bring-up", (TEXT,), tuple(tables))


TEXT = """\
A centre and N leaves, a veth pair with addresses and a route each; no programs, no processes. netlab and the C program
give IPv4 and IPv6 addresses, the others only IPv4; Mininet adds a shell and a mount namespace a node, Docker full
isolation: not the same service. CPU is what the processes of `up` have taken; Docker's engine took the rest. A lab is
gone when the kernel has removed its last namespace, which it does behind the back of who has let go of it; an empty one
takes it some 20 ms. The C program is the bound: the same messages, and nothing else. It, and netlab, use two threads
from a hundred leaves on. Of the smallest star it is also shown, within each run, how much of netlab's time was Python's
start and imports."""
PER_LEAF = """\
A whole star's time by its leaves, then by those that a larger star has more: what does not depend on how many there
are, Python's start above all, is not in those. That each of many costs more is the kernel's doing, which looks through
the interfaces that the centre has already: the C program, beside it, does nothing else."""
IDLE = """\
Memory is the share (PSS) of what all new processes have mapped, how much more an engine's own have, and how much more
the kernel holds; slabs that it keeps for later are given up before. The largest process of `up` is one of the
command's: an engine works for `docker` and `docker-compose` beside it."""
