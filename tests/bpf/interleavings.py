"""Every interleaving of a few CPUs at a balancer whose free threads lie in shards: a model, not the program.

A CPU does its steps in order; each step is one atomic access, and any CPU may be next. Memory is sequentially
consistent here: docs/adr/0044 says why the machine's own order does not matter.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

CAPACITY = 2


class Shard(NamedTuple):
    """The threads that a CPU may give away or take back by itself."""

    free: int = 0
    taken: int = 0


class Cpu(NamedTuple):
    """What is left to do, where in the first of these it is, and what it remembers."""

    todo: str
    at: str = ""
    turn: int = 0
    seen: Shard = Shard()
    name: int = 0
    older: tuple[int, ...] = ()


class World(NamedTuple):
    """All that the CPUs share, and what an onlooker knows."""

    cpus: tuple[Cpu, ...]
    shards: tuple[Shard, ...]
    lock: int = -1
    free: int = 0  # under the lock
    taken: int = 0
    waiting: tuple[int, ...] = ()
    carriers: int = 0
    arrived: int = 0
    served: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    is_silent: bool = False
    in_hand: int = 0  # requests that the backend has, as far as completions and reports tell
    fault: str = ""


Step = Callable[[World, int, frozenset[str]], World]


def put(world: World, me: int, cpu: Cpu) -> World:
    return world._replace(cpus=(*world.cpus[:me], cpu, *world.cpus[me + 1 :]))


def goto(world: World, me: int, at: str, **more: object) -> World:
    return put(world, me, world.cpus[me]._replace(at=at, **more))  # type: ignore[arg-type]


def done(world: World, me: int) -> World:
    return put(world, me, Cpu(world.cpus[me].todo[1:]))


def shard(world: World, number: int, value: Shard) -> World:
    return world._replace(shards=(*world.shards[:number], value, *world.shards[number + 1 :]))


def serve(world: World, me: int, name: int) -> World:
    """Note that a request has got a thread; none may wait that did so before this one came."""
    older = world.cpus[me].older if name == world.cpus[me].name else ()
    if set(older) & set(world.waiting) - {name}:
        world = world._replace(fault="it overtakes what waits")
    return world._replace(served=(*world.served, name), in_hand=world.in_hand + 1)


# ---- leases: one word for each CPU and backend; every step outside the lock is one compare-and-swap of it ----


def lease(world: World, me: int, mutants: frozenset[str]) -> World:
    """One step of a CPU."""
    cpu = world.cpus[me]
    if not cpu.at:
        return begin(world, me)
    return _LEASE[cpu.at](world, me, mutants)


def begin(world: World, me: int) -> World:
    """Begin with what is next.

    `a` is an arrival, `c` a completion, `v` a carrier, `r` a report that all threads are free, `s` silence.
    """
    what = world.cpus[me].todo[0]
    if what == "a":
        world = world._replace(arrived=world.arrived + 1)
        return goto(world, me, "look", name=world.arrived, older=world.waiting)
    return goto(world, me, "look" if what == "c" else "lock")


def look(world: World, me: int, mutants: frozenset[str]) -> World:
    """Read the own word; nothing in it is the slow path."""
    own, is_arrival = world.shards[me], world.cpus[me].todo[0] == "a"
    if "deposits what it does not have" in mutants and not is_arrival:
        return goto(world, me, "swap", seen=own)
    return goto(world, me, "swap" if (own.free if is_arrival else own.taken) else "lock", seen=own)


def swap(world: World, me: int, mutants: frozenset[str]) -> World:
    """Change the word if it is as it was read; otherwise take the slow path."""
    cpu, by = world.cpus[me], -1 if world.cpus[me].todo[0] == "a" else 1
    if world.shards[me] != cpu.seen and "stale word" not in mutants:
        return goto(world, me, "lock")
    world = shard(world, me, Shard(cpu.seen.free + by, cpu.seen.taken - by))
    world = serve(world, me, cpu.name) if by < 0 else world._replace(in_hand=world.in_hand - 1)
    return done(world, me)


def lock(world: World, me: int, mutants: frozenset[str]) -> World:
    """Take the lock, if nobody has it."""
    if world.lock >= 0:
        return world
    at = "decide" if "decides without gathering" in mutants else "gather"
    return goto(world._replace(lock=me), me, at, turn=0)


def gather(world: World, me: int, mutants: frozenset[str]) -> World:
    """Take all from one CPU's word after the other."""
    turn = world.cpus[me].turn
    if turn == len(world.shards):
        return goto(world, me, "decide", turn=0)
    if "gathers in two steps" in mutants:
        return goto(world, me, "clear", seen=world.shards[turn])
    found = world.shards[turn]
    world = shard(world, turn, Shard())._replace(free=world.free + found.free, taken=world.taken + found.taken)
    return goto(world, me, "gather", turn=turn + 1)


