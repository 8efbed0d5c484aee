"""Which link is meant: by its ends as A-B or A B, or by one end as NODE:INTERFACE. Pure."""

from collections.abc import Collection, Sequence

from netlab.errors import UsageError
from netlab.record.impaired import Direction

_SHOWN = 20
Link = tuple[Direction, Direction]


def all_links(directions: Sequence[Direction]) -> list[Link]:
    """Return links, each as what its first end sends, and what its second end sends."""
    return list(zip(directions[::2], directions[1::2], strict=True))


def called(link: Link) -> str:
    """Return what a link is called in messages."""
    first, second = link
    return f"{first.sender[0]}-{second.sender[0]}"


def is_among(link: Link, names: Collection[str]) -> bool:
    """Say whether a link has one of these names, each of which is that of one of its ends."""
    return any(":".join(each.sender) in names for each in link)


def find(directions: Sequence[Direction], words: Sequence[str]) -> Link:
    """Return the link that these words mean; UsageError, with what there is, if there is none or several.

    No words mean the only link.
    """
    links = all_links(directions)
    if not links:
        raise UsageError("this lab has no link")
    if not words and len(links) > 1:
        raise UsageError(f"which link? there are {_listed(links)}")
    found = [link for link in links if _is_meant(link, words)]
    if not found:
        raise UsageError(f"no link is called {' '.join(words)!r}; there are {_listed(links)}")
    if len(found) > 1:
        raise UsageError(f"{' '.join(words)} means several links: choose one of {_listed(found, by_end=True)}")
    return found[0]


def side(link: Link, node: str) -> Sequence[Direction]:
    """Return what a node sends over a link, by its name or as NODE:INTERFACE; UsageError if it is at neither end."""
    found = [each for each in link if node in (each.sender[0], ":".join(each.sender))]
    if not found:
        raise UsageError(
            f"{node} is at no end of {called(link)}: expected {' or '.join(each.sender[0] for each in link)}"
        )
    return found


def _is_meant(link: Link, words: Sequence[str]) -> bool:
    """Say whether a link is meant; a name may contain a dash, so A-B is compared with both names joined."""
    ends = [{each.sender[0], ":".join(each.sender)} for each in link]
    if not words:
        return True
    if len(words) == 1:
        joined = {f"{a}-{b}" for one, other in (ends, ends[::-1]) for a in one for b in other}
        by_end = {":".join(each.sender) for each in link}
        return words[0] in joined | by_end
    return any(words[0] in one and words[1] in other for one, other in (ends, ends[::-1]))


def _listed(links: Sequence[Link], *, by_end: bool = False) -> str:
    names = [":".join(link[0].sender) if by_end else called(link) for link in links]
    shown = list(dict.fromkeys(names))
    return ", ".join(shown[:_SHOWN]) + (", …" if shown[_SHOWN:] else "")
