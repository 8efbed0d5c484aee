"""A lab that was built: its record, and the runtime of its nodes."""

from typing import TYPE_CHECKING

from netlab.errors import NetlabError
from netlab.record import store
from netlab.record.model import LabRecord

if TYPE_CHECKING:
    from netlab.runtime.base import Runtime


class Standing:
    """A lab that was built: its record, and the runtime of its nodes, which is made once."""

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
    hosts = [name for name, node in record.nodes.items() if node.kind == "host"]
    if record.untrusted:
        from netlab.runtime.rooms import Rooms

        return Netns(record.lab, record.folder, limits=limits, rooms=Rooms(record))
    viewers = {name: node.own_paths() for name, node in record.nodes.items() if node.has_own_files}
    return Netns(record.lab, record.folder, limits=limits, viewers=viewers, hosts=hosts)


def runtimes_left(lab: str, folder: str) -> "list[Runtime]":
    """Return the runtimes that may have something left of a lab: all, if its record is lost or not understood."""
    try:
        return [Standing.read(lab).runtime]
    except NetlabError:
        from netlab.runtime.docker import Docker
        from netlab.runtime.netns import Netns

        return [Netns(lab, folder), Docker(lab, folder)]