def clear(world: World, me: int, mutants: frozenset[str]) -> World:
    """The second of the mutant's two steps."""
    turn, found = world.cpus[me].turn, world.cpus[me].seen
    world = shard(world, turn, Shard())._replace(free=world.free + found.free, taken=world.taken + found.taken)
    return goto(world, me, "gather", turn=turn + 1)


def decide(world: World, me: int, mutants: frozenset[str]) -> World:
    """Do what today's balancer does under its lock."""
    cpu, what = world.cpus[me], world.cpus[me].todo[0]
    if what == "a":
        if world.free and not world.waiting:
            world = serve(world._replace(free=world.free - 1, taken=world.taken + 1), me, cpu.name)
        else:
            world = world._replace(waiting=(*world.waiting, cpu.name))
    elif what == "v":
        if world.free and world.waiting:
            first, *rest = world.waiting
            world = world._replace(free=world.free - 1, taken=world.taken + 1, waiting=tuple(rest))
            world = serve(world, me, first)
    else:
        if what == "r":
            world = world._replace(free=world.free + world.taken, taken=0, in_hand=0, is_silent=False)
        elif what == "s":
            world = world._replace(free=0, taken=CAPACITY, in_hand=CAPACITY, is_silent=True)
        elif world.taken and not world.is_silent:
            world = world._replace(free=world.free + 1, taken=world.taken - 1, in_hand=world.in_hand - 1)
        carries = world.free if world.waiting else 0
        world = put(world, me, cpu._replace(todo=what + "v" * carries + cpu.todo[1:]))
    lends = not (world.waiting or world.is_silent) or "lends while something waits" in mutants
    return goto(world, me, "lend" if lends else "unlock", turn=0)


def lend(world: World, me: int, mutants: frozenset[str]) -> World:
    """Give each CPU's word its part, the own one first, and nothing that is not there."""
    order = (me, *(other for other in range(len(world.shards)) if other != me))
    turn = world.cpus[me].turn
    if turn == len(order):
        return goto(world, me, "unlock")
    free, taken = world.free - world.free // 2, world.taken - world.taken // 2
    keeps = "keeps what it lends" in mutants
    world = shard(world, order[turn], Shard(free, taken))
    if not keeps:
        world = world._replace(free=world.free - free, taken=world.taken - taken)
    return goto(world, me, "lend", turn=turn + 1)


def unlock(world: World, me: int, mutants: frozenset[str]) -> World:
    return done(world._replace(lock=-1), me)


_LEASE: dict[str, Step] = {each.__name__: each for each in (look, swap, lock, gather, clear, decide, lend, unlock)}


def kept(world: World) -> str:
    """Say what no moment may show: free and taken threads are together the capacity, whatever anybody does."""
    if world.fault:
        return world.fault
    total = world.free + world.taken + sum(each.free + each.taken for each in world.shards)
    if total != CAPACITY:
        return f"{total} threads of {CAPACITY}"
    if world.taken + sum(each.taken for each in world.shards) != world.in_hand:
        return "a thread is taken that has nothing, or the other way round"
    if world.is_silent and world.lock < 0 and (world.free or any(each.free for each in world.shards)):
        return "a thread of a silent backend is free"
    if world.free < 0 or any(min(each) < 0 for each in world.shards):
        return "less than nothing"
    return ""


def ended(world: World) -> str:
    """Say what may not be when nothing is under way: a request that waits beside a free thread, or is lost."""
    free = world.free + sum(each.free for each in world.shards)
    if world.waiting and free > 0:
        return "stranded"
    if sorted((*world.served, *world.waiting, *world.dropped)) != list(range(1, world.arrived + 1)):
        return "lost or doubled"
    return ""


def faults(
    step: Step, world: World, mutants: frozenset[str] = frozenset(), kept: Callable[[World], str] = kept
) -> tuple[str, int]:
    """Walk through all interleavings; return the first fault, or nothing, and how many states there are."""
    known, left = {world}, [world]
    while left:
        at = left.pop()
        fault = kept(at) or ("" if any(cpu.todo for cpu in at.cpus) else ended(at))
        if fault:
            return fault, len(known)
        for me, cpu in enumerate(at.cpus):
            if cpu.todo:
                after = step(at, me, mutants)
                if after not in known:
                    known.add(after)
                    left.append(after)
    return "", len(known)


def worlds(*plays: tuple[str, ...], shards: tuple[tuple[Shard, ...], ...]) -> Iterator[World]:
    """Yield each play from each beginning; `w` before a play lets one request wait, with all threads taken."""
    for play in plays:
        for begins in shards:
            cpus = tuple(Cpu(each) for each in play)
            dealt = (begins + (Shard(),) * len(cpus))[: len(cpus)]
            yield World(cpus, dealt, in_hand=sum(each.taken for each in dealt))
