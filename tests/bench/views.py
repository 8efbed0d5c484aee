"""What a view of a lab costs: the processors' time, at rest and under traffic, and what it does to a round trip."""

import json
import os
import pty
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from tests.bench.contenders import HERE, LAB, NETLAB, run
from tests.bench.measure import Job, Part, Table, interleave

PART_A = HERE.parent.parent / "topologies" / "parta.yml"
BEGUN_S, REST_S, STOP_S = 3.0, 2.0, 20.0
PINGS = 40_000
TRIP, REST, BUSY, WHOLE = "round trip", "CPU at rest, %", "CPU in traffic, %", "whole"
VIEWS = {
    "no view": (),
    "events -f": ("events", "-f"),
    "events -f --interval 1": ("events", "-f", "--interval", "1"),
    "capture -w": ("capture", "-w", "{folder}/packets-{number}.pcapng"),
    "capture --verdicts -w": ("capture", "--verdicts", "-w", "{folder}/packets-{number}.pcapng"),
    "top": ("top",),
    "web, no browser": ("web", "--port", "0"),
}
TEXT = f"""\
Part A's lab, in which nothing runs but its server and the dropper. Each view in its turn: {BEGUN_S:.0f} s to begin,
{REST_S:.0f} s at rest, and then {PINGS:,} pings, each sent when the last one was answered (`ping -f`), through the
dropper. CPU is the share of one processor that the view and the lab's supervisor got together. Pings come as fast as
the machine can, so captures see some ten thousand packets a second."""


def spent_s(*processes: psutil.Process) -> float:
    """Return the CPU time that living processes and their children have had, in seconds."""
    found = 0.0
    for each in {of: None for one in processes for of in (one, *one.children(recursive=True))}:
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            found += times.user + times.system
    return found


def drain(fd: int) -> None:
    """Read a terminal until nobody writes to it any more."""
    with suppress(OSError):
        while os.read(fd, 1 << 16):
            pass


@contextmanager
def shown(words: tuple[str, ...]) -> Iterator[list[psutil.Process]]:
    """Have a view in a terminal of its own meanwhile; yield its process, if there is one."""
    if not words:
        yield []
        return
    ours, its = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen([NETLAB, *words, "--lab", LAB], stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    reader = threading.Thread(target=drain, args=(ours,), daemon=True)
    reader.start()
    try:
        time.sleep(BEGUN_S)
        if process.poll() is not None:
            raise RuntimeError(f"netlab {' '.join(words)} has ended by itself, with code {process.returncode}")
        yield [psutil.Process(process.pid)]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
        reader.join(STOP_S)
        os.close(ours)


def ping() -> float:
    """Return what a round trip took, in µs."""
    begun = time.perf_counter()
    run("ip", "netns", "exec", f"{LAB}.client", "ping", "-4", "-q", "-f", "-c", str(PINGS), "server")
    return (time.perf_counter() - begun) * 1e6 / PINGS


def cost(words: tuple[str, ...], folder: str, numbers: Iterator[int]) -> dict[str, float]:
    """Return what one view costs."""
    number = next(numbers)
    supervisor = psutil.Process(json.loads(Path(f"/run/netlab/{LAB}/supervisor").read_text())["pid"])
    with shown(tuple(word.format(folder=folder, number=number) for word in words)) as view:
        begun, before = time.monotonic(), spent_s(supervisor, *view)
        time.sleep(REST_S)
        rest = (spent_s(supervisor, *view) - before) / (time.monotonic() - begun)
        begun, before = time.monotonic(), spent_s(supervisor, *view)
        trip = ping()
        busy = (spent_s(supervisor, *view) - before) / (time.monotonic() - begun)
    return {TRIP: trip, REST: rest * 100, BUSY: busy * 100}


def measure(quick: bool) -> Part:
    """Measure all views in turns, with and without."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        run(NETLAB, "up", "--lab", LAB, PART_A, "--set", "nodes.client.autostart=false")
        try:
            numbers = iter(range(1 << 20))
            jobs = [[Job(name, WHOLE, partial(cost, words, folder, numbers))] for name, words in VIEWS.items()]
            samples = interleave(jobs, 2 if quick else 5)
        finally:
            run(NETLAB, "down", "--lab", LAB)
    units = {TRIP: "µs", REST: "", BUSY: ""}
    kept = {name: {column: found[column] for column in units} for name, found in samples.items()}
    return Part("Views", (), (Table("What a view costs", units, kept, intro=TEXT),))
