"""Divides a switch: each part of its ports gets a bridge of its own, so that no frame passes between the parts."""

from collections.abc import Sequence

from netlab.kernel.netlink import Channel
from netlab.kernel.syscalls import inside
from netlab.named_tuple import NamedTuple
from netlab.network.messages import Messages
from netlab.network.visits import Request, request

FIRST_INDEX = 1 << 20  # of the bridges of parts; a plan counts from 1


class Port(NamedTuple):
    """A port of a switch, by its index, with its VLANs, as in plan.switch_steps.SetVlans."""

    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    vlan: int = 0
    vlans: tuple[int, ...] = ()


class Switch(NamedTuple):
    """The bridge of a switch: where it is, its index, and its options."""

    netns: str
    index: int  # type: ignore[assignment]
    stp: bool = False
    filters: bool = False


def divide(switch: Switch, parts: Sequence[Sequence[Port]]) -> None:
    """Give each of these parts a bridge; what is not in them stays at the switch's own. NetlabError if that fails."""
    messages, requests = Messages(), list[Request]()
    for number, ports in enumerate(parts):
        index = FIRST_INDEX + number
        requests.append(("divide a switch", messages.bridge(index, _name(number), switch.stp, switch.filters)))
        requests += _at(messages, ports, index)
    inside(switch.netns, lambda: _send(requests))


def join(switch: Switch, ports: Sequence[Port], parts: int) -> None:
    """Put these ports back to the switch's own bridge, and remove those of so many parts, as far as they are there."""
    messages = Messages()
    inside(switch.netns, lambda: _join(switch, messages, ports, parts))


def _join(switch: Switch, messages: Messages, ports: Sequence[Port], parts: int) -> None:
    _send(_at(messages, ports, switch.index))
    channel = Channel()
    try:
        for number in range(parts):
            channel.request([messages.no_link(FIRST_INDEX + number)])  # it may have gone already
    finally:
        channel.close()


def _at(messages: Messages, ports: Sequence[Port], bridge: int) -> list[Request]:
    """Return the requests that make these the ports of a bridge; the VLANs of a port go with its bridge."""
    requests: list[Request] = []
    for port in ports:
        requests.append(("move a port of a switch", messages.port(port.index, bridge)))
        bare = [messages.vlan(port.index, port.vlan, tagged=False)] if port.vlan else []
        tagged = [messages.vlan(port.index, each, tagged=True) for each in port.vlans]
        requests += [("set the VLANs of a port", each) for each in (*bare, *tagged)]
    return requests


def _send(requests: Sequence[Request]) -> None:
    channel = Channel()
    try:
        request(channel, requests)
    finally:
        channel.close()


def _name(number: int) -> str:
    return f"part{number + 1}"
