"""A Docker engine for tests: the one that answers or, where none does, one of our own, which is stopped in the end.

    engine.py COMMAND...     run a command with DOCKER_HOST leading to it

Ours has a folder of its own, and a network namespace of its own, so that the host's firewall and its `ip_forward` stay
as they are; but the host's mounts and process ids, as an engine has on which netlab is to build labs. It ends with the
process that has started it, however that ends.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from docker import APIClient
from docker.errors import DockerException

from netlab.runtime import engine

START_S = 30.0
STOP_S = 30.0
POLL_S = 0.05
CGROUPS = Path("/sys/fs/cgroup")
DAEMON = """
ip link set lo up
exec setpriv --pdeathsig TERM dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/socket"
"""


class NoEngineError(Exception):
    """There is no engine, and none can be started; the message says why."""


class Engine:
    """An engine of our own in a folder; `start` and `stop` may follow each other, what it holds stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/socket"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._forget()
        if not shutil.which("dockerd"):
            raise NoEngineError("no Docker engine answers, and there is no dockerd to start: apt-get install docker.io")
        command = ["unshare", "--net", "sh", "-c", DAEMON, "sh", str(self.folder)]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_S
        while not answers(self.address):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = (self.folder / "log").read_text().splitlines()
                raise NoEngineError(f"dockerd did not start: {' / '.join(words[-2:])}")
            time.sleep(POLL_S)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it, and with it, unless it is killed, its containers; does nothing when it does not run."""
        if not self.process:
            return
        self.process.send_signal(number)  # unshare, sh and setpriv have become dockerd
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def remove(self) -> None:
        """Remove a stopped engine with all that it holds."""
        self._forget()
        shutil.rmtree(self.folder)

    def _forget(self) -> None:
        """Remove what an engine that was killed leaves running and mounted, as a reboot would.

        Beside it the containerd of a new one does not start.
        """
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                words = Path(f"/proc/{name}/cmdline").read_text().split("\0")
                if "containerd-shim" in words[0] and any(word.startswith(f"{self.folder}/") for word in words):
                    os.kill(int(name), signal.SIGKILL)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if (point := line.split()[4]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", point], check=False)
        shutil.rmtree(self.folder / "exec", ignore_errors=True)


def answers(address: str) -> bool:
    """Say whether an engine answers at an address."""
    if not engine.answers(address):
        return False
    try:
        APIClient(address, version="auto", timeout=5).close()
    except DockerException:
        return False
    return True


@contextmanager
def own() -> Iterator[Engine]:
    """Start an engine of our own and stop it in the end; nothing of it is left."""
    groups = set(CGROUPS.glob("**/docker"))
    made = Engine(Path(tempfile.mkdtemp(prefix="docker-for-tests-")))
    try:
        made.start()
        yield made
    finally:
        made.stop()
        made.remove()
        for folder in set(CGROUPS.glob("**/docker")) - groups:
            for group in sorted((path for path in (folder, *folder.rglob("*")) if path.is_dir()), reverse=True):
                with suppress(OSError):
                    group.rmdir()


@contextmanager
def any_engine() -> Iterator[Engine | None]:
    """Have DOCKER_HOST lead to an engine that answers; yields it if it is our own."""
    if answers(engine.address()):
        yield None
        return
    before = os.environ.get("DOCKER_HOST")
    with own() as made:
        os.environ["DOCKER_HOST"] = made.address
        try:
            yield made
        finally:
            del os.environ["DOCKER_HOST"]
            if before is not None:
                os.environ["DOCKER_HOST"] = before


if __name__ == "__main__":
    with any_engine():
        code = subprocess.run(sys.argv[1:], check=False).returncode
    sys.exit(code)
