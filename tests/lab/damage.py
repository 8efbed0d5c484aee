"""A lab with something of everything, and ways of damaging it by hand."""

from typing import NamedTuple

LAB = "dmg"
FOLDER = f"/run/netlab/{LAB}"
TOPOLOGY = """
name: dmg
nodes:
  a: {role: ./stay.py, env: {COLOUR: red}, sysctls: {net.ipv4.tcp_syn_retries: 2}}
  r: {}                                          # a router, whose eth1 faces the program, and passes for it
  m: {xdp: ./own.c}
  sw: {kind: switch}
  h: {command: [sleep, infinity], limits: {memory: 64M}, routes: [{to: 10.99.0.0/16, via: 10.0.2.1}]}
links:
  - [a, r]
  - [m, r]
  - {endpoints: [r, sw], subnet: 10.0.2.0/24}
  - [h, sw]
"""
STAY = """
import signal
from netlab import options
from netlab.role import say
STAYS = True
OPTIONS: options.Options = {}
if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    say("READY")
    signal.sigwait({signal.SIGTERM})
"""
PROGRAM = """
#include <uapi/linux/bpf.h>
BPF_ARRAY(seen, u64, 1);
int own(struct xdp_md *ctx)
{
	int key = 0;
	u64 *count = seen.lookup(&key);
	return count && ++*count == 1ULL << 63 ? XDP_TX : XDP_PASS;
}
"""
FILES = {"dmg.yml": TOPOLOGY, "stay.py": STAY, "own.c": PROGRAM}
ANEW, RELOAD = "netlab down dmg, then up", "netlab reload --lab dmg m, with"


class Way(NamedTuple):
    """Shell commands that do damage, how `status` begins to tell it, and what it says that mends it.

    The commands find the lab's folder in $F, and process ids in $supervisor, $a and $h.
    """

    damage: str
    said: str
    mend: str = ANEW


def inside(node: str, command: str) -> str:
    return f"netlab exec --lab dmg {node} {command}"


