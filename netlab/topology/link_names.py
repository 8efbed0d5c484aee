"""What links are called: NODE-NODE, or NODE:INTERFACE, where nodes have several links with each other. Pure."""

from collections.abc import Sequence

from netlab.named_tuple import NamedTuple


class Ends(NamedTuple):
    """The two ends of a link, in the order of the file."""

    a: str
    a_interface: str
    b: str
    b_interface: str

    @property
    def nodes(self) -> tuple[str, str]:
        """The nodes at its ends."""
        return self.a, self.b

    @property
    def name(self) -> str:
        """The name that no other link has: an interface has one link."""
        return f"{self.a}:{self.a_interface}"


def find(word: str, links: Sequence[Ends]) -> list[Ends]:
    """Return the links that a word can mean: by either of its interfaces, or by its nodes, in either order."""
    return [
        each
        for each in links
        if word
        in (
            f"{each.a}:{each.a_interface}",
            f"{each.b}:{each.b_interface}",
            f"{each.a}-{each.b}",
            f"{each.b}-{each.a}",
        )
    ]


def called(link: Ends, links: Sequence[Ends]) -> str:
    """Return what to call a link: by its nodes, if that means no other one."""
    short = f"{link.a}-{link.b}"
    return short if len(find(short, links)) == 1 else link.name
