"""Tells limit.c where the workers are. Runs inside lb, since a devmap's ifindex is one of its writer's namespace.

point.py LAB
"""

import json
import socket
import sys

from netlab import paths
from netlab.balancer.layout import key
from netlab.programs import map_values
from netlab.programs.maps import Map


def main(lab: str) -> None:
    """Write the maps: eth0 leads to the client, each other interface to a worker."""
    with open(f"/run/netlab/{lab}/lab.json", encoding="utf-8") as file:
        nodes = json.load(file)["nodes"]
    pins = paths.pins(paths.folder_of(lab), "lb")
    types = map_values.types(paths.layouts(pins))
    with Map.open(paths.map_pin(pins, "workers")) as workers, Map.open(paths.map_pin(pins, "doors")) as doors:
        for number in range(workers.max_entries):
            ours = f"eth{number + 1}"
            ends = nodes[f"worker{number + 1}"]["interfaces"]["eth0"], nodes["lb"]["interfaces"][ours]
            mac, our_mac = (bytes.fromhex(end["mac"].replace(":", "")) for end in ends)
            ifindex = socket.if_nametoindex(ours)
            workers.set(key(number), types.struct("worker").pack(ifindex=ifindex, mac=mac, our_mac=our_mac))
            doors.set(key(ifindex), types.struct("door").pack(ifindex=ifindex))


if __name__ == "__main__":
    main(sys.argv[1])
