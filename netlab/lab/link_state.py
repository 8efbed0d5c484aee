"""Links of a lab that stands, up and down at run time: both ends are set, and what the kernel takes is given back.

What a link has lost is in a file of the lab's folder from before it goes down, so that it comes back after a kill -9,
too.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from netlab import paths
from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.network import interface_state
from netlab.record import shapes
from netlab.topology.link_names import Ends

if TYPE_CHECKING:
    from netlab.lab.standing import Standing

_Kept = dict[str, dict[str, tuple[str, ...]]]  # by link, by node


def is_up(lab: "Standing", link: Ends) -> bool:
    """Say whether both ends of a link are up."""
    return all(interface_state.is_up(lab.runtime.netns_path(node), name) for node, name in _sides(link))


def are_down(lab: "Standing") -> frozenset[str]:
    """Return the names of links that were set down, and not up since; none for who may not read that."""
    return frozenset(_read(lab))


def set_down(lab: "Standing", link: Ends) -> None:
    """Set both ends of a link down; what is down already stays so. NetlabError if that cannot be done."""
    with _told(link):
        known = _read(lab)
        if link.name not in known:
            _write(lab, {**known, link.name: {node: _lost(lab, node, name) for node, name in _sides(link)}})
        for node, name in _sides(link):
            interface_state.set_down(lab.runtime.netns_path(node), name)


def set_up(lab: "Standing", link: Ends) -> list[str]:
    """Set both ends of a link up, and give back what they have lost; return what could not be given back.

    NetlabError if they cannot be set up.
    """
    with _told(link):
        known = _read(lab)
        for node, name in _sides(link):
            interface_state.set_up(lab.runtime.netns_path(node), name)
        problems = []
        for node, kept in known.pop(link.name, {}).items():
            told = interface_state.give_back(lab.runtime.netns_path(node), kept)
            problems += [f"{node}: an address or a route that it had lost cannot come back: {why}" for why in told]
        _write(lab, known)
    return problems


def _sides(link: Ends) -> tuple[tuple[str, str], tuple[str, str]]:
    return (link.a, link.a_interface), (link.b, link.b_interface)


def _lost(lab: "Standing", node: str, interface: str) -> tuple[str, ...]:
    return tuple(interface_state.lost_when_down(lab.runtime.netns_path(node), interface))


@contextmanager
def _told(link: Ends) -> Iterator[None]:
    """Let errors say which link it is."""
    try:
        yield
    except (OSError, NetlabError) as error:
        raise NetlabError(f"the link {link.a}:{link.a_interface} - {link.b}:{link.b_interface}: {error}") from error


def _path(lab: "Standing") -> str:
    return f"{lab.record.folder}/{paths.LINKS_DOWN}"


def _read(lab: "Standing") -> _Kept:
    """Return what links have lost; what cannot be read is lost for good."""
    try:
        return shapes.read(_Kept, files.load(_path(lab)))
    except (OSError, ValueError):
        return {}


def _write(lab: "Standing", known: _Kept) -> None:
    if known:
        files.write(_path(lab), json.dumps(known), 0o600)
    else:
        with suppress(FileNotFoundError):
            os.unlink(_path(lab))
