"""Mistakes of a topology that only planning finds; `places` finds their lines in the file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.errors import TopologyError, UsageError
from netlab.named_tuple import NamedTuple

if TYPE_CHECKING:  # `status` and `down` need no reader of topologies
    from netlab.topology.document.tree import Document
    from netlab.topology.model import Topology


class Misfit(NamedTuple):
    """A mistake: the keys that lead to it (for a link, its number in the topology), and what was expected and found."""

    keys: tuple[str, ...]
    message: str


class PlanError(UsageError):
    """A topology that cannot be planned."""

    def __init__(self, misfits: Sequence[Misfit]) -> None:
        self.misfits = misfits
        super().__init__("\n".join(f"{'.'.join(misfit.keys)}: {misfit.message}" for misfit in misfits))

    def located(self, document: "Document", topology: "Topology") -> TopologyError:
        """Return the error with line and column of each mistake, in the document that the topology was read from."""
        from netlab.plan import places

        return places.located(self.misfits, document, topology)
