"""The first design, as it was proposed: credits in shards, what is in hand in one count beside them, a word on the way.

`world.taken` is the count of what is in hand; a shard's `taken` is not used. It does not hold: see `faults`.
"""

from tests.bpf.interleavings import CAPACITY, Shard, World, begin, done, goto, serve, shard

Mutants = frozenset[str]


def deposits(world: World, me: int, mutants: Mutants) -> World:
    """One step of a CPU."""
    cpu = world.cpus[me]
    if not cpu.at:
        world = begin(world, me)
        at = world.cpus[me].at
        return goto(world, me, "read" if at == "look" else at)
    return _STEPS[cpu.at](world, me, mutants)


def read(world: World, me: int, mutants: Mutants) -> World:
    """An arrival reads whether something waits, both read whether the slow way is ordered."""
    is_arrival = world.cpus[me].todo[0] == "a"
    if is_closed(world) or (is_arrival and world.waiting):
        return goto(world, me, "lock")
    return goto(world, me, "take" if is_arrival else "uncount")


def is_closed(world: World) -> bool:
    """The word: closed while a report or silence has the lock, and while the backend is silent."""
    return world.is_silent or (world.lock >= 0 and world.cpus[world.lock].todo[0] in "rs")


def take(world: World, me: int, mutants: Mutants) -> World:
    old = world.shards[me].free
    return goto(shard(world, me, Shard(old - 1)), me, "count" if old > 0 else "give_back")


def give_back(world: World, me: int, mutants: Mutants) -> World:
    return goto(shard(world, me, Shard(world.shards[me].free + 1)), me, "lock")


def count(world: World, me: int, mutants: Mutants) -> World:
    return done(serve(world._replace(taken=world.taken + 1), me, world.cpus[me].name), me)


def uncount(world: World, me: int, mutants: Mutants) -> World:
    if world.taken <= 0:
        return done(world, me)
    return goto(world._replace(taken=world.taken - 1), me, "deposit")


def deposit(world: World, me: int, mutants: Mutants) -> World:
    world = shard(world, me, Shard(world.shards[me].free + 1))
    return done(world, me) if "deposits without reading" in mutants else goto(world, me, "see")


def see(world: World, me: int, mutants: Mutants) -> World:
    return goto(world, me, "lock", turn=-1) if world.waiting else done(world, me)


def lock(world: World, me: int, mutants: Mutants) -> World:
    if world.lock >= 0:
        return world
    freed = world.cpus[me].turn < 0
    return goto(world._replace(lock=me), me, "gather", turn=0, seen=Shard(int(freed)))


def gather(world: World, me: int, mutants: Mutants) -> World:
    return _gather(world, me, "decide")


def gather_again(world: World, me: int, mutants: Mutants) -> World:
    return _gather(world, me, "second_look")


def _gather(world: World, me: int, then: str) -> World:
    turn = world.cpus[me].turn
    if turn == len(world.shards):
        return goto(world, me, then, turn=0)
    found = world.shards[turn].free
    return goto(shard(world, turn, Shard())._replace(free=world.free + found), me, world.cpus[me].at, turn=turn + 1)


def decide(world: World, me: int, mutants: Mutants) -> World:
    cpu, what = world.cpus[me], world.cpus[me].todo[0]
    if what == "a":
        if world.free > 0 and not world.waiting:
            world = serve(world._replace(free=world.free - 1, taken=world.taken + 1), me, cpu.name)
            return goto(world, me, "restore")
        if len(world.waiting) == ROOM:
            return goto(world._replace(dropped=(*world.dropped, cpu.name)), me, "restore")
        world = world._replace(waiting=(*world.waiting, cpu.name))
        return goto(world, me, "restore" if "no second look" in mutants else "gather_again", turn=0)
    if what == "v":
        return second_look(world, me, mutants)
    if what == "r":
        world = world._replace(free=CAPACITY, taken=0, is_silent=False)
    elif what == "s":
        world = world._replace(free=0, taken=CAPACITY, is_silent=True)
    elif not cpu.seen.free and world.taken > 0 and not world.is_silent:
        world = world._replace(free=world.free + 1, taken=world.taken - 1)
    return second_look(world, me, mutants)


ROOM = 1  # of the queue


def second_look(world: World, me: int, mutants: Mutants) -> World:
    """Give the oldest that wait what is free (a carrier at once, which only helps)."""
    while world.waiting and world.free > 0:
        first, *rest = world.waiting
        world = world._replace(free=world.free - 1, taken=world.taken + 1, waiting=tuple(rest))
        world = serve(world, me, first)
    return goto(world, me, "restore")


def restore(world: World, me: int, mutants: Mutants) -> World:
    world = shard(world, me, Shard(world.shards[me].free + world.free))
    return goto(world._replace(free=0), me, "unlock")


def unlock(world: World, me: int, mutants: Mutants) -> World:
    return done(world._replace(lock=-1), me)


_STEPS = {
    each.__name__: each
    for each in (
        read, take, give_back, count, uncount, deposit, see, lock, gather, gather_again, decide, second_look,
        restore, unlock,
    )
}  # fmt: skip


def kept(world: World) -> str:
    """Say what no moment may show; a thread may be neither free nor taken for a moment, but never both."""
    if world.fault:
        return world.fault
    total = world.free + world.taken + sum(each.free for each in world.shards)
    if total > CAPACITY:
        return f"{total} threads of {CAPACITY}"
    if not any(cpu.todo for cpu in world.cpus) and total != CAPACITY:
        return f"{total} threads of {CAPACITY} in the end"
    return ""
