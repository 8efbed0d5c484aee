"""Part B in namespaces, in Docker mode, and as a compose file: how long until it is ready, and what it takes."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import contenders, engine
from tests.bench.compare import DOWN, UP, lacking
from tests.bench.contenders import LAB, NETLAB, PART_B, Contender, run
from tests.bench.measure import Aim, Job, Part, Samples, Table, interleave

CHECKOUT = PART_B.parent.parent
MEMORY, PROCESSES = "memory", "processes"
UNITS = {UP: "ms", DOWN: "ms", contenders.CPU: "ms", MEMORY: "MB", PROCESSES: ""}
OURS, DOCKER_MODE, COMPOSE = "netlab", "netlab, Docker mode", "docker-compose"
READY_S = 30.0
NOTES = (
    "Memory and processes are what the whole machine has more of once all is up; the engine runs before.",
    "Compose cannot say the program, and so the balancer's role is missing there: ready are its three workers.",
)


class Footprint:
    """How much more memory is in use on this machine, and how many more processes there are, than at `begin`."""

    def __init__(self) -> None:
        self.before = (0.0, 0)

    def begin(self) -> dict[str, float]:
        """Remember what there is."""
        self.before = (used_mb(), processes())
        return {}

    def taken(self) -> dict[str, float]:
        """Return what has been taken since."""
        return {MEMORY: used_mb() - self.before[0], PROCESSES: processes() - self.before[1]}


def used_mb() -> float:
    """Return how much of this machine's memory is not there for others, in MB."""
    words = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return (int(words["MemTotal"].split()[0]) - int(words["MemAvailable"].split()[0])) / 1000


def processes() -> int:
    """Return how many processes have memory: neither zombies nor kernel threads, which come and go."""
    return sum(has_memory(path) for path in Path("/proc").glob("[0-9]*"))


def has_memory(process: Path) -> bool:
    """Tell whether a process has memory of its own."""
    try:
        return (process / "statm").read_text().split()[0] != "0"
    except OSError:  # it has ended
        return False


def docker_mode(environment: dict[str, str]) -> Contender:
    """Return part B with its nodes in containers."""
    return Contender(
        DOCKER_MODE,
        up=lambda: run(NETLAB, "up", "--lab", LAB, "--runtime", "docker", PART_B, environment=environment),
        down=lambda: run(NETLAB, "down", "--lab", LAB, environment=environment),
        check=lambda: run(NETLAB, "exec", "--lab", LAB, "client", "true", environment=environment),
    )


def exported(environment: dict[str, str], folder: Path) -> Contender:
    """Return part B as `netlab export compose` says it, up once its workers have said READY."""
    file = folder / "docker-compose.yml"
    text = subprocess.run([NETLAB, "export", "compose", PART_B], check=True, capture_output=True, text=True).stdout
    file.write_text(text)
    compose = ("docker-compose", "--file", str(file), "--project-name", LAB)

    def up() -> contenders.Spent:
        spent = run(*compose, "up", "--detach", environment=environment)
        deadline = time.monotonic() + READY_S
        for number in range(1, 4):
            while "READY" not in logged(f"{LAB}_worker{number}_1", environment):
                if time.monotonic() > deadline:
                    raise subprocess.SubprocessError(f"worker{number} has not said READY")
        return spent

    return Contender(
        COMPOSE,
        up=up,
        down=lambda: run(*compose, "down", "--timeout", "1", environment=environment),
        check=lambda: run("docker", "exec", f"{LAB}_client_1", "ping", "-c1", "-W5", "lb", environment=environment),
    )


def logged(container: str, environment: dict[str, str]) -> str:
    """Return what a container has printed."""
    command = ["docker", "logs", container]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def engine_with_image(missing: list[str]) -> dict[str, str]:
    """Return the environment that leads to an engine with the nodes' image, or none, and why in `missing`."""
    if tools := lacking("dockerd", "docker", "docker-compose", "busybox", "debootstrap"):
        missing.append(f"{DOCKER_MODE} and {COMPOSE}: {', '.join(tools)} not installed")
        return {}
    try:
        environment = engine.engine()
    except engine.EngineError as error:
        missing.append(f"{DOCKER_MODE} and {COMPOSE}: {error}")
        return {}
    command = ["sh", str(CHECKOUT / ".ci/image"), "node"]
    built = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if built.returncode:
        missing.append(f"{DOCKER_MODE} and {COMPOSE}: {last_line(built.stderr)}")
    return {} if built.returncode else environment


def last_line(text: str | bytes) -> str:
    """Return the last line of what a command has said."""
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    return (shown.strip().splitlines() or ["it failed"])[-1]


def works(contender: Contender, missing: list[str]) -> bool:
    """Bring a contender up, see that it works, and bring it down again; if it does not, say why in `missing`."""
    try:
        contender.up()
        try:
            contender.check()
        finally:
            contender.down()
    except subprocess.CalledProcessError as error:
        missing.append(f"{contender.name}: {last_line(error.stderr or b'')}")
        return False
    return True


def side_by_side(rounds: int) -> Table:
    """Compare those that there are, netlab's namespaces first."""
    missing: list[str] = []
    environment = engine_with_image(missing)
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        fields = [contenders.netlab(OURS, PART_B, ["client", "true"])]
        if environment:
            fields += [docker_mode(environment), exported(environment, Path(folder))]
        samples = taken_and_timed([field for field in fields if works(field, missing)], rounds)
    aims = (Aim(UP, OURS, DOCKER_MODE, 1), Aim(UP, DOCKER_MODE, COMPOSE, 1))
    return Table("Part B in namespaces, in containers, by Compose", UNITS, samples, aims, tuple(missing), NOTES)


def taken_and_timed(fields: list[Contender], rounds: int) -> Samples:
    """Bring each up and down in turns, and look what it takes meanwhile."""
    footprint = Footprint()
    jobs = [
        [
            Job(field.name, "", footprint.begin),
            Job(field.name, UP, field.up),
            Job(field.name, "", footprint.taken),
            Job(field.name, DOWN, partial(without_figures, field.down)),
        ]
        for field in fields
    ]
    samples = interleave(jobs, rounds)
    return {row: {column: values for column, values in found.items() if column} for row, found in samples.items()}


def without_figures(down: Callable[[], object]) -> None:
    """Bring a contender down; CPU is what `up` has taken."""
    down()


def measure(quick: bool) -> Part:
    """Measure all of it; in a minute, which the image takes, and so not when it is to be quick."""
    if quick:
        return Part(
            "Runtimes", ("Left out: the nodes' image takes a minute. `make bench PARTS=runtimes` measures them.",), ()
        )
    return Part("Runtimes", (), (side_by_side(7),))
