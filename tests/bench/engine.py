"""A Docker engine of our own, for as long as a benchmark takes: nothing of it outlives that.

Its network namespace is its own, so that the host's firewall stays as it is; mounts and process ids are the host's, as
an engine has on which netlab is to build labs.
"""

import atexit
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

IMAGE = "netlab-bench-idle"
TOOLS = ("dockerd", "docker", "docker-compose", "busybox")
DEADLINE_S = 30.0
POLL_S = 0.1
CGROUPS = Path("/sys/fs/cgroup")
START = """
ip link set lo up
exec setpriv --pdeathsig TERM dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/socket"
"""


class EngineError(Exception):
    """The engine did not start; the message says why."""


_kept = ExitStack()  # with the engine, once there is one
_environment: dict[str, str] = {}
atexit.register(_kept.close)


def engine() -> dict[str, str]:
    """Return the environment that leads to an engine with an idle image of busybox; it ends with this process.

    Raises EngineError when there is none to be had.
    """
    if not _environment:
        _environment.update(_kept.enter_context(started()))
    return _environment


@contextmanager
def started() -> Iterator[dict[str, str]]:
    """Start dockerd, give it the image, yield the environment that leads to it, and stop it."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise EngineError(f"{', '.join(missing)} not installed (docker.io, docker-compose, busybox-static)")
    folder = Path(tempfile.mkdtemp(prefix="netlab-bench-"))
    cgroups = set(CGROUPS.glob("*/docker"))
    command = ["unshare", "--net", "sh", "-c", START, "sh", str(folder)]
    with (folder / "log").open("w") as log:
        dockerd = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        environment = os.environ | {"DOCKER_HOST": f"unix://{folder}/socket"}
        await_engine(dockerd, environment, folder / "log")
        loading = ["docker", "import", "-", IMAGE]
        subprocess.run(loading, input=image(), env=environment, check=True, capture_output=True)
        yield environment
    finally:
        stop(dockerd)
        remove_empty(set(CGROUPS.glob("*/docker")) - cgroups)
        shutil.rmtree(folder)


def await_engine(dockerd: subprocess.Popen[bytes], environment: dict[str, str], log: Path) -> None:
    """Wait until the engine answers; raise EngineError with its last words if it does not."""
    deadline = time.monotonic() + DEADLINE_S
    while subprocess.run(["docker", "info"], check=False, capture_output=True, env=environment).returncode != 0:
        if dockerd.poll() is not None or time.monotonic() > deadline:
            raise EngineError("dockerd did not start: " + " / ".join(log.read_text().splitlines()[-2:]))
        time.sleep(POLL_S)


def stop(dockerd: subprocess.Popen[bytes]) -> None:
    """Stop dockerd, which stops its containers."""
    dockerd.terminate()
    try:
        dockerd.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        dockerd.kill()
        dockerd.wait()


def image() -> bytes:
    """Return a root file system, as tar, in which only `sleep` exists."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add("/bin/busybox", arcname="bin/sleep")
    return packed.getvalue()


def remove_empty(folders: set[Path]) -> None:
    """Remove the control groups that the engine made and left empty."""
    for folder in folders:
        for group in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            group.rmdir()
        folder.rmdir()
