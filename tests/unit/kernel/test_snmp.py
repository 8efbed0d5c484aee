"""What is read of the kernel's snmp."""

import pytest

from netlab.kernel import snmp

SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 1 64
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
Udp: 5 0 7 9 7 2
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
UdpLite: 0 0 0 0 1 0
"""
SNMP6 = "Udp6InDatagrams                 \t3\nUdp6RcvbufErrors                \t30\nUdpLite6RcvbufErrors \t100\n"


@pytest.mark.parametrize(("ipv6", "errors"), [(SNMP6, 37), ("", 7)])
def test_full_buffers_are_counted_over_both_families(ipv6: str, errors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without IPv6 has the one file."""
    monkeypatch.setattr(snmp, "_text", {snmp._IPV4: SNMP, snmp._IPV6: ipv6}.__getitem__)

    assert errors == snmp.udp_rcvbuf_errors()
