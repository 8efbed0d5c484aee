"""Removes what a lab has made in this host's own network: interfaces and `internet: true`. All is found by name."""

import socket
import struct
from collections.abc import Iterator
from functools import partial

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.kernel.netlink import Channel, attributes
from netlab.kernel.syscalls import inside
from netlab.network import internet
from netlab.plan.host_steps import is_interface_of
from netlab.record.mark import mark

_RTM_DELLINK, _RTM_GETLINK = 17, 18
_NLM_F_REQUEST, _IFLA_IFALIAS = 1, 20
_MESSAGE = struct.Struct("=IHHII BxHiII")  # struct nlmsghdr, struct ifinfomsg
_ABOUT = struct.calcsize("=BxHiII")


def leave(lab: str, folder: str, has_way: bool | None = None) -> list[str]:
    """Remove what a lab has made in the host's namespace, at any stage of `up`; return what was found.

    `has_way` says whether the lab's record has `internet: true`, None if that is not known. The namespace is the one
    that is mounted in the lab's folder; without that, the caller's.
    """
    held = [f"{folder}/{paths.OUTSIDE}/{name}" for name in files.names(f"{folder}/{paths.OUTSIDE}")]
    found: list[str] = []
    for path in held:
        try:
            found += inside(path, partial(_leave, lab, has_way))
        except OSError:  # nothing is mounted there: `up` was killed before the mount, or somebody has unmounted it
            found += _leave(lab, has_way)
    if held:
        return found
    return internet.close_way(lab, has_way)  # the interfaces are gone with the namespaces of their other ends


def _leave(lab: str, has_way: bool | None) -> list[str]:
    found = internet.close_way(lab, has_way)
    channel = Channel()
    try:
        ours = [*_interfaces(channel, lab)]
        messages = [_message(_RTM_DELLINK, index) for index in ours]
        refusal = channel.request(messages) if messages else None
    finally:
        channel.close()
    if refusal and any(is_interface_of(name, lab) for _, name in socket.if_nameindex()):
        raise NetlabError(f"cannot remove the lab's interfaces on this host: {refusal.words or refusal.errno}")
    return [*found, "interfaces on this host"] if ours else found


def _interfaces(channel: Channel, lab: str) -> Iterator[int]:
    """Yield the indexes of the lab's interfaces, also of those that a killed `up` had not marked yet."""
    whose = mark(lab)
    for index, name in socket.if_nameindex():
        if is_interface_of(name, lab):
            try:
                about = dict(attributes(channel.ask(_message(_RTM_GETLINK, index))[_ABOUT:]))
            except OSError:  # it has just gone
                continue
            if about.get(_IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace") in ("", whose):
                yield index


def _message(kind: int, index: int) -> bytes:
    return _MESSAGE.pack(_MESSAGE.size, kind, _NLM_F_REQUEST, 0, 0, socket.AF_UNSPEC, 0, index, 0, 0)
