"""An impairment in the words in which a topology has it: `delay 20ms, loss 1%`. Pure."""

from collections.abc import Iterator

from netlab.topology.impairment import BURSTS, EVERY, INDEPENDENT, MILLION, NUMBERS, Choice, Impairment

_TIMES = ((10**9, "s"), (10**6, "ms"), (10**3, "us"), (1, "ns"))
_RATES = ((10**9, "gbit"), (10**6, "mbit"), (10**3, "kbit"), (1, "bit"))
_SIZES = ((10**6, "MB"), (10**3, "kB"), (1, "B"))
_SHOWN = 5  # numbers of packets


def time(ns: int) -> str:
    """Return a time with its unit."""
    return _with_unit(ns, _TIMES)


def rate(bits: int) -> str:
    """Return bits per second with their unit."""
    return _with_unit(bits, _RATES)


def size(count: int) -> str:
    """Return bytes with their unit."""
    return _with_unit(count, _SIZES)


def share(chance: int) -> str:
    """Return millionths as percent."""
    return f"{chance * 100 / MILLION:.4f}".rstrip("0").rstrip(".") + "%"


def choice(chosen: Choice) -> str:
    """Return which packets something happens to."""
    if chosen.model == INDEPENDENT:
        return share(chosen.chance)
    if chosen.model == EVERY:
        return f"every {chosen.every}"
    if chosen.model == NUMBERS:
        more = ", …" if chosen.numbers[_SHOWN:] else ""
        return f"numbers {', '.join(map(str, chosen.numbers[:_SHOWN]))}{more}"
    if chosen.model == BURSTS:
        states = f"p {share(chosen.worsens)} r {share(chosen.recovers)}"
        return f"{BURSTS} {states} bad {share(chosen.bad_chance)} good {share(chosen.chance)}"
    return "none"


def parts(found: Impairment, *, seed: bool = True) -> Iterator[str]:
    """Yield what an impairment does, a word and its value each; its seed, too, if chance has a part in it."""
    if found.delay_ns:
        yield f"delay {time(found.delay_ns)}"
    if found.jitter_ns:
        yield f"jitter {time(found.jitter_ns)}"
    chosen = {key: getattr(found, key) for key in ("loss", "duplicate", "reorder", "corrupt")}
    yield from (f"{key} {choice(value)}" for key, value in chosen.items() if value.model)
    if found.rate:
        yield f"rate {rate(found.rate)}"
    if found.queue_bytes:
        yield f"queue {size(found.queue_bytes)}"
    by_chance = (
        found.jitter_ns or found.corrupt.model or {each.model for each in chosen.values()} & {INDEPENDENT, BURSTS}
    )
    if seed and found.seed and by_chance:
        yield f"seed {found.seed}"


def words(found: Impairment, *, seed: bool = True) -> str:
    """Return all that an impairment does; `nothing` for one that carries packets as a plain link does."""
    return ", ".join(parts(found, seed=seed)) or "nothing"


def _with_unit(value: int, units: tuple[tuple[int, str], ...]) -> str:
    """Return a number with the largest unit in which it is at least 1, exactly."""
    factor, unit = next((each for each in units if value >= each[0]), units[-1])
    whole, rest = divmod(value, factor)
    part = f".{rest * 10**9 // factor:09d}".rstrip("0") if rest else ""
    return f"{whole}{part}{unit}"
