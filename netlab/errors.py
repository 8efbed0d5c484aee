"""Every error that netlab raises on purpose, and the exit code of the command for each.

NetlabError            1   the work failed, and was undone
├── BuildError         1   a program of the user's does not compile
│   └── BuildLimitError 1  it takes too much time or memory to compile and load
├── VerifierError      1   the kernel's verifier refuses it
├── OutsideError       1   what nobody trusts reaches for something outside its room
├── TimeLimitError     1   something was not over in time
├── CommandError       1   a command in a node has failed, where that was not to be
├── UsageError         2   a wrong option or argument
│   └── TopologyError  2   a topology with mistakes, all of them at once
└── HostError          3   this host cannot do it: not root, a missing tool, an old kernel
"""

import errno

from netlab.named_tuple import NamedTuple

_TASKS = "raise the limit of processes (ulimit -u), or pids.max of the control group"
_LIMITS = {
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "raise the sysctl fs.file-max",
    errno.EAGAIN: _TASKS,
    errno.ENOSPC: "make room, or more inodes: df, df -i",
}


class NetlabError(Exception):
    """The work failed; the message says what happened and what to do about it."""

    exit_code = 1


class BuildError(NetlabError):
    """A program does not compile, or is no program."""


class BuildLimitError(BuildError):
    """A program takes more time or memory to compile and load than it may."""


class VerifierError(NetlabError):
    """The kernel's verifier refuses a program."""


class OutsideError(NetlabError):
    """A program that nobody trusts reaches for what is not its own: a file outside its folder, or more of the kernel.

    It was refused, and got nothing of it.
    """


class TimeLimitError(NetlabError):
    """Something was not over in the time that the caller gave it."""


class CommandError(NetlabError):
    """A command in a node has ended with another exit code than 0; a negative `code` is the signal that ended it."""

    def __init__(self, node: str, command: str, code: int, out: str, err: str) -> None:
        self.node, self.command, self.code, self.out, self.err = node, command, code, out, err
        said = (err or out).strip()
        super().__init__(f"{node}: {command}: exit code {code}" + (f"\n{said}" if said else ""))


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
    """A topology that cannot be built, with all its mistakes in the order of the file."""

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake[:3])
        super().__init__("\n".join(mistake.text(file) for mistake in self.mistakes))


def reason(error: OSError) -> str:
    """Return what the kernel says of an error, and the limit of this host that it means, if any."""
    what = error.strerror or str(error)
    limit = _LIMITS.get(error.errno or 0)
    return f"{what} ({limit})" if limit else what


def refuse_lack(error: OSError, what: str) -> None:
    """Raise HostError if an error means a limit of this host; `what` says what could not be done."""
    if error.errno in _LIMITS:
        raise HostError(f"{what}: {reason(error)}") from error


def _lack(error: BaseException) -> str:
    """Return what this host has refused or lacks; "" for an error that is not the host's."""
    match error:
        case OSError():
            return f"{error.filename}: {reason(error)}" if error.filename else reason(error)
        case RuntimeError() if "start new thread" in str(error):  # Python's words; it has no type for that
            return f"no thread can be started ({_TASKS})"
        case MemoryError():
            return "there is no memory left (free, ulimit -v)"
    return ""


def explain(error: BaseException) -> tuple[str, int]:
    """Return what a person is told of an error that ends a command ("": nothing), and the exit code.

    A BrokenPipeError is no failure: whoever reads our stdout has seen enough. Any other OSError comes from this host.
    """
    match error:
        case TopologyError():
            from netlab.words import count

            mistakes = count(len(error.mistakes), "mistake")
            return f"{error}\nnetlab: {mistakes} in {error.file}; nothing was made", error.exit_code
        case NetlabError():
            return f"netlab: {error}", error.exit_code
        case KeyboardInterrupt():
            return "netlab: interrupted", NetlabError.exit_code
        case BrokenPipeError():
            return "", 0
    if lack := _lack(error):
        return f"netlab: this host does not let netlab do its work: {lack}", HostError.exit_code
    kind = type(error).__name__
    return f"netlab: an error inside netlab: {kind}: {error} (NETLAB_DEBUG=1 shows where)", NetlabError.exit_code
