"""The kernel's counters of a network namespace."""

_IPV4, _IPV6 = "/proc/thread-self/net/snmp", "/proc/thread-self/net/snmp6"


def udp_rcvbuf_errors() -> int:
    """Return how many datagrams were dropped because their socket's buffer was full, in the calling thread's namespace.

    It is the sum of UdpRcvbufErrors and Udp6RcvbufErrors; raises OSError if these cannot be read.
    """
    return _of_ipv4(_text(_IPV4)) + _of_ipv6(_text(_IPV6))


def _of_ipv4(text: str) -> int:
    names, values = ([*line.split()] for line in text.splitlines() if line.startswith("Udp: "))
    return int(dict(zip(names, values, strict=True))["RcvbufErrors"])


def _of_ipv6(text: str) -> int:
    found = (line.split() for line in text.splitlines())
    return sum(int(value) for name, value in found if name == "Udp6RcvbufErrors")


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:  # a kernel without IPv6
        return ""
