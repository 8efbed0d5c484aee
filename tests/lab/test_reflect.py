"""A user's own program beside the topology, that answers packets itself."""

from pathlib import Path

import pytest

from tests.lab.lab import LAB, inside, lab, netlab, python, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

REFLECT = """
#include <uapi/linux/bpf.h>
#include "packet.h"

int reflect(struct xdp_md *ctx)
{
	struct cursor cursor = packet(ctx);
	struct ethhdr *ethernet = parse_ethernet(&cursor);
	struct iphdr *ip = ethernet && ethernet->h_proto == bpf_htons(ETH_P_IP) ? parse_ipv4(&cursor) : NULL;
	struct udphdr *udp = ip && ip->protocol == IPPROTO_UDP ? parse_udp(&cursor) : NULL;

	if (!udp || udp->dest != bpf_htons(PORT))
		return XDP_PASS;
	unsigned char mac[ETH_ALEN];
	__be32 address = ip->saddr;

	__builtin_memcpy(mac, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
	ip->saddr = ip->daddr;
	ip->daddr = address;
	udp->dest = udp->source;
	udp->source = bpf_htons(PORT);
	bpf_trace_printk("reflected %d bytes", bpf_ntohs(udp->len));
	return XDP_TX;
}
"""
TOPOLOGY = """
name: mirror
nodes:
  asker: {}
  mirror: {xdp: {program: ./reflect.c, define: {PORT: 7}}}
links: [[asker, mirror]]
"""
IN_A_HEADER = """
#define BACK XDP_TX
#define VERDICT BACK
"""
VARIED = """
name: mirrors
nodes:
  asker: {}
  header: {xdp: {program: ./header.c, define: {PORT: 7}}}
  constant: {xdp: {program: ./varied.c, define: {PORT: 7, VERDICT: XDP_TX}}}
  number: {xdp: {program: ./varied.c, define: {PORT: 7, VERDICT: 3}}}
  generic: {xdp: {program: ./reflect.c, mode: generic, define: {PORT: 7}}}
  later: {xdp: {program: ./varied.c, define: {PORT: 7, VERDICT: XDP_DROP}}}
links: [[asker, header], [asker, constant], [asker, number], [asker, generic], [asker, later]]
"""
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((sys.argv[1], 7))
for number in range(50):
    s.send(b"%d" % number)
    assert s.recv(10) == b"%d" % number
"""


def test_what_a_program_transmits_arrives(tmp_path: Path) -> None:
    """veth would lose every XDP_TX frame silently; the other end is made ready for them, checksums included."""
    (tmp_path / "reflect.c").write_text(REFLECT)
    (tmp_path / "mirror.yml").write_text(TOPOLOGY)
    with lab(str(tmp_path / "mirror.yml")):
        python("asker", ASK, "mirror")
        assert " 0% packet loss" in inside("asker", "ping", "-c1", "-W60", "mirror").stdout
        reflected = [text for text in texts("trace") if text.startswith("reflected")]
        assert "counts nothing" in netlab("stats").stdout

    assert len(reflected) == 50


def test_what_may_transmit_arrives(tmp_path: Path) -> None:
    """Also where a header, a constant or a number says so, or a new build only; in generic mode nothing is needed."""
    varied = f"{REFLECT.replace('return XDP_TX', 'return VERDICT')}/* caf\xe9 */\n"
    (tmp_path / "reflect.c").write_text(REFLECT)
    (tmp_path / "varied.c").write_text(varied, encoding="latin-1")
    (tmp_path / "header.c").write_text(f'#include "answer.h"{varied}')
    (tmp_path / "answer.h").write_text(IN_A_HEADER)
    (tmp_path / "mirrors.yml").write_text(VARIED)
    with lab(str(tmp_path / "mirrors.yml")):
        for mirror in ("header", "constant", "number", "generic"):
            python("asker", ASK, mirror)
        passing = [
            interface
            for interface in range(5)
            if "xdp" in inside("asker", "ip", "link", "show", f"eth{interface}").stdout
        ]
        reload = netlab("reload", "later", "--define", "VERDICT=XDP_TX")
        again = netlab("reload", "later", "--define", "VERDICT=XDP_TX")
        python("asker", ASK, "later")
        netlab("status")  # all is as planned
        kept = [Path(f"/run/netlab/{LAB}/programs/{node}.c").read_bytes() for node in ("constant", "later")]

    assert [varied.encode("latin-1")] * 2 == kept
    assert [0, 1, 2] == passing
    assert "asker: pass attached to eth4 (native), for what later transmits" in reload.stderr
    assert "pass" not in again.stderr
