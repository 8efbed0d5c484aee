"""The step that gives a node files of its own. `steps` has all others, and says what a step is."""

from netlab.named_tuple import NamedTuple
from netlab.plan.command_words import namespace
from netlab.plan.equality import compared_by_kind
from netlab.topology.model import OwnFiles


@compared_by_kind
class GiveFiles(NamedTuple):
    """What a node sees in the place of the host's files, and a host name of its own: its name."""

    node: str
    own: OwnFiles
    lab: str = ""

    def __str__(self) -> str:
        """Return a shell comment: mount namespaces without processes need netlab."""
        return f"# netlab: {namespace(self.lab, self.node)} has for itself {self._paths()}"

    def undone(self) -> str:
        """Return a shell comment, too."""
        return f"# netlab: {namespace(self.lab, self.node)} sees the host's own {self._paths()} again"

    def _paths(self) -> str:
        files = (f"{each.path} ({len(each.content):,} bytes)" for each in self.own.files)
        folders = (f"{each.path}/" for each in self.own.folders)
        return ", ".join((*files, *folders))
