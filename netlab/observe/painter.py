"""What a text may mean to whoever reads it on a terminal; in which colours is for the roof to say (cli/console)."""

from typing import Protocol


class Painter(Protocol):
    """Marks texts by what they mean."""

    def node(self, text: str, number: int) -> str:
        """Mark what a node says, or what is said of it; nodes are numbered in the lab's order."""

    def kernel(self, text: str) -> str:
        """Mark what a program in the kernel says."""

    def good(self, text: str) -> str:
        """Mark what is as it should be."""

    def bad(self, text: str) -> str:
        """Mark what is not."""


class Plain:
    """Leaves texts as they are, for files and programs."""

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
