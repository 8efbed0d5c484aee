"""A packet that was seen at an interface of a lab, and what a program has made of it. Data."""

from netlab.named_tuple import NamedTuple
from netlab.topology.hooks import XDP

_XDP = ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT")
_TC = {
    -1: "TC_ACT_UNSPEC",
    0: "TC_ACT_OK",
    1: "TC_ACT_RECLASSIFY",
    2: "TC_ACT_SHOT",
    3: "TC_ACT_PIPE",
    4: "TC_ACT_STOLEN",
    5: "TC_ACT_QUEUED",
    6: "TC_ACT_REPEAT",
    7: "TC_ACT_REDIRECT",
    8: "TC_ACT_TRAP",
}
_ENDS = ("XDP_ABORTED", "XDP_DROP", "TC_ACT_SHOT")


class Verdict(NamedTuple):
    """What a program has made of a packet: `code` is what it has returned, `reason` a name of its own, or "".

    `after` are the packet's bytes as the program has left them, at `after_ns`; `after_length` is how long it is then.
    """

    program: str
    function: str
    hook: str
    code: int
    reason: str
    after: bytes
    after_ns: int
    after_length: int

    @property
    def name(self) -> str:
        """The kernel's name of the verdict."""
        if self.hook == XDP:
            return _XDP[self.code] if self.code < len(_XDP) else f"XDP verdict {self.code}"
        signed = self.code - (1 << 32) if self.code >> 31 else self.code
        return _TC.get(signed, f"tc verdict {signed}")

    @property
    def is_drop(self) -> bool:
        """Whether the packet goes no further."""
        return self.name in _ENDS or self.name.startswith("XDP verdict")


class Seen(NamedTuple):
    """A packet at an interface of a node: when (CLOCK_MONOTONIC), whether it leaves there, its bytes and its length.

    `verdict` is None where no program tells of it. Bytes may be fewer than the length.
    """

    ns: int
    node: str
    interface: str
    leaves: bool
    data: bytes
    length: int
    verdict: Verdict | None = None

    @property
    def place(self) -> str:
        """The interface, as NODE:INTERFACE."""
        return f"{self.node}:{self.interface}"
