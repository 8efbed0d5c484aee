"""Changes a balancer while requests come in: who gets how many of them, by which policy, who joins, who leaves.

Configuration is in a map of its own, each word of which is read once a decision. Counts change only by the program's
own code, under its lock. A request that is decided upon while a word changes goes by the old one or the new one; what
waits then is sent on by carriers, since a thread that counts again has no completion to announce it.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.counters import snapshot
from netlab.balancer.healer import Healer, carrier
from netlab.balancer.holds import Keeper
from netlab.balancer.layout import IPV4, IPV6, Config, Entry, entries, map_of
from netlab.balancer.reports import absent
from netlab.balancer.settings import Backend, families, write_backend, write_networks
from netlab.errors import NetlabError, UsageError
from netlab.kernel import syscalls
from netlab.programs.maps import LoadedProgram

MAX_WEIGHT = 1000
_LOOK_S = 0.05


def set_policy(pins: str, policy: str) -> None:
    """Choose among free backends by another policy, from the next request on."""
    _config(pins)._replace(policy=policy).write(pins)


def drain(pins: str, names: Sequence[str]) -> None:
    """Send these backends no more requests; those in hand are finished."""
    config = _config(pins)
    config.sharing(dict.fromkeys(_found(pins, config, names), 0)).write(pins)


def undrain(pins: str, names: Sequence[str], netns: str = "") -> None:
    """Send these backends requests again, with the weight that they had; for `netns` see `add`."""
    config = _config(pins)
    config.sharing({index: entry.weight for index, entry in _found(pins, config, names).items()}).write(pins)
    _inside(netns, Healer(pins).kick)


def set_weight(pins: str, names: Sequence[str], weight: int) -> None:
    """Give backends a weight, from 1 to MAX_WEIGHT; one that is drained stays so, and has it afterwards."""
    config = _config(pins)
    found = _found(pins, config, names)
    for index, entry in found.items():
        entry._replace(weight=weight).write(pins, index)
    config.sharing({index: weight for index in found if config.weights[index]}).write(pins)


def add(pins: str, backends: Sequence[Backend], netns: str = "") -> None:
    """Let backends take part, with all their threads free.

    Devmaps and carriers belong to the network namespace of whoever writes them: `netns` is the file of the balancer's,
    and the calling thread stays where it is; without it, that is in the balancer's. Raises UsageError when one of them
    is a backend already, NetlabError when there is no room, or when one cannot take what the others take: a request
    that waits must suit whichever thread becomes free. Nothing has changed then.
    """
    config = _config(pins)
    there = entries(pins, config)
    names = {entry.name for entry in there.values()}
    for backend in backends:
        if backend.name in names:
            raise UsageError(f"{backend.name} is a backend already")
        _check_suits(config, backend)
    most = len(config.weights)
    places = sorted(set(range(most)) - set(there))
    if len(places) < len(backends):
        raise NetlabError(f"there is room for {len(places)} more backends, {most} in all")
    _inside(netns, lambda: _join_all(pins, config, list(zip(places, backends, strict=False))))


def _inside(netns: str, work: Callable[[], object]) -> None:
    if netns:
        syscalls.inside(netns, work)
    else:
        work()


def _join_all(pins: str, config: Config, places: Sequence[tuple[int, Backend]]) -> None:
    for index, backend in places:
        config = _join(pins, config, index, backend)
    Healer(pins).kick()


def _join(pins: str, config: Config, index: int, backend: Backend) -> Config:
    """Let a backend take an unused place: all of it is there before its weight says that it is."""
    _vacate(pins, config, index)
    entry = write_backend(pins, index, backend, config.pair_interfaces)
    write_networks(pins, entry.ifindex, [*entries(pins, config).values(), entry], backend.networks)
    with LoadedProgram.open(paths.program_pin(pins, "begin_run")) as begin:
        begin.test_run(carrier(entry))
    entry.write(pins, index)  # with its name: one that is cut off here is a backend without requests
    config = config._replace(backends=max(config.backends, index + 1)).sharing({index: entry.weight})
    config.write(pins)
    return config


def _vacate(pins: str, config: Config, index: int) -> None:
    """Let nothing of whoever had a place before pass for the next one's; what is held for it waits again.

    What was read of its reports may stay: that is kept with the incarnation that it is of.
    """
    if config.holds:
        Keeper(pins).put_back(index)
    with map_of(pins, "reporters") as reporters:
        reporters.set(layout.key(index), bytes(reporters.value_size))
    with map_of(pins, "backend_at") as index_of:
        known = list(index_of.keys())
        for address in (each for each in known if index_of.get(each) == layout.key(index)):
            index_of.delete(address)  # left by an add that was cut off
    with map_of(pins, "flows") as flows:
        there, key_of = list(flows.keys()), layout.types(pins).struct("flow_key")
        for flow in (each for each in there if key_of.get(each, "backend") == index):
            with suppress(KeyError):  # forgotten meanwhile
                flows.delete(flow)


def _check_suits(config: Config, backend: Backend) -> None:
    longest = config.longest - layout.ETHERNET_HEADER
    if backend.mtu < longest:
        raise NetlabError(
            f"{backend.name}'s link carries packets of {backend.mtu} bytes; the others' carry {longest}, and requests "
            "of that length may wait"
        )
    for family, name in ((IPV4, "IPv4"), (IPV6, "IPv6")):
        if family in config.families - families([backend]):
            raise NetlabError(f"{backend.name} has no {name} address, as the other backends have")


def remove(pins: str, names: Sequence[str], deadline_s: float, now: bool) -> None:
    """Drain backends, wait until they have nothing in hand, and forget them; with `now`, do not wait.

    What comes from them afterwards is from strangers. Raises NetlabError when they are not done within the deadline,
    in seconds; they are drained then, and still backends.
    """
    config = _config(pins)
    found = _found(pins, config, names)
    if len(found) == len(entries(pins, config)):
        raise UsageError("these are all backends that there are; drain them instead")
    drain(pins, names)
    deadline = time.monotonic() + deadline_s
    while not now and (left := in_hand(pins, names)):
        if time.monotonic() > deadline:
            what = ", ".join(f"{name} {count}" for name, count in left.items())
            raise NetlabError(f"requests in hand after {deadline_s:g} s: {what}; drained, but not removed (see --now)")
        time.sleep(_LOOK_S)
    others = [entry for index, entry in entries(pins, config).items() if index not in found]
    for ifindex in {entry.ifindex for entry in found.values()}:
        write_networks(pins, ifindex, others)
    with map_of(pins, "backend_at") as index_of:
        for index, entry in found.items():
            for address in filter(any, (entry.ipv4, entry.ipv6)):
                with suppress(KeyError):  # by an earlier remove, or an add, that was cut off
                    index_of.delete(address)
            entry._replace(name="").write(pins, index)


def in_hand(pins: str, names: Sequence[str]) -> dict[str, int]:
    """Return how many threads are taken, of those backends that have any.

    An absent backend is left out: all its threads count as taken whatever it has, and no completion frees one.
    """
    now, gone = snapshot(pins), absent(pins)
    return {name: count for name in names if name not in gone and (count := now.capacity[name] - now.free[name])}


def _config(pins: str) -> Config:
    config = Config.read(pins)
    if not config.ready:
        raise NetlabError("the balancer is not set up yet; its role does that")
    return config


def _found(pins: str, config: Config, names: Sequence[str]) -> dict[int, Entry]:
    """Return the backends of these names by index, or raise a UsageError that says which there are."""
    there = entries(pins, config)
    known = {entry.name for entry in there.values()}
    for name in names:
        if name not in known:
            raise UsageError(f"{name} is no backend; there are {', '.join(sorted(known))}")
    return {index: entry for index, entry in there.items() if entry.name in names}
