"""Threads that may leave their namespace, children that die with their parent, and errors that name their call."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from netlab.kernel import syscalls
from netlab.testing.waiting import PATIENCE_S
from tests.checkout import ROOT


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_item_goes_to_one_thread(count: int) -> None:
    """All items are worked on, each once, and never by the calling thread."""
    seen: list[tuple[int, int]] = []

    def work(items: Iterator[int]) -> None:
        seen.extend((item, threading.get_ident()) for item in items)

    syscalls.in_threads(count, work, range(500))

    assert sorted(item for item, _ in seen) == list(range(500))
    assert threading.get_ident() not in {thread for _, thread in seen}
    assert threading.active_count() == 1


def test_an_error_ends_the_work_of_all() -> None:
    """The first error is raised, after every thread has ended, and most items are never begun."""
    begun: list[int] = []
    ended: list[int] = []

    def work(items: Iterator[int]) -> None:
        try:
            for item in items:
                begun.append(item)
                if item == 7:
                    raise ValueError(item)
        finally:
            ended.append(1)

    with pytest.raises(ValueError, match="7"):
        syscalls.in_threads(2, work, range(1_000_000))

    assert len(begun) < 1_000_000
    assert len(ended) == 2


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # one may hit a callback of a weak reference
def test_an_interrupt_ends_the_work_of_all() -> None:
    """Ctrl-C, pressed again while it waits, comes out once the threads have ended."""
    main = threading.main_thread().ident
    assert main is not None

    ended: list[int] = []

    def work(items: Iterator[int]) -> None:
        for item in items:
            if item == 5:
                signal.pthread_kill(main, signal.SIGINT)
        never = threading.Event()
        never.wait(0.05)  # by now the caller waits for us
        signal.pthread_kill(main, signal.SIGINT)
        never.wait(0.05)
        ended.append(1)

    with pytest.raises(KeyboardInterrupt):
        syscalls.in_threads(2, work, range(5_000_000))

    assert len(ended) == 2


def test_mount_error_names_the_call_and_the_place() -> None:
    """An OSError says which call failed, why, and where."""
    with pytest.raises(OSError, match=r"mount: .*: '/no/such/place'") as caught:
        syscalls.mount("tmpfs", "/no/such/place", "tmpfs")

    assert caught.value.errno in (errno.ENOENT, errno.EPERM)
    assert caught.value.filename == "/no/such/place"


def test_setns_error_names_the_call() -> None:
    """A descriptor that is no namespace is refused."""
    with open("/dev/null", encoding="ascii") as file, pytest.raises(OSError, match="setns: Invalid argument"):
        syscalls.setns(file.fileno())


DIES = """
import os, sys
from netlab.kernel import syscalls
parent = os.getpid()
ready, told = os.pipe()
child = os.fork()
if not child:
    {late}
    syscalls.die_with_parent({argument})
    os.write(told, b"x")
    os.read(0, 1)      # for ever: standard input stays open
    os._exit(0)
{wait}
print(child, flush=True)
os._exit(0)
"""
WAITS = "while os.getppid() == parent: pass"


@pytest.mark.parametrize(
    ("argument", "late", "wait"),
    [("", "", "os.read(ready, 1)"), ("parent", "", "os.read(ready, 1)"), ("parent", WAITS, "")],
)
def test_child_dies_with_its_parent(argument: str, late: str, wait: str) -> None:
    """The child is gone when its parent is, also when the parent was faster than the call."""
    code = DIES.format(argument=argument, late=late, wait=wait)
    reader, writer = os.pipe()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdin=reader, stdout=subprocess.PIPE, text=True
        ) as parent:
            # The end of file comes when the child, which holds the pipe too, has ended.
            printed, _ = parent.communicate(timeout=PATIENCE_S)

        assert int(printed) > 0
    finally:
        os.close(reader)
        os.close(writer)
