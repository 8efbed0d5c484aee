"""The step that changes sysctls of a node that stands. `steps` has all others, and says what a step is."""

from netlab.named_tuple import NamedTuple
from netlab.plan.command_words import namespace, quoted
from netlab.plan.equality import compared_by_kind

UNKNOWN = "?"  # a sysctl's value, after a change that was cut off


@compared_by_kind
class ChangeSysctls(NamedTuple):
    """Sysctls of a node from what was written to what is: the others are as in a new namespace.

    No plan has this step. It is what a difference makes of two CreateNode steps of one node.
    """

    node: str
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]
    lab: str = ""

    @property
    def dropped(self) -> tuple[str, ...]:
        """The sysctls that nothing is written to any more."""
        return tuple(name for name, _ in self.before if name not in dict(self.after))

    def __str__(self) -> str:
        """Return the equivalent `sysctl` line; what a new namespace has, is a comment."""
        return _lines(self.node, self.after, self.dropped, self.lab)

    def undone(self) -> str:
        """Return the line that sets them back."""
        return str(self.back())

    def back(self) -> "ChangeSysctls":
        """Return the change that sets them back; one that nobody knows is then as in a new namespace."""
        known = tuple(each for each in self.before if each[1] != UNKNOWN)
        return self._replace(before=self.after, after=known)


def _lines(node: str, written: tuple[tuple[str, str], ...], dropped: tuple[str, ...], lab: str) -> str:
    name = namespace(lab, node)
    values = " ".join(quoted(f"{key}={value}") for key, value in written)
    lines = [f"ip netns exec {name} sysctl -qw {values}"] if written else []
    lines += [f"# netlab: {name} has {', '.join(dropped)} as a new namespace has"] if dropped else []
    return "\n".join(lines)
