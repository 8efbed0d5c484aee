"""Sends requests: UDP packets whose data says for how many seconds a worker shall sleep."""

import json
import random
import socket
import time

from netlab import options
from netlab.role import ready, say

OPTIONS: options.Options = {  # for `args:` and the command line; `netlab demo` sets all of these
    "target": {"type": "endpoint", "required": True, "help": "the service, as NODE:PORT"},
    "count": {"type": "integer", "default": 30, "minimum": 0, "help": "requests to send"},
    "interval": {"type": "number", "default": 0.1, "minimum": 0, "help": "seconds from one request to the next"},
    "sleep": {"type": "number", "values": [1, 2], "default": [0.2, 0.5], "help": "seconds of work: from, to"},
    "late": {"type": "integer", "default": 0, "minimum": 0, "help": "requests more, after a rest"},
    "rest": {"type": "number", "default": 0, "minimum": 0, "help": "seconds of rest before those"},
}

chosen = options.parse(OPTIONS, "sends requests")
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(chosen.target)
ready()
begun = time.monotonic()
for number in range(1, chosen.count + chosen.late + 1):
    time.sleep(chosen.interval + (chosen.rest if number == chosen.count + 1 else 0))
    seconds = random.uniform(min(chosen.sleep), max(chosen.sleep))
    data = f"{seconds:.3f}{number:03d}"  # the number makes it another one in each request: they can be told apart
    host, port = client.getpeername()
    say(f"request #{number} to {host}:{port}: {json.dumps(data)} ({len(data)} bytes)")
    client.send(data.encode())
say(f"sent {chosen.count + chosen.late} requests in {time.monotonic() - begun:.3f} s")
