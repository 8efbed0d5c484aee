"""How long it takes until a lab without programs and roles stands, and until it is gone, beside Mininet and ip."""

import tempfile
from pathlib import Path

from tests.bench import contenders
from tests.bench.compare import BOTH, DOWN, UP, compare, lacking
from tests.bench.measure import Aim, Part, Table


def bare_star(folder: Path, rounds: int) -> Table:
    """Compare five nodes without programs and roles."""
    fields = [contenders.netlab("netlab", contenders.star(folder), ["leaf1", "ping", "-c1", "-W5", "leaf2"])]
    missing = [f"Mininet: {tool} is not installed (Debian package mininet)" for tool in lacking("mnexec")]
    if not missing:
        fields.append(contenders.mininet())
    fields.append(contenders.ip_batch(folder))
    aims = (Aim(UP, "netlab", "Mininet", 1 / 2), Aim(UP, "netlab", "Mininet", 1 / 3, "stretch"))
    units = dict.fromkeys((UP, DOWN, BOTH), "ms")
    return Table("A star of four leaves", units, compare(fields, rounds), aims, tuple(missing))


def measure(quick: bool) -> Part:
    """Measure all of it."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        return Part("Bring-up", (), (bare_star(Path(folder), 3 if quick else 15),))
