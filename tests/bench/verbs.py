"""How long the verbs take that people type again and again."""

import tempfile
from pathlib import Path

from tests.bench import contenders
from tests.bench.contenders import LAB, NETLAB, run
from tests.bench.measure import Aim, Job, Part, Table, interleave


def command_in_a_node(folder: Path, rounds: int) -> Table:
    """Compare running `true` in a node."""
    jobs = [
        [Job("netlab exec", "true", lambda: run(NETLAB, "exec", "--lab", LAB, "leaf1", "true"))],
        [Job("ip netns exec", "true", lambda: run("ip", "netns", "exec", f"{LAB}.leaf1", "true"))],
    ]
    lab = contenders.netlab("netlab", contenders.star(folder, 4), ["leaf1", "true"])
    lab.up()
    try:
        samples = interleave(jobs, rounds)
    finally:
        lab.down()
    aims = (Aim("true", "netlab exec", "ip netns exec", 12),)
    return Table("A command in a node", {"true": "ms"}, samples, aims)


def measure(quick: bool) -> Part:
    """Measure all of it."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        return Part("Verbs", (), (command_in_a_node(Path(folder), 5 if quick else 30),))
