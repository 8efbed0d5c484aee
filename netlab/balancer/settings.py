"""Sets the balancer up: what its role writes before the first request is taken."""

import socket
from collections.abc import Sequence
from typing import NamedTuple

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.layout import FIRST, IPV4, IPV6, MAX_PAIRS, POLICIES, Config, Entry, map_of
from netlab.errors import NetlabError
from netlab.programs.maps import DEVMAP, LoadedProgram, Map


class Backend(NamedTuple):
    """A backend as the program knows it: where it is, how to reach it, how many threads it has.

    `ipv4` and `ipv6` are its addresses, of which it has at least one; `interface` is the balancer's own, which leads to
    it, with `our_mac`; `mtu` is the smaller of both ends'.
    """

    name: str
    ipv4: str | None
    ipv6: str | None
    mac: str
    interface: str
    our_mac: str
    mtu: int
    capacity: int


class Interface(NamedTuple):
    """One of the balancer's own interfaces, with addresses of both families."""

    name: str
    mac: str
    addresses: tuple[str, ...]

    def packed(self, number: int) -> bytes:
        """Return its `struct interface`; `number` is which of ours it is."""
        first = (next((each for each in self.addresses if (":" in each) is is_6), None) for is_6 in (False, True))
        return layout.INTERFACE.pack(layout.mac(self.mac), number, 1, *map(layout.address, first))


class Settings(NamedTuple):
    """What the balancer is told once, before it takes its first request; `interfaces` are its own.

    With `replies` a backend's reply frees the thread of its request; there are no completions then. To `report_port`,
    if it is not 0, backends may tell their running totals. With `holds` a request is kept until it is
    known to be done, BY_REPORTS or BY_REPLIES, and sent again at most `retries` times.
    """

    service_port: int
    completion_port: int
    policy: str
    backends: tuple[Backend, ...]
    interfaces: tuple[Interface, ...]
    replies: bool = False
    report_port: int = 0
    holds: int = 0
    retries: int = 3


def set_up(pins: str, settings: Settings) -> bool:
    """Write the settings, all threads free, and only then let the program take requests.

    Runs inside the balancer's network namespace, since a devmap's ifindex belongs to that of its writer. When it is
    set up already, that is counted, nothing is done, and False returned: the state must not be written under
    traffic, and policy and backends may have been changed since. NetlabError when it was set up with other ports,
    or otherwise in what stays, or when the program's slots are too small for the links.
    """
    wanted, there = _config(settings), Config.read(pins)
    _check_slots(pins, wanted.longest)
    if there.ready:
        if _fixed(there) != _fixed(wanted):
            raise NetlabError(
                "the balancer runs with other ports, or another completion or on_worker_failure, "
                "or knows in another way what is done; these change by netlab down and netlab up"
            )
        with LoadedProgram.open(paths.program_pin(pins, "resume_run")) as resume:
            resume.test_run(bytes(layout.ETHERNET_HEADER))
        return False
    _write_ourselves(pins, settings)
    for index, backend in enumerate(settings.backends):
        write_backend(pins, index, backend, wanted.pair_interfaces).write(pins, index)
    with map_of(pins, "state") as state:
        free = [backend.capacity for backend in settings.backends]
        rest = [0] * (layout.MAX_BACKENDS * (layout.AGES + 6) - len(free))
        state.set(FIRST, layout.STATE.pack(*[0] * layout.FREE, *free, *rest, b""))
    wanted._replace(ready=0).write(pins)  # the choice of a backend is ready before the first request
    wanted.write(pins)
    return True


def _config(settings: Settings) -> Config:
    count = len(settings.backends)
    return Config(
        ready=1,
        service_port=settings.service_port,
        completion_port=settings.completion_port,
        policy=POLICIES.index(settings.policy),
        backends=count,
        longest=layout.ETHERNET_HEADER + min(backend.mtu for backend in settings.backends),
        replies=int(settings.replies),
        report_port=settings.report_port,
        pair_interfaces=_pair_interfaces(settings),
        families=families(settings.backends),
        holds=settings.holds,
        weights=(1,) * count + (0,) * (layout.MAX_BACKENDS - count),
        retries=settings.retries,
    )


