"""Every error that netlab raises on purpose, and the exit code each one ends the command with.

NetlabError            1   the work failed, and was undone
├── UsageError         2   a wrong option or argument
│   └── TopologyError  2   a topology with mistakes, all of them at once
└── HostError          3   this host cannot do it: not root, a missing tool, an old kernel
"""

from typing import NamedTuple


class NetlabError(Exception):
    """The work failed; the message says what happened and what to do about it."""

    exit_code = 1


class UsageError(NetlabError):
    """The command was called wrongly."""

    exit_code = 2


class HostError(NetlabError):
    """This host lacks something that the work needs."""

    exit_code = 3


class Mistake(NamedTuple):
    """One mistake in a topology.

    `line` and `column` count from 1; `path` is the place in the document, such as `nodes.lb.xdp.mode`
    (empty for the document as a whole); `message` says what was expected and what was found; `hint` is the way out.
    """

    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def text(self, file: str) -> str:
        """Return the mistake as `file:line:column: path: message (hint)`."""
        where = f"{file}:{self.line}:{self.column}: "
        place = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{place}{self.message}{hint}"


class TopologyError(UsageError):
    """A topology that cannot be built, with every mistake that was found in it, in the order of the file."""

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake[:3])
        super().__init__("\n".join(mistake.text(file) for mistake in self.mistakes))
