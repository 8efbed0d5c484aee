"""Reloads of the balancer under 1,500 requests a second, about half of them killed: no request is lost or doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netlab.balancer import Snapshot
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.feed import Load, fed
from tests.lab.lab import LAB, ROOT, netlab, stats, uncounted
from tests.lab.test_reload import BACKENDS, held, loaded, standing

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

RELOADS, KILLED = (196, 105) if os.environ.get("NETLAB_LONG") else (6, 3)
RATE = 1500  # requests a second, where the machine serves as many
MOST_WAIT = 1000  # where it does not


def paced() -> Load:
    """Send as many a second, but let no more wait than a few."""
    began = time.monotonic()

    def due(now: Snapshot, sent: int) -> int:
        return min(int((time.monotonic() - began) * RATE) - sent, MOST_WAIT - now.depth)

    return due


def reload(number: int) -> "subprocess.Popen[bytes]":
    """Begin to replace the program by another of two builds."""
    argv = [sys.executable, "-m", "netlab", "reload", "lb", "--define", f"BUILD={number % 2}"]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds_of_reload() -> float:
    """Return how long a reload takes here and now, when both builds are compiled."""
    for number in (0, 1):
        assert reload(number).wait(PATIENCE_S) == 0
    began = time.monotonic()
    assert reload(0).wait(PATIENCE_S) == 0
    return time.monotonic() - began


def ended(number: int, after_s: float | None) -> int:
    """Reload, or begin to and be killed then; return the exit code."""
    running = reload(number)
    if after_s is None:
        return running.wait(PATIENCE_S)
    try:
        return running.wait(after_s)
    except subprocess.TimeoutExpired:
        running.kill()
        return running.wait()


def test_half_of_them_killed_lose_and_double_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was half done then, the next reload goes on from it, and in the end all of one build is at work."""
    source = random.Random(RELOADS)
    fates = source.sample([True] * KILLED + [False] * (RELOADS - KILLED), RELOADS)
    codes = []
    with loaded(tmp_path):
        before = uncounted()
        with fed(LAB, str, paced()) as feed:
            took_s, began, first = seconds_of_reload(), time.monotonic(), feed.sent
            for number, is_killed in enumerate(fates):
                start = time.monotonic()
                codes.append(ended(number, source.uniform(0.01, 1) * took_s if is_killed else None))
                took_s = took_s if is_killed else time.monotonic() - start
            seconds, sent = time.monotonic() - began, feed.sent - first
            netlab("reload", "lb")
        eventually(lambda: stats()["completions"] == feed.sent)
        after, end, now, carried = uncounted(), stats(), standing("lb"), held("lb", "doors", "carriers")
    with capsys.disabled():
        killed = codes.count(-signal.SIGKILL)
        print(f"\n{len(codes)} reloads, {killed} killed, at {sent / seconds:,.0f} requests a second")

    assert set(codes) <= {0, -signal.SIGKILL}
    assert codes.count(-signal.SIGKILL) >= KILLED / 5  # some are done before their moment comes
    served = sorted(int(line) for name in BACKENDS for line in (tmp_path / name).read_text().split())
    assert served == list(range(feed.sent))
    assert (end["received"], end["dropped"], end["queue_depth"]) == (feed.sent, 0, 0)
    assert end["forwarded"] + end["queued"] == feed.sent
    assert end["dequeued"] == end["queued"]
    assert before == after  # each frame was counted once, by whichever build
    assert set(now.attached.values()) == {now.programs["balancer"]}
    assert set(carried) == {now.programs["egress_devmap"]}
