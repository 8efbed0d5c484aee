"""A user's own program beside the topology, that answers packets itself."""

from pathlib import Path

import pytest

from tests.lab.lab import inside, lab, netlab, python, texts

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
ASK = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect(("mirror", 7))
for number in range(50):
    s.send(b"%d" % number)
    assert s.recv(10) == b"%d" % number
"""


def test_what_a_program_transmits_arrives(tmp_path: Path) -> None:
    """veth would lose every XDP_TX frame silently; the other end is made ready for them, checksums included."""
    (tmp_path / "reflect.c").write_text(REFLECT)
    (tmp_path / "mirror.yml").write_text(TOPOLOGY)
    with lab(str(tmp_path / "mirror.yml")):
        python("asker", ASK)
        assert " 0% packet loss" in inside("asker", "ping", "-c1", "-W60", "mirror").stdout
        reflected = [text for text in texts("trace") if text.startswith("reflected")]
        assert "counts nothing" in netlab("stats").stdout

    assert len(reflected) == 50
