"""The links of a lab's record, and what a person calls them."""

from netlab.errors import UsageError
from netlab.record.model import LabRecord
from netlab.topology.link_names import Ends, called, find


def links(record: LabRecord) -> list[Ends]:
    """Return the links of a lab."""
    found: dict[frozenset[tuple[str, str]], Ends] = {}
    for node, about in record.nodes.items():
        for name, port in about.interfaces.items():
            if port.peer and port.peer_interface:
                ends = Ends(node, name, port.peer, port.peer_interface)
                found.setdefault(frozenset(((node, name), (port.peer, port.peer_interface))), ends)
    return list(found.values())


def name(record: LabRecord, link: Ends) -> str:
    """Return what to call a link of a lab; it means no other one."""
    return called(link, links(record))


def link(record: LabRecord, word: str) -> Ends:
    """Return the link that NODE-NODE or NODE:INTERFACE means; UsageError, with others, for none or several."""
    there = links(record)
    found = find(word, there)
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(each.name for each in found)
        raise UsageError(f"{word} means {len(found)} links of the lab {record.lab}: name one of {several}")
    import difflib

    names = [called(each, there) for each in there]
    near = difflib.get_close_matches(word, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names[:20]) or 'none'}"
    raise UsageError(f"the lab {record.lab} has no link {word}; {hint}")
