"""Capabilities by name."""

from netlab.kernel import capabilities


def test_masks_are_those_of_the_kernel() -> None:
    """Bits are numbered as in linux/capability.h."""
    assert capabilities.mask(["CHOWN"]) == 1
    assert capabilities.mask(["NET_ADMIN", "BPF", "BPF"]) == 1 << 12 | 1 << 39
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        assert int(file.read()) <= len(capabilities.NAMES) - 1
