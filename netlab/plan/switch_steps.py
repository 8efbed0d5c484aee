"""The step that gives a port of a switch its VLANs, and the times of spanning trees. `steps` has all others."""

from netlab.named_tuple import NamedTuple
from netlab.plan.command_words import namespace, quoted
from netlab.plan.equality import compared_by_kind

FORWARD_DELAY, HELLO, MAX_AGE = 200, 100, 600  # of a spanning tree, in hundredths of a second; the least there are


@compared_by_kind
class SetVlans(NamedTuple):
    """The VLANs of a port: `vlan` that of frames without a tag, 0 for none; `vlans` those of frames with one."""

    node: str
    interface: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    vlan: int
    vlans: tuple[int, ...] = ()
    lab: str = ""

    def __str__(self) -> str:
        """Return the equivalent `bridge` lines."""
        return self._lines("add")

    def undone(self) -> str:
        """Return the lines that take the VLANs away."""
        return self._lines("del")

    def _lines(self, verb: str) -> str:
        line = f"bridge -n {namespace(self.lab, self.node)} vlan {verb} dev {quoted(self.interface)} vid"
        bare = [f"{line} {self.vlan} pvid untagged"] if self.vlan else []
        return "\n".join((*bare, *(f"{line} {vlan}" for vlan in self.vlans)))
