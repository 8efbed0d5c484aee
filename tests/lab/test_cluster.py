"""`netlab grade --cluster`: two real workers, of which one is killed in the middle; the verdicts are the same."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from netlab import paths
from netlab.grade import owner
from netlab.record import store
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import ROOT, netlab
from tests.lab.test_grade import BODIES, LAB, PROGRAM, VERDICTS, verdicts

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="Dask distributed is not here"),
]
COPIES = 3
WORKER = ("worker", "--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")


@contextmanager
def dask(log: Path, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process of Dask's, and end it."""
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]], stdout=file, stderr=file, cwd=ROOT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)


def _registered(log: Path) -> bool:
    return "Registered to" in log.read_text()


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """Run a scheduler and two workers; yield its address, and them."""
    with ExitStack() as running:
        log, told = folder / "scheduler.log", folder / "scheduler.json"
        words = ("--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told))
        running.enter_context(dask(log, "scheduler", *words))
        eventually(told.exists, "a scheduler")
        address = json.loads(told.read_text())["address"]
        logs = [folder / f"worker{number}.log" for number in (1, 2)]
        workers = [running.enter_context(dask(each, *WORKER, address)) for each in logs]
        for each in logs:
            eventually(partial(_registered, each), "a worker")
        yield address, workers


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    (tmp_path / "lab.yml").write_text(LAB)
    for name, body in BODIES.items():
        for number in range(COPIES):
            (tmp_path / f"{name}{number}.c").write_text(PROGRAM % body)
    return tmp_path


def test_a_worker_that_is_killed_changes_no_verdict_and_leaves_nothing(handed_in: Path) -> None:
    submissions = sorted(str(path) for path in handed_in.glob("*.c"))
    with cluster(handed_in) as (address, (first, _)):
        words = ["grade", f"{handed_in}/lab.yml", *submissions, "--cluster", address, "--seed", "1", "--format", "json"]
        argv = [sys.executable, "-I", "-m", "netlab", *words]
        grading = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        eventually(lambda: len(store.labs()) > 1, "a lab of each worker")
        first.send_signal(signal.SIGKILL)
        said, _ = grading.communicate()

    assert {f"{name}{number}": VERDICTS[name] for name in BODIES for number in range(COPIES)} == verdicts(said)
    assert not store.labs()
    assert not os.path.exists(paths.GRADES)


def test_what_a_dead_worker_has_left_is_removed_by_the_next(handed_in: Path) -> None:
    """By whoever comes to that host; here, nobody has ended the lab in an orderly way."""
    with owner.owning() as dead:
        lab, folder = dead.place()
        netlab("up", f"{handed_in}/lab.yml", "--set", "nodes.b.xdp=./passes0.c", "--lab", lab)
        kept = f"{os.path.dirname(folder)}/lock"
        os.rename(kept, f"{kept}-of-the-dead")  # as if nobody held it
        os.close(os.open(kept, os.O_CREAT, 0o600))
        with owner.owning():
            assert lab not in store.labs()
            assert not os.path.exists(folder)


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [("tcp://127.0.0.1:1", 3, "no Dask scheduler answers there"), ("nonsense://x", 2, "expected an address such as")],
)
def test_an_address_without_a_scheduler_is_told(handed_in: Path, address: str, code: int, message: str) -> None:
    words = ("grade", f"{handed_in}/lab.yml", f"{handed_in}/passes0.c", "--cluster", address)

    assert message in netlab(*words, code=code).stderr
