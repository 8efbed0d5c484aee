"""Sets the balancer up: all that its role writes before the program takes requests."""

import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice

from netlab import paths
from netlab.balancer import layout
from netlab.balancer.layout import FIRST, IPV4, IPV6, Config, Entry, map_of
from netlab.errors import NetlabError
from netlab.named_tuple import NamedTuple
from netlab.programs.maps import DEVMAP, LoadedProgram, Map

_DEVMAPS_AT_ONCE = 64  # each is an open file meanwhile


class Backend(NamedTuple):
    """A backend: how to reach it, and how many threads it has (`capacity`).

    It has at least one of `ipv4` and `ipv6`. `interface` is the balancer's interface that leads to it; `our_mac` is its
    MAC. `mtu` is the smaller one of both ends. `networks` are those of that interface that the backend is in.
    """

    name: str
    ipv4: str | None
    ipv6: str | None
    mac: str
    interface: str
    our_mac: str
    mtu: int
    capacity: int
    networks: tuple[str, ...] = ()


class Interface(NamedTuple):
    """One of the balancer's own interfaces, with its addresses of both families."""

    name: str
    mac: str
    addresses: tuple[str, ...]

    def fields(self, number: int) -> dict[str, bytes | int]:
        """Return the fields of its `struct interface`; `number` is its place among ours."""
        ipv4, ipv6 = (next((each for each in self.addresses if (":" in each) is is_6), None) for is_6 in (False, True))
        first = {"ipv4": layout.address(ipv4), "ipv6": layout.address(ipv6)}
        return {"mac": layout.mac(self.mac), "number": number, "in_use": 1, **first}


class Settings(NamedTuple):
    """What the balancer is told once, before it takes its first request; `interfaces` are its own.

    `replies`: a backend's reply frees the thread of its request, and there are no completions. `report_port`: where
    backends report their totals; 0 if they do not. `holds`: a request is kept until it is known to be done, BY_REPORTS
    or BY_REPLIES, and sent again at most `retries` times; "" if requests are not held.
    """

    service_port: int
    completion_port: int
    policy: str
    backends: tuple[Backend, ...]
    interfaces: tuple[Interface, ...]
    replies: bool = False
    report_port: int = 0
    holds: str = ""
    retries: int = 3


def set_up(pins: str, settings: Settings) -> bool:
    """Write the settings, with all threads free; only then the program takes requests.

    Runs in the balancer's network namespace, as a devmap's ifindex belongs to the namespace of its writer. Returns
    False if the balancer is set up already: then nothing is written, as requests may be on their way, and policy and
    backends may have been changed since. Raises NetlabError if it was set up with other values of what cannot change,
    such as ports, or if the program's slots are too small for the links.
    """
    wanted, there = _config(pins, settings), Config.read(pins)
    _check_room(pins, wanted)
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
    written: list[Entry] = []
    behind = {index: socket.if_nametoindex(each.interface) for index, each in enumerate(settings.backends)}
    write_carriers(pins, behind, wanted.pair_interfaces)
    for index, backend in enumerate(settings.backends):
        written.append(write_backend(pins, index, backend))
        write_networks(pins, written[-1].ifindex, written, backend.networks)
        written[-1].write(pins, index)
    with map_of(pins, "state") as state:
        free = tuple(backend.capacity for backend in settings.backends)
        state.set(FIRST, layout.types(pins).struct("state").pack(free_threads=free))
    wanted._replace(ready=0).write(pins)  # so that the tree of choices is built before the first request
    wanted.write(pins)
    return True


def _config(pins: str, settings: Settings) -> Config:
    count = len(settings.backends)
    return Config(
        ready=1,
        service_port=settings.service_port,
        completion_port=settings.completion_port,
        policy=settings.policy,
        backends=count,
        longest=layout.ETHERNET_HEADER + min(backend.mtu for backend in settings.backends),
        replies=int(settings.replies),
        report_port=settings.report_port,
        pair_interfaces=pair_interfaces(pins, len(settings.interfaces) if settings.replies else 0, count),
        families=families(settings.backends),
        holds=settings.holds,
        weights=(1,) * count,
        retries=settings.retries,
    )


def _fixed(config: Config) -> tuple[int | str, ...]:
    """Return the settings that cannot change while the lab stands."""
    return config.service_port, config.completion_port, config.report_port, config.replies, config.holds


def pair_interfaces(pins: str, interfaces: int, backends: int) -> int:
    """Return with how many interfaces each backend is paired; 0 if there would be too many pairs."""
    with map_of(pins, "pairs") as pairs:
        return interfaces if interfaces * backends <= pairs.max_entries else 0


def families(backends: Sequence[Backend]) -> frozenset[str]:
    """Return the families in which every backend has an address."""
    ipv4, ipv6 = all(each.ipv4 for each in backends), all(each.ipv6 for each in backends)
    return frozenset([IPV4] * ipv4 + [IPV6] * ipv6)


def _check_room(pins: str, wanted: Config) -> None:
    """Refuse more backends, or longer frames, than the program was compiled for."""
    room, longest = layout.types(pins).struct("slot").field("frame").size, wanted.longest
    with map_of(pins, "backends") as backends:
        if wanted.backends > backends.max_entries:
            raise NetlabError(f"backends: {wanted.backends} nodes, at most {backends.max_entries}")
    if room < longest:
        raise NetlabError(f"the queue was compiled for frames of {room} bytes; the backends' links carry {longest}")


