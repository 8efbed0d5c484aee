"""Which runtime a lab lives in."""

from netlab.lab import standing


def test_a_lab_without_a_record_may_be_of_either_runtime() -> None:
    """All are looked through, whether or not an engine answers."""
    runtimes = standing.runtimes_left("no-such-lab", "/run/netlab/no-such-lab")

    assert ["Netns", "Docker"] == [type(runtime).__name__ for runtime in runtimes]
