"""Checks of a lab, as values: what `netlab test` looks at, and what it expects to see. Times are nanoseconds."""

from netlab.named_tuple import NamedTuple
from netlab.topology.faults import Fault, duration

PING, RUN, LINE, STATS, MAP, INTERFACE = "ping", "run", "line", "stats", "map", "interface"
KINDS = (PING, RUN, LINE, STATS, MAP, INTERFACE)
VALUES = (STATS, MAP, INTERFACE)  # whose value is compared
COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_NONE = {PING: "no", LINE: "no"}  # instead of "a"
LONGEST_NS = 3600 * 1_000_000_000


class Check(NamedTuple):
    """Something that has to be so in a lab, within a time, and then for a time.

    `do` is one of KINDS. `node` is where: of a PING the node that sends, of a LINE the process, node or program that
    says it. `words` are a PING's target (a node's name or an address), the argv of a RUN, the pattern of a LINE, or the
    place of a value: its dotted path in `netlab stats --format json`, map and key, or interface and counter.

    Of a RUN `code` is the exit code that is expected, and its output has the pattern `shows` (any, if it is empty), and
    not the pattern `hides`. Of a value, it compares so (COMPARISONS) with `wanted`. `fails` turns the check round.

    `within_ns` is how long to wait until it is so, `for_ns` how long it then stays so. Before, the faults `after`
    happen, each at its time. `name` is what people call it, "" if they do not; `line` is where it stands in its file.
    """

    do: str
    node: str
    words: tuple[str, ...] = ()
    code: int = 0
    shows: str = ""
    hides: str = ""
    comparison: str = ""
    wanted: str = ""
    fails: bool = False
    within_ns: int = 0
    for_ns: int = 0
    after: tuple[Fault, ...] = ()
    name: str = ""
    line: int = 0

    @property
    def title(self) -> str:
        """What the check is called, or what it does."""
        return self.name or self.what

    @property
    def what(self) -> str:
        """What the check does, in a few words."""
        turned = " fails" if self.fails else ""
        match self.do:
            case "ping":
                return f"ping from {self.node} to {self.words[0]}{turned}"
            case "run":
                argv = self.words[2:] if self.words[:2] == ("sh", "-c") else self.words
                return f"run in {self.node}: {' '.join(argv)}{turned}"
            case "line":
                return f"line of {self.node}: {self.words[0]}{turned}"
        return f"{self.do} {' '.join((self.node, *self.words))}{turned}"

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        match self.do:
            case "ping":
                found = "an answer"
            case "run":
                found = f"exit code {self.code}"
                found += f", output with {self.shows!r}" if self.shows else ""
                found += f", output without {self.hides!r}" if self.hides else ""
            case "line":
                found = f"a line with {self.words[0]!r}"
            case _:
                found = f"a value {self.comparison} {self.wanted}"
        if self.fails:
            found = f"{_NONE.get(self.do, 'anything but')} {found.partition(' ')[2] if self.do in _NONE else found}"
        found += f" within {duration(self.within_ns)}" if self.within_ns else ""
        return found + (f", and so for {duration(self.for_ns)}" if self.for_ns else "")
