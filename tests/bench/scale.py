"""What a packet costs with many backends, many threads, and a long queue."""

from tests.bench.datapath import Recorder, Rounds, balancer, counted, finished, sized, wrapper
from tests.bench.measure import Part, Table
from tests.bpf.rig import Rig

BACKENDS = (3, 10, 30, 100, 128)
THREADS = (1_000, 10_000, 60_000)  # of each of three backends
DEPTHS = (0, 1_000, 10_000, 98_000)
LONGEST = 100_000
BATCH = 1_000
TRIES = 3
FORWARD, COMPLETE, QUEUE, DEQUEUE = "forward", "completion", "queue", "dequeue"


def steps(rounds: Rounds, rig: Rig, base: float, size: int = 64) -> dict[str, float]:
    """Measure a batch of each, from a balancer that has at least a batch of free threads on its first backend."""
    packet = sized(size)
    begun = rig.now()
    threads = sum(begun.free.values())
    found: dict[str, float] = {}
    for _ in range(TRIES):
        rig.again()
        tried = {FORWARD: rounds.cost(rig.program, packet, BATCH)}
        rounds.cost(rig.program, packet, threads - BATCH)
        tried[QUEUE] = rounds.cost(rig.program, packet, BATCH)
        rounds.cost(rig.program, finished(1), BATCH)  # the carriers' threads
        tried[DEQUEUE] = rounds.cost(rig.egress, finished(1), BATCH)
        tried[COMPLETE] = rounds.cost(rig.program, finished(1), BATCH)
        found = {name: min(value - base, found.get(name, value)) for name, value in tried.items()}
    wanted = {
        "FORWARDED": threads,
        "QUEUED": BATCH,
        "COMPLETION_CARRIED": BATCH,
        "COMPLETION_FREED": BATCH,
        "CARRIER_SENT": BATCH,
    }
    assert counted(rig) == wanted, f"counted {counted(rig)}, not {wanted}"
    return found


def by_backends(count: int) -> Table:
    """Measure more and more backends, and then more and more threads of three."""
    recorder = Recorder()
    cases = [(f"{number} backends", number, BATCH) for number in BACKENDS]
    cases += [(f"3 backends, {3 * threads:,} threads", 3, threads) for threads in THREADS[1:]]
    with balancer(TRACE=0) as rig, wrapper() as rounds, rounds.own("nothing") as nothing:
        for _ in range(count):
            base = rounds.cheapest(nothing, sized(64))
            for name, backends, threads in cases:
                rig.reset(backends=backends, capacity=threads)
                for column, value in steps(rounds, rig, base).items():
                    recorder.add(name, column, value)
    intro = """\
A thousand threads each, unless said otherwise. A free thread is looked for among all backends under the lock, so a
request that is forwarded costs some nanoseconds more with each of them; there are 128 at most. Nobody looks for a
thread while others wait: queueing does not grow, nor does what frees a thread, or takes one of a given backend. Threads
are a count, and cost nothing."""
    return Table(
        "Backends and threads", dict.fromkeys((FORWARD, QUEUE, DEQUEUE, COMPLETE), "ns"), recorder.samples, intro=intro
    )


def by_depth(count: int) -> Table:
    """Measure a queue of 100,000 at more and more depth."""
    recorder = Recorder()
    with balancer(LONGEST, TRACE=0) as rig, wrapper() as rounds, rounds.own("nothing") as nothing:
        rig.reset(capacity=BATCH)
        for _ in range(count):
            base = rounds.cheapest(nothing, sized(64))
            for size in (64, 1514):
                rig.again()
                packet = sized(size)
                rounds.cost(rig.program, packet, 3 * BATCH)  # now no thread is free
                for before, depth in zip((0, *DEPTHS), DEPTHS, strict=False):
                    if depth > before:
                        rounds.cost(rig.program, packet, depth - before)
                    row = f"{depth:,} waiting"
                    recorder.add(row, f"{QUEUE}, {size} bytes", rounds.cost(rig.program, packet, BATCH) - base)
                    rounds.cost(rig.program, finished(1), BATCH)
                    recorder.add(row, f"{DEQUEUE}, {size} bytes", rounds.cost(rig.egress, finished(1), BATCH) - base)
                assert rig.now().depth == DEPTHS[-1], rig.now()
    units = dict.fromkeys([f"{step}, {size} bytes" for size in (64, 1514) for step in (QUEUE, DEQUEUE)], "ns")
    intro = """\
A queue for 100,000 requests, three backends. Ends of a ring and a stack of unused slots are all that is touched,
however many wait. What is left of growth is the CPU's caches: a request that has waited long is no longer in them."""
    return Table("A long queue", units, recorder.samples, intro=intro)


def measure(quick: bool) -> Part:
    """Measure all of it."""
    text = "In the kernel, as in the data path: trace compiled out, the wrapper's own cost taken off."
    return Part("Scale", (text,), (by_backends(2 if quick else 7), by_depth(2 if quick else 15)))