def _write_ourselves(pins: str, settings: Settings) -> None:
    with map_of(pins, "local_addresses") as local:
        for address in (address for ours in settings.interfaces for address in ours.addresses):
            local.set(layout.address(address), b"\1")
    known = layout.types(pins)
    with (
        map_of(pins, "interfaces") as interfaces,
        map_of(pins, "doors") as doors,
        LoadedProgram.open(paths.program_pin(pins, "egress_devmap")) as egress,
    ):
        for number, ours in enumerate(settings.interfaces):
            ifindex = socket.if_nametoindex(ours.name)
            interfaces.set(layout.key(ifindex), known.struct("interface").pack(**ours.fields(number)))
            door = known.struct("devmap_entry").pack(ifindex=ifindex, program=egress.fd)
            doors.set(layout.key(ifindex), door)


def write_backend(pins: str, index: int, backend: Backend) -> Entry:
    """Write a backend of weight 1, whose carriers are written already.

    All but its name, which makes it a backend: the caller writes that, with the entry that this returns, at the end.
    """
    addresses = layout.address(backend.ipv4), layout.address(backend.ipv6)
    macs = layout.mac(backend.mac), layout.mac(backend.our_mac)
    ifindex = socket.if_nametoindex(backend.interface)
    entry = Entry(*addresses, ifindex, backend.capacity, 1, *macs, backend.name)
    entry._replace(name="").write(pins, index)
    with map_of(pins, "backend_at") as index_of:
        for address in filter(any, addresses):
            index_of.set(address, layout.key(index))
    return entry


def write_carriers(pins: str, backends: Mapping[int, int], pair_interfaces: int) -> None:
    """Write the devmaps for carriers to backends, to each its own and its pairs.

    `backends` has the interfaces that lead to them, by their index.
    """
    struct_interface, entry_of = (layout.types(pins).struct(name) for name in ("interface", "devmap_entry"))
    with (
        map_of(pins, "interfaces") as interfaces,
        map_of(pins, "carriers") as carriers,
        map_of(pins, "pairs") as pairs,
        LoadedProgram.open(paths.program_pin(pins, "egress_devmap")) as egress,
    ):

        def door(ifindex: int) -> bytes:
            return entry_of.pack(ifindex=ifindex, program=egress.fd)

        own, paired = {}, {}
        for index, ifindex in backends.items():
            own[index] = (door(ifindex), door(ifindex))
            for client, _ in socket.if_nameindex() if pair_interfaces else ():
                if client >= interfaces.max_entries:  # no interface of the lab: those are in the map
                    continue
                there = struct_interface.of(interfaces.get(layout.key(client)))
                pair = index * pair_interfaces + there["number"]
                if there["in_use"] and client != ifindex and pair < pairs.max_entries:
                    paired[pair] = (door(ifindex), door(client))
        _write_devmaps(carriers, own)
        _write_devmaps(pairs, paired)


def write_networks(pins: str, ifindex: int, backends: Iterable[Entry], networks: Sequence[str] = ()) -> None:
    """Write, for an interface of ours, in which networks behind it there are backends, and in which there are several.

    `backends` are all backends; `networks` are those of the interface that the map does not have yet.
    """
    struct_interface, struct_network = (layout.types(pins).struct(name) for name in ("interface", "network"))
    bits, fields = layout.types(pins).enum("family"), {"networks": 0, "crowded": 0}
    behind = [each for each in backends if each.ifindex == ifindex]
    with map_of(pins, "interfaces") as interfaces:
        value = interfaces.get(layout.key(ifindex))
        for each in map(ipaddress.ip_network, networks):
            mask = b"\xff" * (16 - len(each.netmask.packed)) + each.netmask.packed
            network = struct_network.pack(address=layout.address(str(each.network_address)), mask=mask)
            value = struct_interface.put(value, **{f"ipv{each.version}_network": network})
        for family, place, addresses in (
            (IPV4, "ipv4_network", [each.ipv4 for each in behind]),
            (IPV6, "ipv6_network", [each.ipv6 for each in behind]),
        ):
            known = struct_network.of(struct_interface.get(value, place))
            count = sum(_is_in(address, known["address"], known["mask"]) for address in addresses)
            fields["networks"] |= bits[family] * (count > 0)
            fields["crowded"] |= bits[family] * (count > 1)
        interfaces.set(layout.key(ifindex), struct_interface.put(value, **fields))


def _is_in(address: bytes, network: bytes, mask: bytes) -> bool:
    """Say whether an address is in a network; a network without a mask is not known, and has no addresses."""
    differs, bits = (int.from_bytes(address) ^ int.from_bytes(network)), int.from_bytes(mask)
    return bits != 0 and any(address) and not differs & bits


def _write_devmaps(into: Map, doors: Mapping[int, tuple[bytes, bytes]]) -> None:
    """Put devmaps with two doors each into a map of maps."""
    places = iter(doors.items())
    while some := dict(islice(places, _DEVMAPS_AT_ONCE)):
        with ExitStack() as until_then:
            made = {}
            for at, pair in some.items():
                devmap = until_then.enter_context(Map.create(DEVMAP, 4, len(pair[0]), len(pair)))
                for place, door in enumerate(pair):
                    devmap.set(layout.key(place), door)
                made[layout.key(at)] = layout.key(devmap.fd)
            into.set_all(made)
