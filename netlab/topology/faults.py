"""Faults on a time line, as values: what topology, record and the player of a time line have. Times are nanoseconds."""

from netlab.named_tuple import NamedTuple
from netlab.topology.impairment import PLAIN, Impairment

KILL, PAUSE, RESUME, DRAIN, UNDRAIN = "kill", "pause", "resume", "drain", "undrain"
LINK, PARTITION, RESTORE = "link", "partition", "restore"
KINDS = (KILL, PAUSE, RESUME, DRAIN, UNDRAIN, LINK, PARTITION, RESTORE)
UP, DOWN, IMPAIRED, BEFORE = "up", "down", "impaired", "as before"  # what a link is set to
ALL, NODE, PROCESS = "all", "node", "process"  # what is restored, besides LINK and PARTITION
SCOPES = ("", ALL, NODE, PROCESS, LINK, PARTITION)
SIGKILL = 9
SECOND_NS = 1_000_000_000
LONGEST_NS = 24 * 3600 * SECOND_NS  # of a time line


class Fault(NamedTuple):
    """Something that breaks, or is mended, `at_ns` after the begin of the time line.

    `do` is one of KINDS. `target` is a process by its key, a node (for DRAIN and UNDRAIN), or a link by its name.
    `for_ns` is how long it holds, 0 until it is restored. `signal` is that of a KILL, by its number. `change` is what a
    LINK is set to; for IMPAIRED, `sets` are the fields of `does` that count. `groups` are those of a PARTITION, and
    `scope` is what a RESTORE is about (SCOPES).
    """

    at_ns: int
    do: str
    target: str = ""
    for_ns: int = 0
    signal: int = 0
    change: str = ""
    groups: tuple[tuple[str, ...], ...] = ()
    scope: str = ""
    sets: tuple[str, ...] = ()
    does: Impairment = PLAIN

    def __str__(self) -> str:
        """Return it as a line for people, without its time."""
        words = [self.do, self.target or self.scope, self._change(), " | ".join(map(", ".join, self.groups))]
        if self.do == KILL and self.signal != SIGKILL:
            from netlab.kernel.kill import signal_name  # here, as it is rare

            words.append(f"by {signal_name(self.signal)}")
        if self.for_ns:
            words.append(f"for {duration(self.for_ns)}")
        return " ".join(filter(None, words))

    def _change(self) -> str:
        if self.change != IMPAIRED:
            return self.change
        from netlab.topology import impairment_words

        unset = [field for field in self.sets if getattr(self.does, field) == getattr(PLAIN, field)]
        no = (f"no {field.removesuffix('_ns').removesuffix('_bytes')}" for field in unset)
        return ", ".join((*impairment_words.parts(self.does, seed="seed" in self.sets), *no))


def duration(ns: int) -> str:
    """Return a time as people write it: 500ms, 3s."""
    return f"{ns / SECOND_NS:g}s" if ns >= SECOND_NS else f"{ns / 1e6:g}ms"
