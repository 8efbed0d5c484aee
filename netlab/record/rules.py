"""What single values of a record must be: types with rules."""

from typing import Annotated

from netlab import paths
from netlab.record.shapes import Rule

_DEFAULT = "default"
_MOST_CORES = 1 << 16
_VLANS = 4095
_MOST_INDEX = (1 << 31) - 1
_LONGEST_INTERFACE = 15
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAMES, _SYSCTLS = frozenset(_LETTERS + "._-"), frozenset(_LETTERS + "._-/")
_NO_NAMES = frozenset(" \t\n\v\f\r\0")  # what the kernel takes in no interface's name
_HEX = frozenset("0123456789abcdefABCDEF")
_BYTES = frozenset(map(str, range(256)))
_IPV6_WORDS = 8
_MAC_LENGTH = len("02:00:00:00:00:01")


def is_host(text: str) -> bool:
    """Say whether a text is an IP address, like inet_pton(3), but without modules that are slow to load."""
    if ":" not in text:
        parts = text.split(".")
        return len(parts) == len("abcd") and _BYTES.issuperset(parts)
    start, gap, end = text.partition("::")
    words = [word for part in (start, end) if part for word in part.split(":")]
    if words and "." in words[-1] and text.endswith(words[-1]):  # the last 32 bits may be an IPv4 address
        words[-1:] = ["0", "0"] if is_host(words[-1]) else [""]
    is_long = len(words) == _IPV6_WORDS if not gap else len(words) < _IPV6_WORDS
    return is_long and all(0 < len(word) <= len("ffff") and _HEX.issuperset(word) for word in words)


def is_address(text: str) -> bool:
    """Say whether a text is an IP address with its prefix length."""
    address, _, length = text.partition("/")
    is_length = length.isascii() and length.isdigit() and len(length) <= len("128")
    return is_length and int(length) <= (128 if ":" in address else 32) and is_host(address)


def _is_network(text: str) -> bool:
    return text == _DEFAULT or is_address(text)


def _is_mac(text: str) -> bool:
    return len(text) == _MAC_LENGTH and text[2::3] == ":::::" and _HEX.issuperset(text.replace(":", ""))


def _is_interface(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_INTERFACE and _NAMES.issuperset(text) and text[0] not in ".-"


def _is_sysctl(text: str) -> bool:
    """Say whether this is the name of a network sysctl, and leads nowhere else (kernel/sysctls)."""
    return _is_hosts_sysctl(text) and _SYSCTLS.issuperset(text)


def _is_hosts_sysctl(text: str) -> bool:
    """Say the same of one that may have the name of an interface of this host, with any letters."""
    stays = not {"", "/", "//"}.intersection(text.split("."))
    return text.startswith("net.") and stays and _NO_NAMES.isdisjoint(text)


def _one_of(*words: str) -> Rule:
    return Rule(" or ".join(words), words.__contains__)


Kind = Annotated[str, _one_of("node", "switch", "host")]
Dialect = Annotated[str, _one_of("", "bcc", "libbpf")]
Hook = Annotated[str, _one_of("xdp", "tc ingress", "tc egress")]
Mode = Annotated[str, _one_of("native", "generic", "")]
RuntimeName = Annotated[str, _one_of("netns", "docker")]
Label = Annotated[str, Rule("a name of letters a-z, digits and inner hyphens", paths.is_label)]
Name = Annotated[str, Rule("a name of letters, digits, and inner hyphens and underscores", paths.is_name)]
InterfaceName = Annotated[str, Rule("the name of a network interface", _is_interface)]
Host = Annotated[str, Rule("an IP address", is_host)]
Address = Annotated[str, Rule("an IP address with its prefix length", is_address)]
NextHop = Annotated[str, Rule("an IP address, or nothing", lambda text: not text or is_host(text))]
ReadyKind = Annotated[str, _one_of("", "line", "port", "file", "command", "http")]
RestartWhen = Annotated[str, _one_of("no", "on-failure", "always")]
RouteKind = Annotated[str, _one_of("", "unreachable", "blackhole", "prohibit")]
RouteMetric = Annotated[int, Rule("the metric of a route", lambda metric: 0 <= metric < 1 << 32)]
RouteIndex = Annotated[int, Rule("the index of a network interface, or 0", lambda index: 0 <= index <= _MOST_INDEX)]
Network = Annotated[str, Rule(f"an IP network or {_DEFAULT!r}", _is_network)]
Mac = Annotated[str, Rule("a MAC such as 02:00:00:00:00:01", _is_mac)]
Sysctl = Annotated[str, Rule("a dotted name such as net.ipv4.tcp_ecn", _is_sysctl)]
HostSysctl = Annotated[str, Rule("a dotted name such as net.ipv4.ip_forward", _is_hosts_sysctl)]
Index = Annotated[int, Rule("the index of a network interface", lambda index: 0 < index <= _MOST_INDEX)]
Vlan = Annotated[int, Rule("a VLAN, or 0", lambda vlan: 0 <= vlan < _VLANS)]
Cores = Annotated[float, Rule("a number of cores", lambda cores: 0 <= cores <= _MOST_CORES)]
