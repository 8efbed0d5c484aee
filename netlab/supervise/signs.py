"""In the supervisor: what shows that a process is ready."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

SAID, LINE, PORT, FILE, COMMAND, HTTP = "said", "line", "port", "file", "command", "http"


_MISSING = {
    "": "",
    SAID: "it has not said READY",
    LINE: "it has printed no line with {!r}",
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
    pattern: "re.Pattern[str] | None" = None

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
        if not self.pattern:
            return False
        line = text.decode(errors="replace")
        return self.what in line or bool(self.pattern.search(line))

    def missing(self) -> str:
        """Return what is missing, for a process that was not checked yet."""
        return _MISSING[self.kind].format(self.what)


def of(start: Mapping[str, Any]) -> Sign:
    """Return what shows that a process of the job is ready."""
    if not start["awaits_ready"]:
        return Sign()
    kind, what, argv, within = start.get("ready") or ("", "", (), 0.0)
    if not kind:
        return Sign(SAID, within=within)
    return Sign(kind, what, tuple(argv), within, re.compile(what) if kind == LINE else None)
