"""Signals that end a process, while something must not be left half done."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FunctionType
from typing import Any

import pytest

from netlab.kernel import signals
from netlab.testing.waiting import eventually


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Have every test leave mask and handlers as they were."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = [signal.getsignal(number) for number in signals.ENDINGS]
    yield
    assert mask == signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert handlers == [signal.getsignal(number) for number in signals.ENDINGS]


@pytest.mark.parametrize("number", signals.ENDINGS)
def test_each_interrupts(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), signals.raising():
        os.kill(os.getpid(), number)


def test_what_comes_too_late_reaches_the_caller_in_the_end() -> None:
    """The work goes on to its end, and the caller hears of it by his own handler."""
    done, heard = [], []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    with signals.raising() as comes_too_late:
        comes_too_late()
        os.kill(os.getpid(), signal.SIGTERM)
        done.append(len(heard))
    signal.signal(signal.SIGTERM, before)

    assert [0] == done
    assert [signal.SIGTERM] == heard


def test_they_raise_where_the_caller_lets_them_wait_and_wait_again_afterwards() -> None:
    with signals.waiting():
        with pytest.raises(KeyboardInterrupt), signals.raising():
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGINT)
        assert {signal.SIGINT} == signal.sigpending() & set(signals.ENDINGS)
        signal.sigwait({signal.SIGINT})


def test_a_signal_that_waits_is_delivered_when_the_context_ends() -> None:
    done = []

    def work() -> None:
        with signals.waiting():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("to its end")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert ["to its end"] == done


@contextmanager
def too_late() -> Iterator[None]:
    with signals.raising() as comes_too_late:
        comes_too_late()
        yield


@pytest.fixture
def other() -> Iterator[Callable[[signal.Signals], None]]:
    """Give a signal to another thread, which does not block it, and return when it has come."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    before = signal.set_wakeup_fd(tell)

    def give(number: signal.Signals) -> None:
        assert thread.ident
        signal.pthread_kill(thread.ident, number)
        assert bytes([number]) == os.read(told, 1)

    yield give
    signal.set_wakeup_fd(before)
    over.set()
    thread.join()
    os.close(told)
    os.close(tell)


@pytest.mark.parametrize("context", [signals.waiting, too_late])
def test_what_another_thread_takes_waits_too(
    context: Callable[[], AbstractContextManager[None]], other: Callable[[signal.Signals], None]
) -> None:
    """A mask is one thread's, and Python calls the handler in the main thread, whoever has taken the signal."""
    done, heard = [], []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with context():
            other(signal.SIGTERM)
            done.append(len(heard))
        eventually(lambda: heard, "the signal")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert [0] == done
    assert [signal.SIGTERM] == heard


def test_one_inside_an_import_waits_for_the_end_of_it() -> None:
    """Python's import leaves a lock closed if it is left between two lines; other threads would wait for ever."""
    lines = "kill(getpid(), number)\nwhile not closed.append(len(closed)) and closed[-1] < 10000: pass\n"
    inside = compile(lines, "<frozen importlib._bootstrap>", "exec")
    closed: list[int] = []
    names = {"kill": os.kill, "getpid": os.getpid, "number": signal.SIGTERM, "closed": closed}

    def work() -> None:
        FunctionType(inside, names)()
        eventually(lambda: False, "the interrupt")

    with pytest.raises(KeyboardInterrupt), signals.raising():
        work()

    assert closed[-1] == 10000


@pytest.mark.parametrize("later_s", [0.02, 0])
def test_one_that_python_throws_away_comes_again(monkeypatch: pytest.MonkeyPatch, later_s: float) -> None:
    """At the end of an object, an interrupt cannot be raised; nor while it is being postponed, on a slow machine."""
    monkeypatch.setattr(signals, "_AGAIN_S", later_s)

    class Ending:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    before = sys.unraisablehook

    def work() -> None:
        Ending()
        eventually(lambda: False, "the interrupt")

    with pytest.raises(KeyboardInterrupt), signals.raising():
        work()
    assert sys.unraisablehook is before


def test_a_handler_that_is_not_python_s_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python could not set it again."""
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    set_to: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", lambda *what: set_to.append(what))
        with signals.waiting(), signals.raising():
            pass
    monkeypatch.undo()

    assert [] == set_to


def test_what_comes_while_they_are_blocked_leaves_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks for signals when it has blocked them, and then raises."""
    block = signal.pthread_sigmask

    def interrupted(how: int, numbers: Any) -> Any:
        found = block(how, numbers)
        if how == signal.SIG_BLOCK and numbers:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(signal, "pthread_sigmask", interrupted)
        with pytest.raises(KeyboardInterrupt), signals.waiting():
            pass


def test_another_thread_has_no_handlers_to_set() -> None:
    """A library is called in any thread; Python lets the main one alone have handlers."""
    done = []

    def work() -> None:
        with signals.raising() as comes_too_late:
            comes_too_late()
            done.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [signal.pthread_sigmask(signal.SIG_BLOCK, ())] == done


def test_a_started_thread_takes_no_signals_and_the_caller_all_that_it_took() -> None:
    """A signal that the caller blocks would else reach the process through the thread."""
    before, masks = signal.pthread_sigmask(signal.SIG_BLOCK, ()), []
    thread = threading.Thread(target=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    signals.start_thread(thread)
    thread.join()

    assert (before, True) == (signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.SIGINT in masks[0])
