"""Which sysctls of a node are no longer as planned. Pure."""

from collections.abc import Iterator, Mapping

from netlab.topology.ip_arithmetic import parse


def changed(planned: Mapping[str, str], seen: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield each that was changed after `up`: its name, what it is, and what is planned."""
    for name, value in planned.items():
        found = seen.get(name)
        if found is not None and not _same(found, value) and _is_changed(planned, name, value):
            yield name, found, value


def _is_changed(planned: Mapping[str, str], name: str, value: str) -> bool:
    """Say whether a sysctl that does not have its planned value was changed after `up`.

    A node that forwards although it need not is no problem. One sysctl may set another: those with the same leaf
    (net.ipv4.conf.all.forwarding, net.ipv4.ip_forward) are reported only if all have the same planned value.
    """
    leaf = _leaf(name)
    alike = {other for each, other in planned.items() if _leaf(each) == leaf}
    return len(alike) == 1 and not (leaf[1] == "forwarding" and value == "0")


def _leaf(name: str) -> tuple[str, str]:
    """Return a sysctl's family (net.ipv4) and its last part; another sysctl with the same two may set it."""
    parts = name.replace("/", ".").split(".")
    return ".".join(parts[:2]), "forwarding" if parts[-1] == "ip_forward" else parts[-1]


def _same(found: str, planned: str) -> bool:
    """Say whether two texts are the same value of a sysctl: numbers and addresses can be written in several ways."""
    return [*map(_meaning, found.split())] == [*map(_meaning, planned.split())]


def _meaning(word: str) -> object:
    try:
        return parse(word) if ":" in word else int(word, 0)
    except (OSError, ValueError):
        return word
