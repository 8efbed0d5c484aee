"""Which runtime a lab lives in."""

from typing import TYPE_CHECKING

from netlab.errors import NetlabError
from netlab.record import store
from netlab.record.model import LabRecord

if TYPE_CHECKING:
    from netlab.runtime.base import Runtime


def of(record: LabRecord) -> "Runtime":
    """Return the runtime that a lab lives in."""
    if record.runtime == "docker":
        from netlab.runtime.docker import Docker

        return Docker(record.lab, record.folder, record)
    from netlab.runtime.netns import Netns

    limits = {name: node.limits for name, node in record.nodes.items() if any(node.limits)}
    return Netns(record.lab, record.folder, limits=limits)


def left(lab: str, folder: str) -> "list[Runtime]":
    """Return the runtimes in which something of a lab may be left: all where its record is lost, or not understood."""
    try:
        return [of(store.read(lab))]
    except NetlabError:
        from netlab.runtime.docker import Docker
        from netlab.runtime.netns import Netns

        return [Netns(lab, folder), Docker(lab, folder)]
