"""The step that attaches a program."""

from netlab.named_tuple import NamedTuple
from netlab.plan.command_words import namespace, quoted
from netlab.plan.equality import compared_by_kind
from netlab.topology.hooks import XDP
from netlab.topology.model import OBJECT, Program


@compared_by_kind
class AttachProgram(NamedTuple):
    """A program, compiled once for its node unless it is an object, and attached to these of its interfaces.

    `program.interfaces` is what the file says, `interfaces` what it means. `key` is what it is called in the lab. One
    `for_peer` is not the node's own: with it, frames arrive that the program at the other end sends by XDP_TX.
    """

    node: str
    program: Program
    interfaces: tuple[str, ...]
    key: str
    lab: str = ""
    for_peer: bool = False

    def __str__(self) -> str:
        """Return a shell comment: no command compiles and attaches as netlab does."""
        program = self.program
        function = f" function {program.function}" if program.function else ""
        constants = " ".join(f"{name}={value}" for name, value in program.define)
        defined = f" with {constants}" if constants else ""
        make = "load" if program.path.endswith(OBJECT) else "compile"
        where = " ".join((namespace(self.lab, self.node), *self.interfaces))
        called = f" as {self.key}" if self.key != self.node else ""
        text = f"# netlab: {make} {program.path}{defined}, attach{function} {program.where} at {where}{called}"
        return text.replace("\n", " ")

    def undone(self) -> str:
        """Return the lines that detach the program, a comment where no common command does; netlab removes its pins."""
        where = namespace(self.lab, self.node)
        if self.program.hook != XDP:
            return f"# netlab: detach {self.key} from {self.program.hook} at {' '.join((where, *self.interfaces))}"
        mode = "xdpgeneric" if self.program.mode == "generic" else "xdpdrv"
        return "\n".join(f"ip -n {where} link set dev {quoted(name)} {mode} off" for name in self.interfaces)
