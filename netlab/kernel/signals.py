"""Signals that end a process (SIGINT, SIGTERM, SIGHUP), while work is done that must not be left half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def raising() -> Iterator[Callable[[], object]]:
    """Let SIGTERM and SIGHUP interrupt like Ctrl-C, so that an undo follows them, too.

    This holds even where the caller blocks them. The context yields a function: call it when it is too late for an
    undo. From then on the signals wait until the context ends. Afterwards handlers and mask are as they were, so a
    signal that has waited reaches the caller. Only the main thread can have handlers; in any other, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    wait = partial(signal.pthread_sigmask, signal.SIG_BLOCK, ENDINGS)
    mask = wait()
    before = [(number, signal.signal(number, _interrupt)) for number in ENDINGS]
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        yield wait
    finally:
        try:
            wait()  # this may raise what has come just before
        finally:
            for number, handler in before:
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def waiting() -> Iterator[None]:
    """Let these signals wait until the context ends, as until an undo is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
