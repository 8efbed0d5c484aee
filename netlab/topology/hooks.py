"""Hooks: the places on the way of packets through an interface at which a program can be attached."""

XDP = "xdp"  # what arrives, before the kernel has made anything of it
INGRESS, EGRESS = "tc ingress", "tc egress"  # what arrives, and what leaves, as the kernel has it
TC = (INGRESS, EGRESS)
ALL = (XDP, *TC)


def direction(hook: str) -> str:
    """Return the last word of a hook: xdp, ingress or egress."""
    return hook.rpartition(" ")[2]
