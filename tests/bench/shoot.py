"""Sends requests from a client's namespace by fire.c, and prints as JSON how many seconds that took.

    shoot.py LAB COUNT RATE

With a RATE each is sent at its time, that many a second; with 0 all are one run of the kernel's. They go from CPU 0.
"""

import json
import os
import socket
import struct
import sys
import time

from netlab import paths
from netlab.balancer.layout import FIRST
from netlab.programs import map_values
from netlab.programs.maps import LoadedProgram, Map

FIRST_PORT, SERVICE = 10_000, 8080
FRAME_BYTES = 64


def frame(lab: str) -> bytes:
    """Return a request to lb, without a checksum."""
    with open(f"/run/netlab/{lab}/lab.json", encoding="utf-8") as file:
        nodes = json.load(file)["nodes"]
    ends = [nodes[node]["interfaces"]["eth0"] for node in ("client", "lb")]
    macs = [bytes.fromhex(end["mac"].replace(":", "")) for end in ends]
    addresses = [socket.inet_aton(end["addresses"][0].partition("/")[0]) for end in ends]
    length = FRAME_BYTES - 14
    header = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP, 0) + b"".join(addresses)
    total = sum(struct.unpack("!10H", header))
    checksum = 0xFFFF - (total % 0xFFFF or 0xFFFF)
    header = header[:10] + struct.pack("!H", checksum) + header[12:]
    udp = struct.pack("!4H", FIRST_PORT, SERVICE, length - 20, 0)
    return (macs[1] + macs[0] + b"\x08\x00" + header + udp).ljust(FRAME_BYTES, b"\0")


def main(lab: str, count: int, rate: float) -> None:
    """Send them."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pins = paths.pins(paths.folder_of(lab), "client")
    types = map_values.types(paths.layouts(pins))
    packet = frame(lab)
    with Map.open(f"{pins}/maps/shot") as shot, LoadedProgram.open(f"{pins}/programs/fire_run") as fire:
        ifindex = socket.if_nametoindex("eth0")
        shot.set(FIRST, types.struct("shot").pack(frame=packet, ifindex=ifindex))
        begun = time.monotonic()
        if rate:
            for number in range(count):
                time.sleep(max(0.0, begun + number / rate - time.monotonic()))
                fire.send(packet)
        else:
            fire.send(packet, count)
    print(json.dumps(time.monotonic() - begun))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
