"""A balancer's threads and counts, read fast enough to tell when something has become so, and never out of bounds."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from netlab import balancer
from netlab.record import store

SAMPLE_S = 0.005


class Threads:
    """The backends of a lab's node `lb`, as its program knows them."""

    def __init__(self, lab: str) -> None:
        self.pins = dict(store.read(lab).programs())["lb"].pins

    def free(self) -> tuple[int, ...]:
        return tuple(balancer.snapshot(self.pins).free.values())

    def reasons(self) -> Counter[str]:
        """Return how many packets have left by each reason."""
        counts = balancer.counts(self.pins, "reasons", "reason")
        return Counter({name: count.packets for name, count in counts.items()})

    def accounted(self) -> tuple[int, int, int]:
        """Return how many requests and completions are known to be lost, and how many completions to be doubled."""
        known = [each for each in balancer.reporters(self.pins).values() if each]
        return (
            sum(each.lost_requests for each in known),
            sum(each.lost_completions for each in known),
            sum(each.doubled_completions for each in known),
        )

    @contextmanager
    def watched(self) -> Iterator[set[tuple[int, ...]]]:
        """Look at the free threads all the while; yield what was seen, in which there is never one too many."""
        seen: set[tuple[int, ...]] = {self.free()}
        capacity = tuple(balancer.snapshot(self.pins).capacity.values())
        is_over = threading.Event()

        def look() -> None:
            while not is_over.wait(SAMPLE_S):
                seen.add(self.free())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield seen
        finally:
            is_over.set()
            looking.join()
        assert not [
            each for each in seen if not all(0 <= free <= most for free, most in zip(each, capacity, strict=True))
        ]
