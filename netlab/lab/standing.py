"""A lab that stands, as all who deal with it get it: what it is meant to be, and where its nodes live."""

from typing import TYPE_CHECKING

from netlab.errors import NetlabError
from netlab.record import store
from netlab.record.model import LabRecord

if TYPE_CHECKING:
    from netlab.runtime.base import Runtime


class Standing:
    """A lab's record, and the runtime that its nodes live in, which is made once."""

    def __init__(self, record: LabRecord) -> None:
        self.record = record
        self.runtime = _runtime(record)

    @classmethod
    def read(cls, lab: str) -> "Standing":
        """Return a lab by its name; raises NetlabError as `store.read` does."""
        return cls(store.read(lab))


def _runtime(record: LabRecord) -> "Runtime":
    if record.runtime == "docker":
        from netlab.runtime.docker import Docker

        return Docker(record.lab, record.folder, record)
    from netlab.runtime.netns import Netns

    limits = {name: node.limits for name, node in record.nodes.items() if any(node.limits)}
    return Netns(record.lab, record.folder, limits=limits)


def runtimes_left(lab: str, folder: str) -> "list[Runtime]":
    """Return the runtimes in which something of a lab may be left: all where its record is lost, or not understood."""
    try:
        return [Standing.read(lab).runtime]
    except NetlabError:
        from netlab.runtime.docker import Docker
        from netlab.runtime.netns import Netns

        return [Netns(lab, folder), Docker(lab, folder)]
