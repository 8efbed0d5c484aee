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
from tests.bench.leavings import Footprint
from tests.bench.measure import Aim, Job, Part, Samples, Table, interleave

QUICK = "The nodes' image is made of this machine's own files; that of a full run takes a minute to build."
HERE = Path(__file__).parent
CHECKOUT = PART_B.parent.parent
MEMORY, PROCESSES = "memory", "processes"
UNITS = {UP: "ms", DOWN: "ms", contenders.CPU: "ms", MEMORY: "MB", PROCESSES: ""}
OURS, DOCKER_MODE, COMPOSE = "netlab", "netlab, Docker mode", "docker-compose"
READY_S = 30.0
NOTES = (
    "Memory is the share (PSS) of all new processes, and how much more the engine's own and the kernel hold.",
    "Compose cannot say the program, and so the balancer's role is missing there: ready are its three workers.",
)


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
            while "ready" not in logged(f"{LAB}_worker{number}_1", environment):
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


def engine_with_image(missing: list[str], quick: bool) -> dict[str, str]:
    """Return the environment that leads to an engine with the nodes' image, or none, and why in `missing`."""
    if tools := lacking("dockerd", "docker", "docker-compose", "busybox", *([] if quick else ["debootstrap"])):
        missing.append(f"{DOCKER_MODE} and {COMPOSE}: {', '.join(tools)} not installed")
        return {}
    try:
        environment = engine.engine()
    except engine.EngineError as error:
        missing.append(f"{DOCKER_MODE} and {COMPOSE}: {error}")
        return {}
    command = ["sh", str(HERE / "quick_image.sh") if quick else str(CHECKOUT / ".ci/image"), "node"]
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


def side_by_side(rounds: int, quick: bool) -> Table:
    """Compare those that there are, netlab's namespaces first."""
    missing: list[str] = []
    environment = engine_with_image(missing, quick)
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        fields = [contenders.netlab(OURS, PART_B, ["client", "true"])]
        if environment:
            fields.append(docker_mode(environment))
        if environment and not quick:
            fields.append(exported(environment, Path(folder)))
        if quick:
            missing.append(f"{COMPOSE}: it takes too long for a quick run")
        samples = taken_and_timed([field for field in fields if works(field, missing)], rounds)
    aims = (Aim(UP, OURS, DOCKER_MODE, 1), Aim(UP, DOCKER_MODE, COMPOSE, 1))[: len(fields) - 1]
    notes = (*NOTES, *([QUICK] if quick else []))
    return Table("Part B in namespaces, in containers, by Compose", UNITS, samples, aims, tuple(missing), notes)


def taken_and_timed(fields: list[Contender], rounds: int) -> Samples:
    """Bring each up and down in turns, and look what it takes meanwhile."""
    footprint = Footprint()

    def taken() -> dict[str, float]:
        memory_kb, processes = footprint.taken_kb()
        return {MEMORY: memory_kb / 1024, PROCESSES: processes}

    jobs = [
        [
            Job(field.name, "", footprint.begin),
            Job(field.name, UP, field.up),
            Job(field.name, "", taken),
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
    """Measure all of it; in a full run in a minute more, which the image takes."""
    return Part("Runtimes", (), (side_by_side(3 if quick else 9, quick),))
