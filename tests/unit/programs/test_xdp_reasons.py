"""What has gone wrong with XDP, in words, and where."""

import errno
import struct

import pytest

from netlab.programs import bpf, xdp_errors, xdp_places, xdp_reasons
from netlab.programs import xdp_error_code as code
from netlab.programs.xdp_errors import Error

NODES = [xdp_places.Node(node="fw", interfaces={"16": "eth0", "17": "eth1"}, programs={"eth0": "fw/in"})]


def error(kind: int, extra: int = 0, number: int = 0, of: int = 0, target: str = "") -> Error:
    return Error(0, kind, extra, number, of, "eth0", target)


@pytest.mark.parametrize(
    ("what", "name", "words"),
    [
        (error(code.EXCEPTION), "aborted", "XDP_ABORTED"),
        (error(code.EXCEPTION, of=3), "tx-failed", "XDP_TX failed"),
        (error(code.EXCEPTION, of=7), "unknown-action", "that XDP does not know (7)"),
        (error(code.EXCEPTION, of=255), "unknown-action", "that XDP does not know (255 or more)"),
        (
            error(code.EXCEPTION, bpf.ATTACH_DEVMAP, of=4),
            "action-not-allowed",
            "a devmap's entry returned XDP_RE",
        ),
        (error(code.EXCEPTION, bpf.ATTACH_CPUMAP, of=3), "action-not-allowed", "a CPU map's entry returned XDP_TX"),
        (error(code.EXCEPTION, bpf.ATTACH_DEVMAP), "aborted", "XDP_ABORTED"),
        (error(code.REDIRECT, 0, errno.EINVAL), "no-such-interface", "an index that no interface has"),
        (error(code.REDIRECT, 0, errno.EBADRQC), "no-target", "called no bpf_redirect"),
        (error(code.REDIRECT, 0, errno.ENETDOWN, 17), "interface-down", "to eth1, which is down"),
        (error(code.REDIRECT, 0, errno.ENETDOWN, 99), "interface-down", "to interface 99, which is down"),
        (error(code.REDIRECT, bpf.DEVMAP, errno.EOPNOTSUPP, 0, "eth1"), "no-receiver", "to eth1, which takes no such"),
        (error(code.REDIRECT, bpf.DEVMAP_HASH, errno.EMSGSIZE, 0, "eth1"), "too-large", "larger than its MTU"),
        (
            error(code.REDIRECT, bpf.DEVMAP, errno.EINVAL),
            "redirect-einval",
            "an interface: Invalid argument (EINVAL)",
        ),
        (error(code.REDIRECT, bpf.XSKMAP, errno.ENOBUFS), "socket-full", "AF_XDP socket whose receive ring is full"),
        (error(code.REDIRECT, bpf.CPUMAP, errno.ENOMEM), "cpu-enomem", "redirected to a CPU: Cannot allocate memory"),
        (error(code.DEVMAP, 0, errno.ENXIO, 0, "eth1"), "no-receiver", "to eth1, which is down, or the other end has"),
        (error(code.DEVMAP, 0, 0, 0, "eth1"), "receiver-full", "to eth1, but the other end takes no more"),
        (error(code.DEVMAP, 0, 4095, 0, "eth1"), "transmit-4095", "redirected to eth1: "),
        (error(code.TRANSMIT, 0, errno.ENXIO), "tx-no-receiver", "the other end has neither an XDP program nor GRO"),
        (error(code.TRANSMIT), "tx-receiver-full", "sent back by XDP_TX, but the other end takes no more"),
        (error(code.CPUMAP, of=3), "cpu-full", "to CPU 3, whose queue is full"),
        (error(code.CPU), "cpu-no-memory", "no memory was left"),
    ],
)
def test_each_error_has_a_name_and_words(what: Error, name: str, words: str) -> None:
    where = xdp_places.place_of(NODES, what)

    assert name == xdp_reasons.reason(what).name
    assert words in xdp_reasons.words(what, where.target)
    assert ("fw", "eth0", "fw/in") == where[:3]


def test_only_an_index_without_an_interface_is_told_apart_from_its_reason() -> None:
    """Programs may redirect to any number: it is in no key of the counts, and in each line."""
    assert " (77)" == xdp_reasons.example(error(code.REDIRECT, 0, errno.EINVAL), 77)
    assert "" == xdp_reasons.example(error(code.EXCEPTION, of=7), 7)
    assert "" == xdp_reasons.example(error(code.REDIRECT, 0, errno.ENETDOWN, 17), 17)


def test_what_the_kernel_has_counted_is_read_as_it_was_written() -> None:
    """Names too, whatever bytes are in them; a terminal gets none of those."""
    name = bytes([0x1B, 0x5B, 0xC3]).decode("latin-1")
    one = Error(0, code.DEVMAP, 14, 95, 3, name, "eth1")
    data = xdp_errors.key_of(one) + struct.pack("=QII", 123, 2, 9)

    assert xdp_errors.Report(one, 123, 2, 9) == xdp_errors.report_of(data)
    assert "\\x1b[\\xc3" == xdp_places.place_of(NODES, one).interface


def test_who_names_no_target_has_none() -> None:
    """Linux 6.1 tells the index that a program before has named."""
    assert not xdp_places.place_of(NODES, error(code.REDIRECT, 0, errno.EBADRQC, 17)).target
