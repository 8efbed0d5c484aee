"""What files and a host name of its own cost each of many nodes, beside nodes that see those of the host."""

import tempfile
from pathlib import Path

from tests.bench import contenders
from tests.bench.compare import UNITS, UP, compare
from tests.bench.contenders import CPU, Contender
from tests.bench.measure import Aim, Part, Table

LEAVES = 1000
PLAIN, OWN, MORE = "netlab", "a file and a hostname", "two files, a hostname, a folder"
MOST = 1.5
TEXT = """\
The same star: bare, then with a file and so a host name and a mount namespace of its own in each leaf, then with a
second file and a private folder besides. What matters are the ratios: all are measured in turns."""


def with_files(folder: Path, leaves: int, called: str) -> Contender:
    """Return netlab with a star whose leaves have files of their own."""
    path = folder / f"{called.replace(' ', '-')}.yml"
    more = ", /etc/motd: {text: hello}}, private: [/var/log]" if called == MORE else "}"
    own = 'files: {/etc/netlab-bench/name: {text: "${node}"}' + more
    path.write_text(
        contenders.star(folder, leaves).read_text().replace(f"replicas: {leaves}", f"replicas: {leaves}, {own}")
    )
    last = f"leaf{leaves}"
    return contenders.netlab(called, path, [last, "grep", "-x", last, "/etc/netlab-bench/name"])


def measure(quick: bool) -> Part:
    """Measure both in turns."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as name:
        folder = Path(name)
        fields = [
            contenders.netlab_star(folder, LEAVES),
            *(with_files(folder, LEAVES, called) for called in (OWN, MORE)),
        ]
        samples = compare(fields, 3 if quick else 9, is_tried=quick)
    aims = tuple(Aim(column, OWN, PLAIN, MOST) for column in (UP, CPU))
    return Part("Files of nodes' own", (), (Table(f"{LEAVES:,} leaves", UNITS, samples, aims, intro=TEXT),))
