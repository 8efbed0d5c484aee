"""A time line as moves, what faults are called, and what is in force."""

from netlab.lab.fault_moves import moves
from netlab.lab.fault_state import InForce, in_force, pending
from netlab.record import faults as recorded
from netlab.topology import faults
from netlab.topology.faults import Fault

PARTED = (("a", "b"), ("c",))


def test_what_lasts_some_time_has_an_end() -> None:
    """The end comes before what begins at the same time."""
    planned = moves(
        [
            Fault(0, "pause", "a", for_ns=10),
            Fault(5, "drain", "w", for_ns=20),
            Fault(10, "kill", "b", signal=9),
            Fault(10, "link", "a-b", for_ns=1, change="down"),
            Fault(10, "partition", groups=PARTED, for_ns=90_000_000),
        ]
    )

    assert [(move.at_ns, str(move.fault), move.begun is not None) for move in planned] == [
        (0, "pause a for 1e-05ms", False),
        (5, "drain w for 2e-05ms", False),
        (10, "resume a", True),
        (10, "kill b", False),
        (10, "link a-b down for 1e-06ms", False),
        (10, "partition a, b | c for 90ms", False),
        (11, "link a-b up", True),
        (25, "undrain w", True),
        (90_000_010, "restore partition a, b | c", True),
    ]


def test_a_kill_by_another_signal_says_so() -> None:
    assert "kill a by SIGHUP" == str(Fault(0, "kill", "a", signal=1))
    assert "restore all" == str(Fault(0, "restore", scope="all"))


def test_all_in_force_can_be_restored() -> None:
    """One restores each; what was killed is started only where somebody asks for it."""
    state = InForce(
        links={"a:eth0": ("link",), "b:eth0": ("partition",)},
        paused=("x",),
        killed=("x", "y"),
        drained={"lb": ("w",)},
        groups=PARTED,
    )

    assert ["restore w", "restore x", "restore y", "restore partition", "restore a:eth0"] == list(
        map(str, pending(state))
    )
    assert "restore y" not in map(str, pending(state, starts=False))
    assert ["link a:eth0 down", "partition a, b | c", "x paused", "w drained", "x killed", "y killed"] == in_force(
        state
    )
    assert InForce().is_empty
    assert not state.is_played


def test_the_record_knows_the_same_words() -> None:
    assert (faults.KINDS, faults.SCOPES, ("", faults.UP, faults.DOWN, faults.IMPAIRED, faults.BEFORE)) == (
        recorded.KINDS,
        recorded.SCOPES,
        recorded.CHANGES,
    )
    assert Fault._fields == recorded.FaultRecord._fields
