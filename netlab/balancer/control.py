"""Changes a balancer while requests come in: its policy and weights, who joins, who leaves.

The settings are in a map of their own. The program reads each word of it once for each decision, so a decision that is
made during a change follows the old word or the new one. Only the program's own code changes counts, under its lock.
After a change carriers fetch the requests that wait: a thread that counts again sends no completion.
"""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.counters import snapshot
from netlab.balancer.healer import Healer, carrier
from netlab.balancer.holds import Keeper
from netlab.balancer.layout import IPV4, IPV6, Config, Entry, entries, map_of
from netlab.balancer.reports import absent
from netlab.balancer.settings import Backend, families, write_backend, write_carriers, write_networks
from netlab.errors import NetlabError, UsageError
from netlab.kernel import syscalls
from netlab.programs.maps import LoadedProgram

MAX_WEIGHT = 1000
_LOOK_S = 0.05


def set_policy(pins: str, policy: str) -> None:
    """Set the policy by which the program chooses among free backends, from the next request on."""
    _config(pins)._replace(policy=policy).write(pins)


def drain(pins: str, names: Sequence[str]) -> None:
    """Send these backends no more requests; they finish what they have."""
    config = _config(pins)
    config.sharing(dict.fromkeys(_found(pins, config, names), 0)).write(pins)


def undrain(pins: str, names: Sequence[str], netns: str = "") -> None:
    """Send these backends requests again, with the weights that they had; for `netns` see `add`."""
    config = _config(pins)
    config.sharing({index: entry.weight for index, entry in _found(pins, config, names).items()}).write(pins)
    _inside(netns, Healer(pins).kick)


def set_weight(pins: str, names: Sequence[str], weight: int) -> None:
    """Give backends a weight, from 1 to MAX_WEIGHT. A drained one stays drained, and has this weight afterwards."""
    config = _config(pins)
    found = _found(pins, config, names)
    for index, entry in found.items():
        entry._replace(weight=weight).write(pins, index)
    config.sharing({index: weight for index in found if config.weights[index]}).write(pins)


def add(pins: str, backends: Sequence[Backend], netns: str = "") -> None:
    """Add backends, with all their threads free.

    Devmaps and carriers belong to the network namespace of the process that writes them. `netns` is the file of the
    balancer's namespace; without it, the caller is in that namespace. The calling thread stays where it is.

    Raises UsageError if one of them is a backend already. Raises NetlabError if there is no room, or if one cannot take
    what the others take: a request that waits must suit whichever thread becomes free. Nothing has changed then.
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
        config = join(pins, config, index, backend)
    Healer(pins).kick()


def join(pins: str, config: Config, index: int, backend: Backend, weight: int = 1, *, drained: bool = False) -> Config:
    """Put a backend into an unused place. Its weight, which makes it count, is written last."""
    _vacate(pins, config, index)
    write_carriers(pins, {index: socket.if_nametoindex(backend.interface)}, config.pair_interfaces)
    entry = write_backend(pins, index, backend)._replace(weight=weight)
    write_networks(pins, entry.ifindex, [*entries(pins, config).values(), entry], backend.networks)
    with LoadedProgram.open(paths.program_pin(pins, "begin_run")) as begin:
        begin.test_run(carrier(entry))
    entry.write(pins, index)  # with its name; if we are killed here, it is a backend that gets no requests
    config = config._replace(backends=max(config.backends, index + 1)).sharing({index: 0 if drained else weight})
    config.write(pins)
    return config


def _vacate(pins: str, config: Config, index: int) -> None:
    """Forget all that belonged to the last backend in a place; requests that it held go back into the queue.

    What was read of its reports may stay, as it is stored with its incarnation.
    """
    if config.holds:
        Keeper(pins).put_back(index)
    with map_of(pins, "reporters") as reporters:
        reporters.set(layout.key(index), bytes(reporters.value_size))
    with map_of(pins, "backend_at") as index_of:
        known = list(index_of.keys())
        for address in (each for each in known if index_of.get(each) == layout.key(index)):
            index_of.delete(address)  # left by an add that was killed
    with map_of(pins, "flows") as flows:
        there, key_of = list(flows.keys()), layout.types(pins).struct("flow_key")
        for flow in (each for each in there if key_of.get(each, "backend") == index):
            with suppress(KeyError):  # the program has removed it meanwhile
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
    """Drain backends, wait until they have no requests, and remove them; with `now`, do not wait.

    What they send afterwards comes from strangers. Raises NetlabError if they are not done within `deadline_s` seconds;
    they are drained then, but not removed.
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
    forget(pins, found)


def forget(pins: str, found: Mapping[int, Entry]) -> None:
    """Remove backends that are drained, by index."""
    others = [entry for index, entry in entries(pins, _config(pins)).items() if index not in found]
    for ifindex in {entry.ifindex for entry in found.values()}:
        write_networks(pins, ifindex, others)
    with map_of(pins, "backend_at") as index_of:
        for index, entry in found.items():
            for address in filter(any, (entry.ipv4, entry.ipv6)):
                with suppress(KeyError):  # gone by an earlier remove, or never there by an add, that was killed
                    index_of.delete(address)
            entry._replace(name="").write(pins, index)


def in_hand(pins: str, names: Sequence[str]) -> dict[str, int]:
    """Return how many threads are taken of each of these backends that has such threads.

    Absent backends are left out. All their threads count as taken, and no completion frees one.
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


def drained(pins: str) -> set[str]:
    """Return the backends that get no requests, as somebody has drained them."""
    config = _config(pins)
    return {entry.name for index, entry in entries(pins, config).items() if not config.weights[index]}


def backends(pins: str) -> set[str]:
    """Return the names of all backends."""
    return {entry.name for entry in entries(pins, _config(pins)).values()}
