"""Filters in the words of tcpdump, as pcap-filter(7) has them; libpcap compiles them, and names of nodes are known.

libpcap is used through ctypes. A filter becomes instructions of classic BPF, which a packet socket takes, and which
libpcap runs on bytes.
"""

import ctypes
import re
from collections.abc import Mapping, Sequence
from typing import Any

from netlab.errors import HostError, UsageError

_ETHERNET = 1  # DLT_EN10MB
_MOST_BYTES = 1 << 18
_ANY_NETMASK = 0xFFFFFFFF
_INSTRUCTION_BYTES = 8
_ERROR_BYTES = 256
_HOST = re.compile(r"\b((?:(?:src|dst)\s+(?:(?:or|and)\s+(?:src|dst)\s+)?)?)host\s+([\w.-]+)")


class _Program(ctypes.Structure):
    """struct bpf_program."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class PacketFilter:
    """A compiled filter; the constructor compiles it."""

    def __init__(self, text: str, hosts: Mapping[str, Sequence[str]]) -> None:
        """Compile a filter, in which `host` may have a name in `hosts`, which has addresses.

        UsageError, with what libpcap says, if it is none; HostError without libpcap.
        """
        self.text = text
        self._library = library()
        self._program = _Program()
        handle = self._library.pcap_open_dead(_ETHERNET, _MOST_BYTES)
        known = with_addresses(text, hosts)
        try:
            if self._library.pcap_compile(handle, ctypes.byref(self._program), known.encode(), 1, _ANY_NETMASK):
                why = self._library.pcap_geterr(handle).decode(errors="replace")
                raise UsageError(f"filter {text!r}: expected one in tcpdump's words, such as 'udp port 8080': {why}")
        finally:
            self._library.pcap_close(handle)

    @property
    def instructions(self) -> bytes:
        """The instructions, each a struct sock_filter."""
        return ctypes.string_at(self._program.instructions, self._program.length * _INSTRUCTION_BYTES)

    def matches(self, data: bytes, length: int) -> bool:
        """Say whether a frame of this length matches, of which these bytes are there."""
        return bool(self._library.bpf_filter(self._program.instructions, data, length, len(data)))


def with_addresses(text: str, hosts: Mapping[str, Sequence[str]]) -> str:
    """Return a filter with addresses in the place of names of nodes; one of several addresses is enough."""

    def addresses(found: "re.Match[str]") -> str:
        which, name = found.groups()
        known = hosts.get(name)
        if not known:
            return found[0]
        return f"({' or '.join(f'{which}host {address}' for address in known)})"

    return _HOST.sub(addresses, text)


def library() -> Any:
    """Return libpcap; HostError if it is not installed."""
    try:
        found = ctypes.CDLL("libpcap.so.0.8")
    except OSError:
        try:
            found = ctypes.CDLL("libpcap.so.1")  # as distributions other than Debian's call it
        except OSError as error:
            raise HostError(
                f"filters are compiled by libpcap, which is not installed ({error}): apt-get install libpcap0.8"
            ) from None
    found.pcap_open_dead.restype = ctypes.c_void_p
    found.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    found.pcap_compile.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32)
    found.pcap_geterr.restype = ctypes.c_char_p
    found.pcap_geterr.argtypes = found.pcap_close.argtypes = (ctypes.c_void_p,)
    found.bpf_filter.restype = ctypes.c_uint
    found.bpf_filter.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint)
    return found
