"""Makes links carry packets at once.

The kernel hears of a carrier in a queue of work of its own. Until it has come to an interface there, what leaves by it
is dropped without a word, such as the first ARP request (net/core/link_watch.c). That takes some milliseconds on a busy
machine, and up to a second for the last of more than a hundred interfaces. It is done at once for an interface whose
carrier somebody asks for by ethtool.
"""

import fcntl
import socket
import struct
from array import array
from collections.abc import Iterable
from contextlib import suppress

_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A


def settle(interfaces: Iterable[str]) -> None:
    """Let the kernel come to the carriers of these interfaces of the calling thread's namespace.

    An interface that is not there any more is left out: what uses it will say so.
    """
    answer = array("I", (_ETHTOOL_GLINK, 0))
    at = answer.buffer_info()[0]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as any_socket:
        number = any_socket.fileno()
        for name in interfaces:
            with suppress(OSError):
                fcntl.ioctl(number, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), at))
