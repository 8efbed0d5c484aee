"""What a runtime does: make the nodes of a lab, say where their namespaces are, and run a command in one."""

from collections.abc import Sequence
from typing import Protocol


class Runtime(Protocol):
    """Where the nodes of one lab live. Everything else in netlab needs no more than this."""

    def create(self, nodes: Sequence[str]) -> None:
        """Make these nodes, none of which exists; on an error `destroy` removes what was made."""

    def destroy(self) -> list[str]:
        """Remove what is left of the lab's nodes, built wholly, in part or not at all, and return which had any."""

    def netns_path(self, node: str) -> str:
        """Return the path of a node's network namespace: to be opened, and given to setns(2)."""

    def wrap(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the argv that runs `argv` in a node."""

    def memory_kills(self, node: str) -> int:
        """Return how many processes of a node the kernel has killed because the node had used up its memory."""
