"""In the supervisor: which ended processes start again by themselves, when, and how often. Pure but for the clock."""

import time

from netlab.named_tuple import NamedTuple

NO, ON_FAILURE, ALWAYS = "no", "on-failure", "always"
_FIRST_S, _LONGEST_S = 0.1, 10.0  # from an end to the next start; each pause is twice the one before
STEADY_S = 10.0  # a run of this length is a good one: counting begins anew after it


class Next(NamedTuple):
    """The next start of a process: in how many seconds, and its number in the row of restarts."""

    pause_s: float
    count: int  # type: ignore[assignment]  # it hides tuple.count, which nobody calls


class Restarts:
    """Counts the restarts of each process, and holds the processes that wait for the next one."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._due: dict[str, float] = {}

    @property
    def due(self) -> float:
        """Return when the next one starts (CLOCK_MONOTONIC in seconds), infinity if none waits."""
        return min(self._due.values(), default=float("inf"))

    def plan(self, name: str, at_most: int, ran_s: float) -> Next | None:
        """Plan the next start of a process after a run of `ran_s` seconds; None after `at_most` restarts in a row."""
        before = 0 if ran_s >= STEADY_S else self._counts.get(name, 0)
        if before >= at_most:
            return None
        self._counts[name] = before + 1
        pause_s = min(_FIRST_S * 2**before, _LONGEST_S)
        self._due[name] = time.monotonic() + pause_s
        return Next(pause_s, before + 1)

    def waits(self, name: str) -> bool:
        """Say whether a process waits for its next start."""
        return name in self._due

    def forget(self, name: str) -> None:
        """Forget a process, which somebody starts or stops: counting begins anew."""
        self._counts.pop(name, None)
        self._due.pop(name, None)

    def clear(self) -> None:
        """Forget all that wait."""
        self._due.clear()

    def take_due(self) -> list[str]:
        """Return those whose time has come; they do not wait any more."""
        now = time.monotonic()
        found = [name for name, due in self._due.items() if due <= now]
        for name in found:
            del self._due[name]
        return found


def wants(when: str, how: dict[str, int], stays: bool) -> bool:
    """Say whether a process that has ended in this way starts again. If it `stays`, exit code 0 is a failure, too."""
    return when == ALWAYS or (when == ON_FAILURE and (how != {"exit": 0} or stays))
