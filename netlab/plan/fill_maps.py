"""The step that writes into maps."""

from netlab.named_tuple import NamedTuple
from netlab.paths import netns_name
from netlab.plan.equality import compared_by_kind
from netlab.topology.model import MapEntries
from netlab.words import entries


@compared_by_kind
class FillMaps(NamedTuple):
    """Entries for the maps of a node's programs; they are written when these are loaded and not yet attached."""

    node: str
    maps: tuple[MapEntries, ...]
    lab: str

    def __str__(self) -> str:
        """Return a shell comment: the types of the entries are in the program."""
        return f"# netlab: write into maps of {netns_name(self.lab, self.node)}: {self._named()}"

    def undone(self) -> str:
        """Return a shell comment: entries are gone with their maps."""
        return f"# netlab: remove from maps of {netns_name(self.lab, self.node)}: {self._named()}"

    def _named(self) -> str:
        return ", ".join(f"{each.name.text} ({entries(len(each.content[2]))})" for each in self.maps)
