"""A star in Mininet: one centre and N leaves, a veth pair, addresses and a route each, like netlab's.

Run by Debian's Python. Prints READY and the pid of a leaf when the network is up, waits for a line on stdin, and takes
the network down.
"""

import sys

import mininet.net


def main(leaves: int) -> None:
    """Build the star, say so, and wait to be told to stop."""
    mininet.net.fixLimits = lambda: None  # it would change a dozen sysctls of this machine for good
    net = mininet.net.Mininet(controller=None, build=False)
    centre = net.addHost("centre", ip=None)
    for number in range(1, leaves + 1):
        leaf = net.addHost(f"leaf{number}", ip=None, defaultRoute=f"via 10.1.{number}.1")
        net.addLink(leaf, centre, params1={"ip": f"10.1.{number}.2/24"}, params2={"ip": f"10.1.{number}.1/24"})
    net.start()
    centre.cmd("sysctl -w net.ipv4.ip_forward=1")
    print("READY", net.get("leaf1").pid, flush=True)
    sys.stdin.readline()
    net.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
