"""Faults on a time line, as values: what topology, record and the player of a time line have. Times are nanoseconds."""

from netlab.named_tuple import NamedTuple

KILL, PAUSE, RESUME, DRAIN, UNDRAIN = "kill", "pause", "resume", "drain", "undrain"
LINK, PARTITION, RESTORE = "link", "partition", "restore"
KINDS = (KILL, PAUSE, RESUME, DRAIN, UNDRAIN, LINK, PARTITION, RESTORE)
UP, DOWN = "up", "down"
ALL, NODE, PROCESS = "all", "node", "process"  # what is restored, besides LINK and PARTITION
SCOPES = ("", ALL, NODE, PROCESS, LINK, PARTITION)
SIGKILL = 9
SECOND_NS = 1_000_000_000
LONGEST_NS = 24 * 3600 * SECOND_NS  # of a time line


class Fault(NamedTuple):
    """Something that breaks, or is mended, `at_ns` after the begin of the time line.

    `do` is one of KINDS. `target` is a process by its key, a node (for DRAIN and UNDRAIN), or a link by its name.
    `for_ns` is how long it holds, 0 until it is restored. `signal` is that of a KILL, by its number. `change` is what a
    LINK is set to, and `groups` are those of a PARTITION. `scope` is what a RESTORE is about (SCOPES).
    """

    at_ns: int
    do: str
    target: str = ""
    for_ns: int = 0
    signal: int = 0
    change: str = ""
    groups: tuple[tuple[str, ...], ...] = ()
    scope: str = ""

    def __str__(self) -> str:
        """Return it as a line for people, without its time."""
        words = [self.do, self.target or self.scope, self.change, " | ".join(map(", ".join, self.groups))]
        if self.do == KILL and self.signal != SIGKILL:
            from netlab.kernel.kill import signal_name  # here, as it is rare

            words.append(f"by {signal_name(self.signal)}")
        if self.for_ns:
            words.append(f"for {duration(self.for_ns)}")
        return " ".join(filter(None, words))


def duration(ns: int) -> str:
    """Return a time as people write it: 500ms, 3s."""
    return f"{ns / SECOND_NS:g}s" if ns >= SECOND_NS else f"{ns / 1e6:g}ms"
