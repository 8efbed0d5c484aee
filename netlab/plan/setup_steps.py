"""The step that runs what a node's `setup:` has. `steps` has all others, and says what a step is."""

from netlab.named_tuple import NamedTuple
from netlab.plan.command_words import namespace, quoted
from netlab.plan.equality import compared_by_kind
from netlab.topology.model import SetupCommand


@compared_by_kind
class RunSetup(NamedTuple):
    """Commands that are run once in a node, one after the other, before the first process of the lab starts.

    `env` is what the file says for the node. `container` says that they are run in one.
    """

    node: str
    commands: tuple[SetupCommand, ...]
    env: tuple[tuple[str, str], ...] = ()
    lab: str = ""
    container: bool = False

    def __str__(self) -> str:
        """Return the lines that would run them by hand."""
        variables = tuple(f"{name}={value}" for name, value in self.env)
        enter = ("docker", "exec") if self.container else ("ip", "netns", "exec")
        before = (*enter, namespace(self.lab, self.node), *(("env", *variables) if variables else ()))
        return "\n".join(" ".join(quoted(word) for word in (*before, *each.argv)) for each in self.commands)

    def undone(self) -> str:
        """Return a shell comment: netlab cannot undo such commands; what they have made is gone with the node."""
        return f"# netlab: nothing undoes the setup of {namespace(self.lab, self.node)}"
