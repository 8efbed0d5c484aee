"""What a runtime does: it makes a lab's nodes, knows their namespaces, and runs a command in one."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from netlab.named_tuple import NamedTuple

if TYPE_CHECKING:
    from netlab.record.model import LabRecord
    from netlab.topology.model import OwnFiles


# In an untrusted lab: the capabilities that a command has besides the usual ones, or None if it is not confined.
Rights = Sequence[str] | None


class Place(NamedTuple):
    """A container or a room to enter: its first process, when that was started (clock ticks since boot), and more.

    `capabilities` are names; in a container in addition to those of the first process. In a room `user` is who one
    becomes there, and `groups` are the folders of the control groups that one enters before; of a container 0 and ().
    """

    pid: int
    start_ticks: int
    capabilities: tuple[str, ...] = ()
    user: int = 0
    groups: tuple[str, ...] = ()


class Entrance(NamedTuple):
    """How a process enters a node by itself: the folders of its control groups, the files of its namespaces.

    The mounts come last, as until then the files are the host's.
    """

    groups: tuple[str, ...]
    namespaces: tuple[str, ...]


class Command(NamedTuple):
    """How a command runs in a node: what to execute, and what to enter before (None: nothing).

    `place` is a container; `entrance` a node with files of its own. `groups` are the folders of the control groups that
    it enters on its way.
    """

    argv: list[str]
    place: Place | None = None
    entrance: Entrance | None = None
    groups: tuple[str, ...] = ()


class Runtime(Protocol):
    """Where the nodes of one lab live. The rest of netlab needs no more than this.

    `has_files` says that nodes have a root file system of their own: they do not have the host's programs and Python.
    """

    has_files: bool

    def create(self, nodes: Sequence[str], own: "Mapping[str, OwnFiles] | None" = None) -> None:
        """Make these nodes, none of which exists; after an error `destroy` removes what was made.

        `own` are the files and folders of nodes that have some of their own.
        """

    def open_middle(self) -> None:
        """Make the middle of the lab's links, a namespace of this host, if there is none yet."""

    def remove(self, nodes: Sequence[str]) -> None:
        """Remove these nodes, as far as they are there; the others stay."""

    def destroy(self) -> list[str]:
        """Remove whatever is left of the lab's nodes, complete or not; return which nodes had anything."""

    def broken(self, nodes: Sequence[str]) -> list[tuple[str, str]]:
        """Return what is missing of these nodes, as (node, problem in words); the node "" stands for all of them."""

    def netns_path(self, node: str) -> str:
        """Return the path of a node's network namespace, to be opened and given to setns(2)."""

    def wrap(self, node: str, argv: Sequence[str], rights: Rights = ()) -> Command:
        """Return how `argv` runs in a node; NetlabError, with the reason, if nothing can run there any more."""

    def memory_kills(self, node: str) -> int:
        """Return how many processes of a node the kernel has killed because the node had used up its memory."""


def home_of(record: "LabRecord") -> str:
    """Return the folder that the lab's processes start in: that of the topology, to which its paths are relative."""
    folder = os.path.dirname(record.topology)
    return folder if os.path.isdir(folder) else "/"
