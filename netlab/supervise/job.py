"""What `up` gives a lab's supervisor to do, as data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.kernel import umask
from netlab.named_tuple import NamedTuple

if TYPE_CHECKING:
    from netlab.programs.xdp_places import Node
    from netlab.runtime.base import Entrance, Place


class Start(NamedTuple):
    """A process, by its key: an argv that enters its node, variables to add, and the processes that it waits for.

    `cwd` is the folder that it starts in, `place` the container that it enters, and `entrance` how it enters a node
    with files of its own; None if it does not. Without `autostart`, it starts only on request. `stays` and `may_exit`
    are as in topology.model.Process.

    `ready` is the sign that it is ready: kind, what, an argv that enters the node, and seconds; None means READY, as a
    role prints it. `runs_role` says that it is a role in any case. `restart` is when it starts again by itself, and how
    often. `is_grouped` says that it has a control group for everything that it starts: `group`, or one of its own.
    """

    process: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    awaits_ready: bool = True
    cwd: str = "/"
    place: "Place | None" = None
    autostart: bool = True
    stays: bool = False
    may_exit: bool = False
    entrance: "Entrance | None" = None
    runs_role: bool = False
    ready: "tuple[str, str, tuple[str, ...], float] | None" = None
    restart: tuple[str, int] = ("no", 0)
    is_grouped: bool = False
    group: str = ""

    @property
    def is_role(self) -> bool:
        """Whether it is a role, which prints its lines with their times, and may end when its work is done."""
        return self.runs_role or (self.awaits_ready and not self.ready)

    @property
    def within(self) -> float:
        """How many seconds it has to become ready; 0 if the topology does not say."""
        return self.ready[3] if self.ready else 0.0


class Setup(NamedTuple):
    """The setup of a node: argvs that enter it, each with its name in messages; the rest as in Start."""

    node: str
    commands: tuple[tuple[tuple[str, ...], str], ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    place: "Place | None" = None
    entrance: "Entrance | None" = None


def encoded(
    lab: str,
    trace: bool,
    deadline_s: float,
    setups: Sequence[Setup],
    starts: Sequence[Start],
    *,
    errors: "Sequence[Node]" = (),
    events: bool = False,
    holder: Sequence[str] | None = None,
) -> bytes:
    """Return the job as its supervisor reads it: one line of JSON.

    `holder` is the command that holds packets up on links, () if none has to, None in a lab without a middle. `trace`
    says that there are programs, `events` that these have maps of events, `errors` in which nodes it is counted what
    goes wrong with XDP (programs/xdp_places).
    """
    import json

    parts = {
        "setups": [{**one._asdict(), "env": dict(one.env)} for one in setups],
        "starts": [{**one._asdict(), "env": dict(one.env)} for one in starts],
    }
    about = {
        "lab": lab,
        "umask": umask.callers(),
        "trace": trace,
        "events": events,
        "deadline_s": deadline_s,
        "middle": holder,
    }
    return json.dumps({**about, "errors": errors, **parts}).encode() + b"\n"
