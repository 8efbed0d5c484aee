"""In the supervisor: what shows that a process is ready."""

from collections.abc import Mapping
from typing import Any

from netlab.kernel.searching import Searcher, TookTooLong, shown
from netlab.named_tuple import NamedTuple

SAID, LINE, PORT, FILE, COMMAND, HTTP = "said", "line", "port", "file", "command", "http"
_SEARCH_CPU_S = 1.0  # for a pattern on all lines of a process: the supervisor can do nothing else meanwhile

_MISSING = {
    "": "",
    SAID: "it has not said READY",
    LINE: "it has printed no line with {}",
    PORT: "nobody listens at port {}",
    FILE: "there is no {}",
    COMMAND: "{} has not ended yet",
    HTTP: "{} gives no answer",
}


class Sign(NamedTuple):
    """What shows that a process is ready: see topology.model.Ready. The kind `said` is the line READY; "" is nothing.

    `argv` enters the node. `within` is how many seconds the process has, 0 if the topology does not say.
    """

    kind: str = ""
    what: str = ""
    argv: tuple[str, ...] = ()
    within: float = 0.0
    searcher: Searcher | None = None

    @property
    def is_said(self) -> bool:
        """Whether it is the line that roles print."""
        return self.kind == SAID

    @property
    def is_looked_for(self) -> bool:
        """Whether the supervisor has to look for it again and again."""
        return self.kind in (PORT, FILE, COMMAND, HTTP)

    def shown_by(self, stream: bytes, text: bytes) -> bool:
        """Say whether a line that the process has printed is the sign."""
        if self.kind == SAID:
            return text == b"READY" and stream == b"out"
        if not self.searcher:
            return False
        line = text.decode(errors="replace")
        try:
            return self.what in line or bool(self.searcher.search(line))
        except TookTooLong:
            return False

    def missing(self) -> str:
        """Return what is missing, for a process that was not checked yet."""
        if self.searcher and self.searcher.gave_up:
            return f"the pattern {shown(self.what)} takes too long on its lines: write a simpler one"
        return _MISSING[self.kind].format(shown(self.what) if self.kind == LINE else self.what)


def of(start: Mapping[str, Any]) -> Sign:
    """Return what shows that a process of the job is ready."""
    if not start["awaits_ready"]:
        return Sign()
    kind, what, argv, within = start.get("ready") or ("", "", (), 0.0)
    if not kind:
        return Sign(SAID, within=within)
    return Sign(kind, what, tuple(argv), within, Searcher(what, _SEARCH_CPU_S) if kind == LINE else None)
