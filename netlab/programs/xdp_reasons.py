"""What an error of XDP means, in plain words. Pure."""

import errno
import os

from netlab.named_tuple import NamedTuple
from netlab.programs import bpf
from netlab.programs import xdp_error_code as code
from netlab.programs.xdp_errors import Error

_ACTIONS = ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT")
_SECOND = {bpf.ATTACH_DEVMAP: "a devmap's entry", bpf.ATTACH_CPUMAP: "a CPU map's entry"}
_DEAF = "the other end has neither an XDP program nor GRO"


class Reason(NamedTuple):
    """A name that stays the same, and words, in which {target} is the interface that the frame was to leave by."""

    name: str
    words: str


_REDIRECT = {
    errno.EOPNOTSUPP: Reason("no-receiver", f"redirected to {{target}}, which takes no such frames: {_DEAF}"),
    errno.ENXIO: Reason("no-receiver", f"redirected to {{target}}, which is down, or {_DEAF}"),
    errno.ENETDOWN: Reason("interface-down", "redirected to {target}, which is down"),
    errno.EMSGSIZE: Reason("too-large", "redirected to {target}, but the frame is larger than its MTU"),
    errno.EBADRQC: Reason("no-target", "XDP_REDIRECT without a target: the program has called no bpf_redirect for it"),
    errno.EOVERFLOW: Reason("no-headroom", "redirected to {target}, but the frame has no room in front of its data"),
}
_NO_INTERFACE = Reason("no-such-interface", "redirected to an index that no interface has")
_FULL = Reason(
    "receiver-full",
    "redirected to {target}, but the other end takes no more: its queue is full, or the frame is larger than its MTU",
)
_TRANSMIT = {
    errno.ENXIO: Reason("tx-no-receiver", f"sent back by XDP_TX, but {_DEAF}"),
    0: Reason(
        "tx-receiver-full",
        "sent back by XDP_TX, but the other end takes no more: its queue is full, as it has no XDP program or is too "
        "slow, or the frame is larger than its MTU",
    ),
}
_SOCKET = {
    errno.EINVAL: Reason("no-such-socket", "redirected to an AF_XDP socket of another interface or queue"),
    errno.ENOBUFS: Reason("socket-full", "redirected to an AF_XDP socket whose receive ring is full"),
    errno.ENOSPC: Reason("socket-empty", "redirected to an AF_XDP socket that offers no room: its fill ring is empty"),
    errno.ENOMEM: Reason("socket-empty", "redirected to an AF_XDP socket that offers no room: its fill ring is empty"),
}


def reason(error: Error) -> Reason:
    """Return what an error is called, and what it means."""
    match error.kind:
        case code.EXCEPTION:
            return _of_action(error)
        case code.REDIRECT:
            return _of_redirect(error)
        case code.DEVMAP:
            return _FULL if not error.code else _known(_REDIRECT, "transmit", error.code, "redirected to {target}")
        case code.TRANSMIT:
            return _known(_TRANSMIT, "tx", error.code, "sent back by XDP_TX")
        case code.CPUMAP:
            return Reason("cpu-full", f"redirected to CPU {error.number}, whose queue is full")
    return Reason("cpu-no-memory", "redirected to a CPU, where no memory was left for the frame")


def _of_action(error: Error) -> Reason:
    if error.number >= code.KNOWN_ACTIONS:
        more = " or more" if error.number == code.MOST_ACTIONS else ""
        return Reason("unknown-action", f"the program returned an action that XDP does not know ({error.number}{more})")
    action = _ACTIONS[error.number]
    if action == "XDP_ABORTED":
        return Reason(
            "aborted", "XDP_ABORTED: the program returned it, or bpf_redirect_map did, as the map has no such entry"
        )
    if error.extra in _SECOND:
        where = _SECOND[error.extra]
        return Reason("action-not-allowed", f"the program of {where} returned {action}, which is not allowed there")
    return Reason(f"{action[4:].lower()}-failed", f"{action} failed")


def _of_redirect(error: Error) -> Reason:
    if error.extra == bpf.XSKMAP:
        return _known(_SOCKET, "socket", error.code, "redirected to an AF_XDP socket")
    if not error.extra and error.code == errno.EINVAL:
        return _NO_INTERFACE
    if error.extra == bpf.CPUMAP:
        return _known({}, "cpu", error.code, "redirected to a CPU")
    return _known(_REDIRECT, "redirect", error.code, "redirected to {target}")


def _known(known: dict[int, Reason], name: str, number: int, words: str) -> Reason:
    """Return the reason of an error's number, or else what the C library calls it."""
    called = errno.errorcode.get(number, str(number)).lower()
    return known.get(number) or Reason(f"{name}-{called}", f"{words}: {os.strerror(number)} ({called.upper()})")


def words(error: Error, target: str) -> str:
    """Return the reason as words; `target` is the interface that the frame was to leave by, "" if not known."""
    return reason(error).words.replace("{target}", target or "an interface")


def example(error: Error, detail: int) -> str:
    """Return what the words lack of the frame that they are about: the index that no interface has."""
    return f" ({detail})" if reason(error) is _NO_INTERFACE else ""
