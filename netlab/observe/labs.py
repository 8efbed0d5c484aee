"""All labs of this machine, in a line each. What is as planned in one of them only `status` finds out."""

import os

from netlab import paths
from netlab.errors import NetlabError
from netlab.lab import removal
from netlab.named_tuple import NamedTuple
from netlab.record import store

VERSION = 1  # of the JSON
UP, HALF_BUILT, LEFTOVERS = "up", "half-built", "leftovers"


class LabEntry(NamedTuple):
    """A lab: `up`, `half-built` (its `up` is not over, or was killed), or `leftovers` of one that has no folder.

    `since` is when it was complete, in seconds of the epoch, 0 if it is not. `nodes` is None, and `topology` and
    `runtime` are empty, where the lab's record cannot be read.
    """

    lab: str
    state: str
    since: float = 0
    topology: str = ""
    runtime: str = ""
    nodes: int | None = None


def read() -> list[LabEntry]:
    """Return the labs by name; needs no root, but only root sees trace instances that were left."""
    there = set(store.labs())
    return [_entry(lab) if lab in there else LabEntry(lab, LEFTOVERS) for lab in removal.labs_with_leftovers()]


def complete_since(lab: str) -> float:
    """Return when a lab was complete, in seconds of the epoch; 0 if it is not."""
    try:
        return os.stat(f"{paths.folder_of(lab)}/{paths.COMPLETE}").st_mtime
    except OSError:
        return 0


def _entry(lab: str) -> LabEntry:
    since = complete_since(lab)
    entry = LabEntry(lab, UP if since else HALF_BUILT, since)
    try:
        record = store.public(lab)
    except NetlabError:
        return entry
    return entry._replace(topology=record.topology, runtime=record.runtime, nodes=len(record.nodes))
