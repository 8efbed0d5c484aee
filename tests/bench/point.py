"""Tells limit.c where the workers are. Runs inside lb, since a devmap's ifindex is one of its writer's namespace.

point.py LAB
"""

import json
import socket
import struct
import sys

from netlab.programs.maps import Map


def main(lab: str) -> None:
    """Write the maps: eth0 leads to the client, each other interface to a worker."""
    with open(f"/run/netlab/{lab}/lab.json", encoding="utf-8") as file:
        nodes = json.load(file)["nodes"]
    pins = f"/run/netlab/{lab}/bpf/lb/maps"
    with Map.open(f"{pins}/workers") as workers, Map.open(f"{pins}/doors") as doors:
        for number in range(workers.max_entries):
            ours = f"eth{number + 1}"
            ends = nodes[f"worker{number + 1}"]["interfaces"]["eth0"], nodes["lb"]["interfaces"][ours]
            macs = b"".join(bytes.fromhex(end["mac"].replace(":", "")) for end in ends)
            ifindex = struct.pack("=I", socket.if_nametoindex(ours))
            workers.set(struct.pack("=I", number), ifindex + macs)
            doors.set(ifindex, ifindex + bytes(4))


if __name__ == "__main__":
    main(sys.argv[1])
