"""What is no longer as it was set of links that are led through the middle, and what mends it."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel.netlink import Channel
from netlab.kernel.syscalls import inside
from netlab.lab import link_state, named_links
from netlab.lab.node_drift import Problem, anew
from netlab.lab.standing import Standing
from netlab.network import impairments
from netlab.network.impairment_settings import Direction as Wanted
from netlab.paths import MIDDLE
from netlab.programs import attachment
from netlab.record import impaired
from netlab.record.impaired import End, Links
from netlab.supervise import client
from netlab.topology.hooks import XDP

if TYPE_CHECKING:
    from netlab.lab.named_links import Link

_ETHTOOL_GTXCSUM = 0x16


def set_down(lab: Standing) -> dict[str, set[str]]:
    """Return the interfaces of links that were set down, by node."""
    found: dict[str, set[str]] = {}
    names = link_state.are_down(lab)
    for link in named_links.all_links(impaired.directions(lab.record, None)):
        if named_links.is_among(link, names):
            for each in link:
                found.setdefault(each.sender[0], set()).add(each.sender[1])
    return found


def outside(lab: Standing) -> Iterator[Problem]:
    """Yield what can be seen without entering a namespace."""
    name = lab.record.lab
    if not impaired.has_middle(lab.record):
        return  # links were only set down
    for _, what in lab.runtime.broken([MIDDLE]):
        yield Problem("", f"of the middle of its links: {what}", anew(name))
    if not os.access(f"{lab.record.folder}/{paths.LINKS}", os.R_OK):
        return  # there is none, or it is not for the caller
    try:
        links = impaired.read(lab.record)
    except NetlabError as error:
        yield Problem("", str(error), anew(name))
        return
    if links and links.sends and not lab.record.has_supervisor and not client.supervisor_pid(lab.record.folder):
        mend = f"netlab link --lab {name} NODE:INTERFACE set, of any impaired link"
        yield Problem("", "its supervisor has died, which hands carrier loss through impaired links", mend)


def problems(lab: Standing) -> Iterator[Problem]:
    """Yield what is missing in the middle, and at the ends of links that are led through it."""
    links = impaired.read(lab.record) or Links()
    for link in named_links.all_links(impaired.directions(lab.record, links)):
        first = link[0]
        mend = f"netlab link --lab {lab.record.lab} {':'.join(first.sender)} set"
        where = named_links.called(link)
        if str(first.number) in links.changing:
            yield Problem(where, "a command that led it through the middle was cut off", mend)
        elif first.sends:
            gone = _gone(lab, link)
            yield from (Problem(where, f"the middle's interface {each} is gone", anew(lab.record.lab)) for each in gone)
            yield from (Problem(where, what, mend) for what in ([] if gone else _missing(lab, link)))


def spoilt(lab: Standing) -> "list[tuple[Link, list[str]]]":
    """Return the links that are led through the middle and lack what can be set again there, and what they lack."""
    if not os.path.exists(lab.runtime.netns_path(MIDDLE)):
        return []
    links = impaired.read(lab.record) or Links()
    led = [link for link in named_links.all_links(impaired.directions(lab.record, links)) if link[0].sends]
    whole = [link for link in led if str(link[0].number) not in links.changing and not _gone(lab, link)]
    return [(link, lacks) for link in whole if (lacks := _missing(lab, link))]


def _gone(lab: Standing, link: "Link") -> list[str]:
    """Return which interfaces of a link are gone in the middle."""
    there = {name for _, name in inside(lab.runtime.netns_path(MIDDLE), socket.if_nameindex)}
    return [each.source for each in link if each.source not in there]


def _missing(lab: Standing, link: "Link") -> list[str]:
    """Return what one link lacks, of which all interfaces are there."""
    netns = lab.runtime.netns_path(MIDDLE)
    wanted = [Wanted(each.source, each.target, each.sends) for each in link if each.sends]
    found = list(dict.fromkeys(impairments.missing(netns, wanted)))
    ends: list[tuple[str, str]] = [(MIDDLE, each.source) for each in link] + [each.sender for each in link]
    for node, name in ends:
        with suppress(OSError):  # it is gone, which is told
            if inside(lab.runtime.netns_path(node), partial(_computes_late, name)):
                where = name if node == MIDDLE else f"{node} {name}"
                found.append(f"TX checksum offload is on at {where}, so frames are not single there")
    lacking = [each for each in link if _has_native(lab, each.sender)]
    return found + [
        f"no XDP program is attached to {each.source}, planned is pass: redirected frames are lost"
        for each in lacking
        if not inside(netns, partial(_programs, each.source))
    ]


def _computes_late(name: str) -> bool:
    channel = Channel()
    try:
        return bool(channel.ethtool(name, _ETHTOOL_GTXCSUM))
    finally:
        channel.close()


def _programs(name: str) -> Sequence[int]:
    return attachment.numbers([name], XDP, "native").get(name, [1])  # one that is gone is told


def _has_native(lab: Standing, end: End) -> bool:
    node, name = end
    there = lab.record.nodes[node].programs
    return any(each.hook == XDP and each.mode == "native" and name in each.interfaces for each in there)
