"""Tells a running balancer of changed links: its own interfaces, and backends that have gone, or come back elsewhere.

All of it runs in the balancer's network namespace. The backends that are concerned are drained before, and have no
requests: so nothing is lost. See `control` for changes by hand.
"""

import socket
from collections.abc import Collection, Sequence

from netlab import paths
from netlab.balancer import control, layout, settings
from netlab.balancer.healer import Healer
from netlab.balancer.layout import Config, entries, map_of
from netlab.balancer.settings import Backend, Interface
from netlab.programs.maps import LoadedProgram


def backends(pins: str) -> list[str]:
    """Return the names of a balancer's backends; none before it is set up."""
    config = Config.read(pins)
    return [entry.name for entry in entries(pins, config).values()] if config.ready else []


def rewire(pins: str, interfaces: Sequence[Interface], fresh: Collection[str]) -> None:
    """Write which interfaces there are; those in `fresh` are new, or were made anew.

    The pairs of interfaces and backends are numbered by both. While they are written anew, replies free their threads,
    and carry no request.
    """
    config = Config.read(pins)
    config._replace(pair_interfaces=0).write(pins)
    known = layout.types(pins)
    struct_interface, entry_of = known.struct("interface"), known.struct("devmap_entry")
    numbers = {socket.if_nametoindex(ours.name): number for number, ours in enumerate(interfaces)}
    with (
        map_of(pins, "interfaces") as there,
        map_of(pins, "doors") as doors,
        LoadedProgram.open(paths.program_pin(pins, "egress_devmap")) as egress,
    ):
        for ifindex, number in numbers.items():
            ours, key = interfaces[number], layout.key(ifindex)
            before = bytes(there.value_size) if ours.name in fresh else there.get(key)
            there.set(key, struct_interface.put(before, **ours.fields(number)))
            doors.set(key, entry_of.pack(ifindex=ifindex, program=egress.fd))
        for ifindex in range(there.max_entries):
            if ifindex not in numbers and any(there.get(layout.key(ifindex))):
                there.set(layout.key(ifindex), bytes(there.value_size))
    _write_addresses(pins, interfaces)
    if config.replies:
        count = settings.pair_interfaces(pins, len(interfaces), config.backends)
        behind = {index: entry.ifindex for index, entry in entries(pins, config).items()}
        settings.write_carriers(pins, behind, count)
        config = config._replace(pair_interfaces=count)
    config.write(pins)


def _write_addresses(pins: str, interfaces: Sequence[Interface]) -> None:
    wanted = {layout.address(address) for ours in interfaces for address in ours.addresses}
    with map_of(pins, "local_addresses") as local:
        for address in wanted:
            local.set(address, b"\1")
        for address in set(local.keys()) - wanted:
            local.delete(address)


def retire(pins: str, names: Collection[str]) -> None:
    """Forget these backends, even if no others are left: requests wait then."""
    config = Config.read(pins)
    found = {index: entry for index, entry in entries(pins, config).items() if entry.name in names}
    config.sharing(dict.fromkeys(found, 0)).write(pins)
    control.forget(pins, found)


def rejoin(pins: str, moved: Sequence[Backend], drained: Collection[str]) -> None:
    """Write where backends are now, each in its own place and with its weight; those in `drained` stay drained."""
    config = Config.read(pins)
    places = {entry.name: (index, entry.weight) for index, entry in entries(pins, config).items()}
    for backend in moved:
        index, weight = places[backend.name]
        config = control.join(pins, config, index, backend, weight, drained=backend.name in drained)
    Healer(pins).kick()


def drained(pins: str, names: Collection[str]) -> set[str]:
    """Return which of these backends get no requests, because somebody has drained them."""
    config = Config.read(pins)
    return {entry.name for at, entry in entries(pins, config).items() if entry.name in names and not config.weights[at]}
