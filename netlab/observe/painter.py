"""What a text on a terminal may mean; `palette` has the colours, `cli/console` paints."""

from typing import Protocol


class Painter(Protocol):
    """Marks texts by their meaning."""

    def node(self, text: str, number: int) -> str:
        """Mark what a node prints, or what is said of it; nodes are numbered in the lab's order."""

    def kernel(self, text: str) -> str:
        """Mark what a program in the kernel prints."""

    def good(self, text: str) -> str:
        """Mark what is good."""

    def bad(self, text: str) -> str:
        """Mark what is bad."""


class Plain:
    """Leaves texts unchanged, for files and programs."""

    def node(self, text: str, number: int) -> str:  # noqa: ARG002 - as Painter has it
        """Return the text."""
        return text

    def kernel(self, text: str) -> str:
        """Return the text."""
        return text

    def good(self, text: str) -> str:
        """Return the text."""
        return text

    def bad(self, text: str) -> str:
        """Return the text."""
        return text
