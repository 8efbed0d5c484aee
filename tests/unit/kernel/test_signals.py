"""Signals that end a process, while something must not be left half done."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from netlab.kernel import signals


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
