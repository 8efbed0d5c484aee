"""Signals that end a process (SIGINT, SIGTERM, SIGHUP), while work is done that must not be left half done.

A mask is the calling thread's alone. Where a library's caller has more threads, another one takes the signal, and
Python calls its handler in the main thread all the same. So the main thread has handlers here that only remember it.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Python's own code of `import`, which is not safe to leave between two of its lines: it would keep a lock for ever, and
# each thread that imports something waits for that one.
_IMPORT = "<frozen importlib._bootstrap>"
_AGAIN_S = 0.02

_Handler = Callable[[int, FrameType | None], None]


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
    late: list[int] = []
    is_too_late = False
    postponing = 0

    def hear(number: int, frame: FrameType | None) -> None:
        if is_too_late:
            late.append(number)
        elif postponing or (frame is not None and frame.f_code.co_filename == _IMPORT):
            postpone(number)
        else:
            raise KeyboardInterrupt

    def postpone(number: int) -> None:
        nonlocal postponing
        postponing += 1
        try:
            _send_soon(number)
        finally:
            postponing -= 1

    def comes_too_late() -> None:
        nonlocal is_too_late
        is_too_late = True
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)

    with _blocked(), _heard_by(hear, late), _none_lost(postpone):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        try:
            yield comes_too_late
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # this may raise what has come just before


@contextmanager
def waiting() -> Iterator[None]:
    """Let these signals wait until the context ends, as until an undo is done."""
    came: list[int] = []
    with _blocked(), _heard_by(lambda number, _: came.append(number), came):
        yield


class Noticed:
    """Whether one of these signals has come; `fd` can be read from then on."""

    def __init__(self) -> None:
        self.fd, self._tell = os.pipe()
        self.came = False

    def come(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Take a signal, or act as if one had come."""
        if not self.came:
            self.came = True
            os.close(self._tell)

    def close(self) -> None:
        """Close the descriptors."""
        self.come()
        os.close(self.fd)


@contextmanager
def noticed() -> Iterator[Noticed]:
    """Let these signals only be noticed while the context lasts, in a process whose work can end by itself."""
    found = Noticed()
    before = {number: signal.signal(number, found.come) for number in ENDINGS}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        found.close()


def start_thread(thread: threading.Thread) -> None:
    """Start a thread that takes no signals: those that the caller blocks would reach the process through it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _blocked() -> Iterator[None]:
    """Block the signals in this thread, and have its mask as it was afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # this may raise what has come just before
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _heard_by(handler: _Handler, remembered: list[int]) -> Iterator[None]:
    """Have a handler in the main thread; afterwards the one before it gets what was remembered, as if it came then."""
    with ExitStack() as in_the_end:
        in_the_end.callback(_send, remembered)
        for number in ENDINGS:
            before = signal.getsignal(number)
            # one that is not Python's could not be given back
            if before is not None and threading.current_thread() is threading.main_thread():
                in_the_end.callback(signal.signal, number, before)
                signal.signal(number, handler)
        yield


@contextmanager
def _none_lost(postpone: Callable[[int], None]) -> Iterator[None]:
    """Have an interrupt come later that Python has thrown away, as it does where it ends an object."""
    before = sys.unraisablehook

    def hook(found: "sys.UnraisableHookArgs") -> None:
        if found.exc_type is KeyboardInterrupt:
            postpone(signal.SIGINT)
        else:
            before(found)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _send_soon(number: int) -> None:
    """Send this process a signal a little later; at once, Python might call its handler in this very line."""

    def send() -> None:
        time.sleep(_AGAIN_S)
        os.kill(os.getpid(), number)

    start_thread(threading.Thread(target=send, daemon=True))


def _send(numbers: list[int]) -> None:
    for number in dict.fromkeys(numbers):
        os.kill(os.getpid(), number)
