"""What waiting lines must do: an ideal one replayed over what really arrived, and the formula for all of them. Pure."""

import heapq
import math
import random
from collections.abc import Iterable, Sequence


def ideal_waits(arrivals: Sequence[float], services: Sequence[float], servers: int) -> list[float]:
    """Return how long each request waits in one first-in-first-out queue before so many servers that lose no time.

    Arrivals are in order; times have any one unit.
    """
    free_at = [0.0] * servers
    waits = []
    for arrival, service in zip(arrivals, services, strict=True):
        begins = max(arrival, heapq.heappop(free_at))
        heapq.heappush(free_at, begins + service)
        waits.append(begins - arrival)
    return waits


def erlang_c(servers: int, load: float) -> float:
    """Return the share of requests that must wait (Erlang's C), at a load of `load` times what all servers can do."""
    blocked = 1.0  # Erlang's B, server by server
    for each in range(1, servers + 1):
        blocked = servers * load * blocked / (each + servers * load * blocked)
    return blocked / (1 - load * (1 - blocked))


def mean_wait(servers: int, load: float) -> float:
    """Return the mean wait, in mean service times, with exponential service and Poisson arrivals (M/M/c)."""
    return erlang_c(servers, load) / (servers * (1 - load))


def wait_below(servers: int, load: float, share: float) -> float:
    """Return the wait, in mean service times, that a share of all requests does not exceed (M/M/c)."""
    waiting = erlang_c(servers, load)
    return max(0.0, math.log(waiting / (1 - share)) / (servers * (1 - load)))


def poisson(count: int, rate: float, mean_service: float, seed: int) -> list[tuple[float, float]]:
    """Return (arrival, service) of so many requests, both exponential; the same for the same seed.

    Two runs with one seed and two rates have the same draws, only closer together.
    """
    draws = random.Random(seed)
    found, now = [], 0.0
    for _ in range(count):
        now += draws.expovariate(1) / rate
        found.append((now, draws.expovariate(1) * mean_service))
    return found


def mean(values: Iterable[float]) -> float:
    """Return the mean; 0 of nothing."""
    all_of_them = list(values)
    return math.fsum(all_of_them) / len(all_of_them) if all_of_them else 0.0
