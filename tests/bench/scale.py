"""What a packet costs with many backends, many threads, and a long queue."""

from tests.bench.measure import Aim, Part, Table
from tests.bench.rounds import Recorder, Rounds, balancer, counted, finished, on_one_cpu, sized, wrapper
from tests.bpf.rig import Rig

BACKENDS = (3, 10, 30, 100, 128)
THREADS = (1_000, 10_000, 60_000)  # of each of three backends
DEPTHS = (0, 1_000, 10_000, 98_000)
LONGEST = 100_000
BATCH = 1_000
FORWARD, COMPLETE, QUEUE, DEQUEUE = "forward", "completion", "queue", "dequeue"


def steps(rounds: Rounds, rig: Rig, base: float, tries: int, size: int = 64) -> dict[str, float]:
    """Measure a batch of each, from a balancer that has at least a batch of free threads on its first backend."""
    packet = sized(size)
    begun = rig.now()
    threads = sum(begun.free.values())
    found: dict[str, float] = {}
    for _ in range(tries):
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


def by_backends(count: int, tries: int) -> Table:
    """Measure more and more backends, and then more and more threads of three."""
    recorder = Recorder()
    cases = [(f"{number} backends", number, BATCH) for number in BACKENDS]
    cases += [(f"3 backends, {3 * threads:,} threads", 3, threads) for threads in THREADS[1:]]
    with balancer(TRACE=0) as rig, wrapper() as rounds, on_one_cpu():
        for _ in range(count):
            base = rounds.base()
            for name, backends, threads in cases:
                rig.reset(backends=backends, capacity=threads)
                for column, value in steps(rounds, rig, base, tries).items():
                    recorder.add(name, column, value)
    intro = """\
A thousand threads each, unless said otherwise. The backends are the leaves of a tournament tree, in which each node has
the better of two: who is chosen stands at its root, and a thread that is taken or given back concerns one node on each
level, of which three backends have two and 128, the most there can be, seven. Threads are a count, and cost nothing."""
    aims = (Aim(FORWARD, "100 backends", "3 backends", 1.3),)
    units = dict.fromkeys((FORWARD, QUEUE, DEQUEUE, COMPLETE), "ns")
    return Table("Backends and threads", units, recorder.samples, aims, intro=intro)


def by_depth(count: int) -> Table:
    """Measure a queue of 100,000 at more and more depth."""
    recorder = Recorder()
    with balancer(LONGEST, TRACE=0) as rig, wrapper() as rounds, on_one_cpu():
        rig.reset(capacity=BATCH)
        for _ in range(count):
            base = rounds.base()
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
    return Part("Scale", (text,), (by_backends(*((3, 3) if quick else (9, 8))), by_depth(3 if quick else 15)))
