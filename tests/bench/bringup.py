"""How long it takes until a lab can be used, beside Mininet, Docker and ip: what `make bench` runs, as root.

A peer that is not to be had on this machine is skipped by name. Nothing here is a test: a test never times.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench import contenders, engine
from tests.bench.contenders import LAB, NETLAB, Contender, run
from tests.bench.measure import Aim, Job, Result, interleave, table, write

DOCS = Path(__file__).parent.parent.parent / "docs"


def compare(title: str, fields: Sequence[Contender], rounds: int, aims: tuple[Aim, ...], skipped: list[str]) -> Result:
    """Bring every contender up and down, once to see that it works, then in interleaved rounds."""
    for contender in fields:
        contender.up()
        try:
            contender.check()
        finally:
            contender.down()
    jobs = [[Job(field.name, "up", field.up), Job(field.name, "down", field.down)] for field in fields]
    samples = interleave(jobs, rounds)
    for measures in samples.values():
        measures["both"] = [up + down for up, down in zip(measures["up"], measures["down"], strict=True)]
    return Result(title, samples, aims, tuple(skipped))


def lacking(*tools: str) -> list[str]:
    """Return which of these commands are not installed."""
    return [tool for tool in tools if shutil.which(tool) is None]


def bare_star(folder: Path, rounds: int) -> Result:
    """Compare five nodes without programs and roles."""
    fields = [contenders.netlab("netlab", contenders.star(folder), ["leaf1", "ping", "-c1", "-W5", "leaf2"])]
    skipped = [f"Mininet: {tool} is not installed (Debian package mininet)" for tool in lacking("mnexec")]
    if not skipped:
        fields.append(contenders.mininet())
    fields.append(contenders.ip_batch(folder))
    aims = (Aim("up", "Mininet", 1 / 2), Aim("up", "Mininet", 1 / 3, "stretch"))
    return compare("Five nodes, no programs, no roles", fields, rounds, aims, skipped)


def part_b(rounds: int) -> Result:
    """Compare part B, its program attached and its roles ready, with five containers that do nothing."""
    title = "Part B, ready"
    ours = contenders.netlab("netlab", contenders.PART_B, ["client", "true"])
    missing = lacking("dockerd", "docker", "docker-compose", "busybox")
    if missing:
        why = f"docker-compose: {', '.join(missing)} not installed (docker.io, docker-compose, busybox-static)"
        return compare(title, [ours], rounds, (), [why])
    try:
        with engine.engine() as environment:
            theirs = contenders.compose(environment, engine.IMAGE)
            return compare(title, [ours, theirs], rounds, (Aim("up", theirs.name, 1 / 2),), [])
    except engine.EngineError as error:
        return compare(title, [ours], rounds, (), [f"docker-compose: {error}"])


def command_in_a_node(folder: Path, rounds: int) -> Result:
    """Compare running `true` in a node."""
    jobs = [
        [Job("netlab exec", "true", lambda: run(NETLAB, "exec", "--lab", LAB, "leaf1", "true"))],
        [Job("ip netns exec", "true", lambda: run("ip", "netns", "exec", f"{LAB}.leaf1", "true"))],
    ]
    lab = contenders.netlab("netlab", contenders.star(folder), ["leaf1", "true"])
    lab.up()
    try:
        samples = interleave(jobs, rounds)
    finally:
        lab.down()
    return Result("A command in a node", samples, (Aim("true", "ip netns exec", 20),), ())


def comparisons(rounds: int) -> Iterator[Result]:
    """Yield one comparison after the other, as they are done."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        yield bare_star(Path(folder), rounds)
        yield part_b(max(rounds // 3, 3))
        yield command_in_a_node(Path(folder), rounds * 2)


def main() -> None:
    """Run every comparison, print the tables and write them to docs/."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each comparison (Docker: a third of them)")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    options = parser.parse_args()
    results = []
    for result in comparisons(options.rounds):
        print(table(result), flush=True)
        results.append(result)
    if not options.dry:
        write(results, DOCS)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {error}\n{(error.stderr or b'').decode()}")