WAYS = [
    # programs
    Way(
        "ip -n dmg.m link set eth0 xdp off", "m eth0: no XDP program is attached in native mode; planned is own", RELOAD
    ),
    Way(
        "ip -force -n dmg.m link set eth0 xdpdrv pinned $F/bpf/_r/programs/pass",
        "m eth0: another XDP program (number ",
        RELOAD,
    ),
    Way(
        "ip -n dmg.m link set eth0 xdp off; ip -n dmg.m link set eth0 xdpgeneric pinned $F/bpf/m/programs/own",
        "m eth0: no XDP program is attached in native mode, but one in generic mode; planned is own",
    ),
    Way("ip -n dmg.r link set eth1 xdp off", "r eth1: no XDP program is attached in native mode; planned is pass"),
    Way("rm $F/bpf/m/maps/seen", "m: the pin of the map seen is gone"),
    Way("rm $F/bpf/m/programs/own", "m: the pin of the program own is gone"),
    Way("rm -r $F/bpf/m", "m: the pin of the map seen is gone"),
    Way("rm $F/bpf/_r/programs/pass", "r: the pin of the program pass is gone"),
    Way("umount -l $F/bpf", "the lab: its BPF file system is gone"),
    Way("umount -l $F/tracing", "the lab: its tracefs is gone"),
    Way(
        "kill -KILL $supervisor; until rmdir $F/tracing/instances/$mark 2>/dev/null; do sleep .01; done",
        "the lab: its trace instance /run/netlab/dmg/tracing/instances/",
    ),
    Way("rm $F/pinned", "the lab: /run/netlab/dmg/pinned, which says what is pinned, is gone"),
    Way("rm $F/programs/m.c", "m: /run/netlab/dmg/programs/m.c, the source of its program, is gone"),
    # links
    Way("ip -n dmg.a link del eth0", "a eth0: the interface is gone"),
    Way("ip -n dmg.a link del eth0 # and the other end", "r eth0: the interface is gone"),
    Way("ip -n dmg.a link set eth0 down", "a eth0: the link is down", inside("a", "ip link set eth0 up")),
    Way("ip -n dmg.r link set eth2 down", "r eth2: the link is down", inside("r", "ip link set eth2 up")),
    Way("ip -n dmg.m link set eth0 down name wan0", "m eth0: the interface is called wan0 now"),
    Way("ip -n dmg.h link set eth0 netns dmg.a name eth7", "h eth0: the interface is gone"),
    Way(
        "ip -n dmg.a link del eth0; ip -n dmg.a link add eth0 type veth peer name other",
        "a eth0: the interface is gone, and another one has its name",
    ),
    Way(
        "ip -n dmg.a link set eth0 address 02:00:00:00:77:77",
        "a eth0: its MAC is 02:00:00:00:77:77, planned is ",
        inside("a", "ip link set eth0 address "),
    ),
    Way(
        "ip -n dmg.a link set eth0 mtu 1300",
        "a eth0: its MTU is 1300, planned is 1500",
        inside("a", "ip link set eth0 mtu 1500"),
    ),
    Way("ip -n dmg.a link set lo down", "a lo: the interface is down", inside("a", "ip link set lo up")),
    Way(
        "ip -n dmg.sw link set eth0 nomaster",
        "sw eth0: it is no port of br0 any more",
        inside("sw", "ip link set eth0 master br0"),
    ),
    Way("ip -n dmg.sw link set eth1 down", "sw eth1: the link is down", inside("sw", "ip link set eth1 up")),
    Way("ip -n dmg.sw link set br0 down", "sw br0: the bridge is down", inside("sw", "ip link set br0 up")),
    Way("ip -n dmg.sw link del br0", "sw br0: the interface is gone"),
    Way(
        "ip netns exec dmg.r ethtool -K eth1 gro off",
        "r eth1: GRO is off",
        inside("r", "ethtool -K eth1 gro on tx off"),
    ),
    Way(
        "ip netns exec dmg.r ethtool -K eth1 tx on >/dev/null",
        "r eth1: TX checksum offload is on",
        inside("r", "ethtool -K eth1 gro on tx off"),
    ),
    # addresses, routes and sysctls
    Way(
        "ip -n dmg.h addr flush dev eth0",
        "h eth0: its address 10.0.2.2/24 is gone",
        inside("h", "ip addr add 10.0.2.2/24 dev eth0"),
    ),
    Way(
        "ip -n dmg.r addr del 10.0.1.2/24 dev eth1; ip -n dmg.r addr add 10.0.1.2/25 dev eth1",
        "r eth1: its address 10.0.1.2/24 is gone",
        inside("r", "ip addr add 10.0.1.2/24 dev eth1"),
    ),
    Way(
        "ip netns exec dmg.a sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
        "a eth0: its address fd00::1/64 is gone",
        inside("a", "ip addr add fd00::1/64 dev eth0 nodad"),
    ),
    Way(
        "ip -n dmg.a route del default",
        "a: its default route through 10.0.0.2 is gone",
        inside("a", "ip route add default via 10.0.0.2 metric 4278190080"),
    ),
    Way(
        "ip -n dmg.a -6 route del default",
        "a: its default route through fd00::2 is gone",
        inside("a", "ip -6 route add default via fd00::2 metric 4278190080"),
    ),
    Way(
        "ip -n dmg.h route replace 10.99.0.0/16 via 10.0.2.77",
        "h: its route to 10.99.0.0/16 through 10.0.2.1 is gone",
        inside("h", "ip route add 10.99.0.0/16 via 10.0.2.1"),
    ),
    Way(
        "ip netns exec dmg.r sysctl -qw net.ipv4.ip_forward=0",
        "r: its sysctl net.ipv4.ip_forward is 0, planned is 1",
        inside("r", "sysctl -qw net.ipv4.ip_forward=1"),
    ),
    Way(
        "ip netns exec dmg.a sysctl -qw net.ipv4.tcp_syn_retries=5",
        "a: its sysctl net.ipv4.tcp_syn_retries is 5, planned is 2",
        inside("a", "sysctl -qw net.ipv4.tcp_syn_retries=2"),
    ),
    # names and limits of nodes
    Way("rm /run/netns/dmg.a", "a: /run/netns/dmg.a is gone"),
    Way("rm /etc/netns/dmg.a", "a: /etc/netns/dmg.a is gone"),
    Way("rm /etc/netns/dmg.*", "sw: /etc/netns/dmg.sw is gone"),
    Way("ln -sfn $F/netns/r /run/netns/dmg.a", "a: /run/netns/dmg.a does not lead to /run/netlab/dmg/netns/a any more"),
    Way("umount $F/netns/r", "r: its namespace is gone"),
    Way("mount --bind /proc/self/ns/uts $F/netns/r", "r: its namespace cannot be entered"),
    Way(
        "kill -KILL $h; for group in $(find /sys/fs/cgroup -path '*/netlab/dmg/h' -type d); do"
        " until rmdir $group 2>/dev/null; do sleep .01; done; done",
        "h: its control group is gone, and its limits",
    ),
    Way(
        "for file in $(find /sys/fs/cgroup -path '*/netlab/dmg/h/memory.max' -o -path"
        " '*/netlab/dmg/h/memory.memsw.limit_in_bytes' -o -path '*/netlab/dmg/h/memory.limit_in_bytes' | sort -r);"
        " do echo $((128 << 20)) >$file; done",
        "h: /sys/fs/cgroup/",
    ),
    Way(
        "group=$(cat $F/group);"
        " for pid in $(find $group -name cgroup.procs -exec cat {} +); do echo $pid >$group/../cgroup.procs; done;"
        " while [ -e $group ]; do find $group -depth -type d -exec rmdir {} + 2>/dev/null || sleep .01; done",
        "the lab: its control group /sys/fs/cgroup/",
    ),
    Way(
        "for name in cgroup.freeze=1 freezer.state=FROZEN; do file=$(cat $F/group)/${name%=*};"
        " [ ! -e $file ] || echo ${name#*=} >$file; done",
        "the lab: its control group /sys/fs/cgroup/",
        "echo ",
    ),
    # processes
    Way("kill -KILL $a", "a: its process PID was killed by SIGKILL", "netlab start --lab dmg a"),
    Way("kill -TERM $a", "a: its process PID has ended, and its role is one that stays", "netlab start --lab dmg a"),
    Way("kill -TERM $h", "h: its process PID was killed by SIGTERM", "netlab start --lab dmg h"),
    Way("kill -STOP $a", "a: its process PID is stopped", "kill -CONT "),
    Way("kill -STOP $supervisor; kill -KILL $a", "a: its process PID has ended, and nobody has seen how"),
    Way("kill -KILL $supervisor", "the lab: its supervisor has died, and with it the processes of a, h"),
    Way("kill -STOP $supervisor", "the lab: its supervisor, process PID, is stopped", "kill -CONT "),
    # the lab's folder
    Way("rm $F/supervisor.sock", "the lab: /run/netlab/dmg/supervisor.sock, the socket of its supervisor, is gone"),
    Way("rm $F/supervisor", "the lab: /run/netlab/dmg/supervisor, which says who its supervisor is, is gone"),
    Way(
        "rm $F/processes", "the lab: /run/netlab/dmg/processes, where its supervisor writes down what happens, is gone"
    ),
    Way(
        "head -c 300 $F/processes >$F/x; echo >>$F/x; mv $F/x $F/processes", "h: /run/netlab/dmg/processes says nothing"
    ),
    Way("rm -r $F/logs", "h: its log /run/netlab/dmg/logs/h.log is gone"),
    Way("rm $F/logs/a.log", "a: its log /run/netlab/dmg/logs/a.log is gone"),
    Way("rm $F/etc/hosts", "the lab: /run/netlab/dmg/etc/hosts is gone"),
    Way(
        "sed -i s/10.0.0.1/10.0.0.9/ $F/etc/hosts", "the lab: /run/netlab/dmg/etc/hosts does not say any more that a is"
    ),
    Way("rm $F/etc/gai.conf", "the lab: /run/netlab/dmg/etc/gai.conf is gone: nodes see this host's"),
    Way("rm $F/etc/resolv.conf", "the lab: /run/netlab/dmg/etc/resolv.conf is gone: nodes see this host's"),
    Way("rm -r $F/etc", "the lab: /run/netlab/dmg/etc/hosts is gone"),
    Way("rm $F/lab.json", "the lab: dmg has no record", "netlab down dmg"),
    Way("rm $F/env.json", "the lab: dmg has no record (/run/netlab/dmg/env.json)", "netlab down dmg"),
    Way("rm $F/status.json", "the lab: /run/netlab/dmg/status.json, which others than root read, is gone"),
    Way(
        "head -c 100 $F/lab.json >$F/x; mv $F/x $F/lab.json",
        "the lab: /run/netlab/dmg/lab.json is damaged",
        "netlab down",
    ),
    Way(
        'sed \'s/"nodes":{"a":{/"nodes":{"a":7,"b":{/\' $F/lab.json >$F/x; mv $F/x $F/lab.json',
        "the lab: /run/netlab/dmg/lab.json is not what this netlab has written for dmg: nodes.a: expected an object",
        "netlab down dmg",
    ),
    Way(
        "sed 's/10.0.0.1/10.0.0.300/' $F/lab.json >$F/x; mv $F/x $F/lab.json",
        "the lab: /run/netlab/dmg/lab.json is not what this netlab has written for dmg: nodes.a.interfaces.eth0.addr",
        "netlab down dmg",
    ),
    Way(
        """echo '{"format": 7, "lab": "dmg"}' >$F/x; mv $F/x $F/lab.json""",
        "the lab: /run/netlab/dmg/lab.json is of another version of netlab: it has format 7, and this one understands",
        "netlab down dmg",
    ),
    Way("rm $F/up", "the lab: it is half-built", "netlab down dmg"),
    Way("umount -l $F", "the lab: dmg has no record", "netlab down dmg"),
]
