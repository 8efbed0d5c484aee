"""How long the verbs take that people type again and again."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.bench import contenders, engine
from tests.bench.compare import lacking
from tests.bench.contenders import LAB, NETLAB, PART_B, run
from tests.bench.measure import Aim, Job, Part, Table, interleave

EXEC, STATUS, LOGS = "a command in a node", "status", "logs"
OURS, IP, MNEXEC, DOCKER, COMPOSE = "netlab", "ip netns exec", "Mininet's mnexec", "docker", "docker-compose"
NODE, ROLE = "client", "worker1"
SETTLE_S = 0.02


def ours() -> dict[str, tuple[str, ...]]:
    """Return netlab's verbs as they are typed."""
    return {
        EXEC: (NETLAB, "exec", "--lab", LAB, NODE, "true"),
        STATUS: (NETLAB, "status", "--lab", LAB),
        LOGS: (NETLAB, "logs", "--lab", LAB, ROLE),
    }


@contextmanager
def resident(node: str) -> Iterator[int]:
    """Yield the pid of a process that stays in a node: mnexec goes where a process is."""
    command = ["ip", "netns", "exec", f"{LAB}.{node}", "sleep", "1000000"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def jobs(stack: ExitStack) -> tuple[list[list[Job]], list[str]]:
    """Return what is timed, and what is missing; the stack takes down what it needs."""
    found: list[tuple[str, str, Callable[[], object]]] = [
        (OURS, what, partial(run, *command)) for what, command in ours().items()
    ]
    found.append((IP, EXEC, lambda: run("ip", "netns", "exec", f"{LAB}.{NODE}", "true")))
    missing = []
    if lacking("mnexec"):
        missing.append("mnexec: not installed (Debian package mininet)")
    else:
        pid = stack.enter_context(resident(NODE))
        found.append((MNEXEC, EXEC, lambda: run("mnexec", "-a", str(pid), "true")))
    try:
        environment = engine.engine()
    except engine.EngineError as error:
        missing.append(f"Docker: {error}")
    else:
        found += docker(stack, environment)
    return [[Job(*each)] for each in found], missing


def docker(stack: ExitStack, environment: dict[str, str]) -> list[tuple[str, str, Callable[[], object]]]:
    """Bring five idle containers up, and return Docker's verbs for them."""
    theirs = contenders.docker(environment, engine.IMAGE)
    theirs.up()
    stack.callback(theirs.down)
    name = f"{LAB}0"
    verbs = {EXEC: ("exec", name, "sleep", "0"), STATUS: ("ps",), LOGS: ("logs", name)}
    return [(DOCKER, what, partial(run, "docker", *words, environment=environment)) for what, words in verbs.items()]


def verbs(rounds: int) -> Table:
    """Compare the verbs, with part B up."""
    lab = contenders.netlab(OURS, PART_B, [NODE, "true"])
    with ExitStack() as stack:
        lab.up()
        stack.callback(lab.down)
        groups, missing = jobs(stack)
        samples = interleave(groups, rounds, SETTLE_S)
    aims = (Aim(EXEC, OURS, IP, 12), Aim(EXEC, OURS, IP, 20, "at least"))
    units = dict.fromkeys((EXEC, STATUS, LOGS), "ms")
    return Table("Verbs, part B up", units, samples, aims, tuple(missing))


def measure(quick: bool) -> Part:
    """Measure all of it."""
    return Part("Verbs", (TEXT,), (verbs(10 if quick else 40),))


TEXT = """\
A new process each, from its start to its end. `docker exec` runs `sleep 0`, the only program of its image; its
`status` is `docker ps`."""
