"""Searches for regular expressions that others have written: some, such as (a+)+$, would take for ever.

Python's `re` looks at signals while it searches, so a timer of CPU time ends a search. Only a process of
netlab's own may do this, in its main thread: the signal SIGVTALRM is for nothing else there.
"""

import re
import signal
import time
import warnings
from types import FrameType


class TookTooLong(Exception):  # noqa: N818 - it is an answer: nothing has gone wrong
    """A pattern has used up the time for its searches."""


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a regular expression; re.error, whatever is wrong with it. A doubtful one warns nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(pattern)
        except (RecursionError, OverflowError) as error:
            raise re.error(str(error)) from None


def shown(pattern: str) -> str:
    """Return a regular expression in quotes, as it was written: with single backslashes, on one line."""
    return repr(pattern).replace("\\\\", "\\")


class Searcher:
    """A regular expression, and the CPU time that is left for all its searches together.

    `gave_up` says that there is none left.
    """

    def __init__(self, pattern: str, cpu_s: float) -> None:
        self.pattern = compiled(pattern)
        self._left_s = cpu_s

    @property
    def gave_up(self) -> bool:
        """Whether it searches no more."""
        return self._left_s <= 0

    def search(self, text: str) -> re.Match[str] | None:
        """Search a text, as a pattern's own `search` does; TookTooLong if the time is over."""
        if self.gave_up:
            raise TookTooLong
        try:
            return self._search(text)
        except TookTooLong:
            self._left_s = 0.0
            raise

    def _search(self, text: str) -> re.Match[str] | None:
        before, began_s = signal.signal(signal.SIGVTALRM, _give_up), time.thread_time()
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, self._left_s)
            return self.pattern.search(text)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
            self._left_s -= time.thread_time() - began_s


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise TookTooLong
