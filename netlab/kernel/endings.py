"""What ends a process (SIGINT, SIGTERM, SIGHUP), while something is done that must not be left half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def raising() -> Iterator[Callable[[], object]]:
    """Let SIGTERM and SIGHUP interrupt like Ctrl-C, so that they too are followed by an undo.

    They do so even where the caller lets them wait. What is yielded is to be called when it is too late for an undo:
    then they wait, until the context ends. Handlers and mask are afterwards as they were, so what has waited reaches
    the caller then. Python lets the main thread alone have handlers: in any other, nothing happens here.
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
            wait()  # which may raise what has come just before
        finally:
            for number, handler in before:
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def waiting() -> Iterator[None]:
    """Let them wait meanwhile, as until an undo is through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