def _fixed(config: Config) -> tuple[int, ...]:
    """Return the settings that stay as long as the lab."""
    return config.service_port, config.completion_port, config.report_port, config.replies, config.holds


def _pair_interfaces(settings: Settings) -> int:
    """Return how many interfaces the pairs of a backend have; 0 when all pairs together would be too many."""
    count = len(settings.interfaces) if settings.replies else 0
    return count if count * len(settings.backends) <= MAX_PAIRS else 0


def families(backends: Sequence[Backend]) -> int:
    """Return the families in which every backend has an address, as bits."""
    ipv4, ipv6 = all(each.ipv4 for each in backends), all(each.ipv6 for each in backends)
    return IPV4 * ipv4 | IPV6 * ipv6


def _check_slots(pins: str, longest: int) -> None:
    with map_of(pins, "slots") as slots:
        room = slots.value_size - layout.SLOT_HEADER.size
    if room < longest:
        raise NetlabError(f"the queue was compiled for frames of {room} bytes; the backends' links carry {longest}")


def _write_ourselves(pins: str, settings: Settings) -> None:
    with map_of(pins, "local_addresses") as local:
        for address in (address for ours in settings.interfaces for address in ours.addresses):
            local.set(layout.address(address), b"\1")
    with (
        map_of(pins, "interfaces") as interfaces,
        map_of(pins, "doors") as doors,
        LoadedProgram.open(paths.program_pin(pins, "egress_devmap")) as egress,
    ):
        for number, ours in enumerate(settings.interfaces):
            ifindex = socket.if_nametoindex(ours.name)
            interfaces.set(layout.key(ifindex), ours.packed(number))
            doors.set(layout.key(ifindex), layout.DEVMAP_ENTRY.pack(ifindex, egress.fd))


def write_backend(pins: str, index: int, backend: Backend, pair_interfaces: int) -> Entry:
    """Write a backend, with a weight of 1, and the devmaps of carriers to it: its own and its pairs.

    All but its name, by which it is a backend: that is written with the entry that this returns, when all is there.
    """
    addresses = layout.address(backend.ipv4), layout.address(backend.ipv6)
    ifindex = socket.if_nametoindex(backend.interface)
    macs = layout.mac(backend.mac), layout.mac(backend.our_mac)
    entry = Entry(*addresses, ifindex, backend.capacity, 1, *macs, backend.name)
    entry._replace(name="").write(pins, index)
    with (
        map_of(pins, "backend_at") as index_of,
        map_of(pins, "interfaces") as interfaces,
        map_of(pins, "carriers") as carriers,
        map_of(pins, "pairs") as pairs,
        LoadedProgram.open(paths.program_pin(pins, "egress_devmap")) as egress,
    ):
        _write_pair(carriers, index, egress, ifindex, ifindex)
        for client, _ in socket.if_nameindex() if pair_interfaces else ():
            if client >= layout.MAX_INTERFACES:  # none of ours: they have doors
                continue
            _, number, in_use, *_ = layout.INTERFACE.unpack(interfaces.get(layout.key(client)))
            pair = index * pair_interfaces + number
            if in_use and client != ifindex and pair < MAX_PAIRS:
                _write_pair(pairs, pair, egress, ifindex, client)
        for address in filter(any, addresses):
            index_of.set(address, layout.key(index))
    return entry


def _write_pair(into: Map, at: int, egress: LoadedProgram, first: int, last: int) -> None:
    """Put a devmap with two doors into a map of maps."""
    with Map.create(DEVMAP, 4, layout.DEVMAP_ENTRY.size, 2) as pair:
        for place, ifindex in enumerate((first, last)):
            pair.set(layout.key(place), layout.DEVMAP_ENTRY.pack(ifindex, egress.fd))
        into.set(layout.key(at), layout.key(pair.fd))
