"""The steps of links that do something to packets: these are led through the middle, a namespace of the lab's own.

Such a link a—b is two, a—l3a and l3b—b; l3a and l3b are in the middle. What comes in at one leaves by the other.
"""

from typing import TYPE_CHECKING

from netlab.named_tuple import NamedTuple
from netlab.paths import MIDDLE
from netlab.plan.command_words import namespace, quoted
from netlab.plan.equality import compared_by_kind

if TYPE_CHECKING:
    from netlab.topology.impairment import Impairment

# Nobody is to hear of the middle: it has no addresses, and sends nothing of its own.
SYSCTLS = (("net.ipv6.conf.all.disable_ipv6", "1"), ("net.ipv6.conf.default.disable_ipv6", "1"))


@compared_by_kind
class CreateMiddle(NamedTuple):
    """The namespace in the middle of all links that do something to packets; also in a lab of containers."""

    lab: str = ""
    sysctls: tuple[tuple[str, str], ...] = SYSCTLS

    @property
    def node(self) -> str:
        """The name by which `ip netns` and messages know it; no node has it."""
        return MIDDLE

    def __str__(self) -> str:
        """Return the equivalent `ip` and `sysctl` lines."""
        name = namespace(self.lab, MIDDLE)
        values = " ".join(f"{key}={value}" for key, value in self.sysctls)
        return f"ip netns add {name}\nip -n {name} link set lo up\nip netns exec {name} sysctl -qw {values}"

    def undone(self) -> str:
        """Return the line that removes it."""
        return f"ip netns del {namespace(self.lab, MIDDLE)}"


@compared_by_kind
class SendSingly(NamedTuple):
    """Prepares one end of a link for the middle: frames leave one by one, with their checksums computed.

    Without that, a link would lose or corrupt many segments as one, and nobody would see what is corrupt.
    """

    node: str
    interface: str
    lab: str = ""

    def __str__(self) -> str:
        """Return the equivalent `ethtool` line."""
        return self._line("off")

    def undone(self) -> str:
        """Return the line that sets the offload as on a new link."""
        return self._line("on")

    def _line(self, how: str) -> str:
        return f"ip netns exec {namespace(self.lab, self.node)} ethtool -K {quoted(self.interface)} tx {how}"


@compared_by_kind
class Impair(NamedTuple):
    """One direction of a link: what comes from `node` into the middle at `source` leaves by `target`, impaired."""

    node: str
    interface: str
    source: str
    target: str
    impairment: "Impairment"
    lab: str = ""

    def __str__(self) -> str:
        """Return the equivalent `tc` lines; a comment says what only a program of netlab's does."""
        from netlab.topology.impairment_words import words

        tc = f"tc -n {namespace(self.lab, MIDDLE)}"
        where = f"{namespace(self.lab, self.node)} {self.interface}"
        matched = "protocol all u32 match u32 0 0"
        lines = [
            f"{tc} qdisc add dev {self.source} clsact",
            f"{tc} filter add dev {self.source} ingress {matched} action mirred egress redirect dev {self.target}",
        ]
        if not self.impairment.is_none:
            lines.append(f"# netlab: what {where} sends: {words(self.impairment)}")
        return "\n".join((*lines, *(f"{tc} qdisc add dev {self.target} {each}" for each in self._queues())))

    def undone(self) -> str:
        """Return the lines after which nothing is carried in this direction."""
        tc = f"tc -n {namespace(self.lab, MIDDLE)}"
        queue = [f"{tc} qdisc del dev {self.target} root"] if self._queues() else []
        return "\n".join((f"{tc} qdisc del dev {self.source} clsact", *queue))

    def _queues(self) -> list[str]:
        """Return the queues that a kernel with netem would have; one without it has a process of netlab's for these."""
        from netlab.topology.impairment_words import rate, time

        about, found = self.impairment, []
        if about.delay_ns:
            jitter = f" {time(about.jitter_ns)}" if about.jitter_ns else ""
            found.append(f"root handle 1: netem delay {time(about.delay_ns)}{jitter}")
        if about.rate:
            place = "parent 1:1" if found else "root"
            burst, queue = max(about.rate // 8 // 250, 3200), about.queue_bytes or max(about.rate // 8 // 20, 16 * 1514)
            found.append(f"{place} tbf rate {rate(about.rate)} burst {burst} limit {queue}")
        return found


MiddleStep = SendSingly | Impair
