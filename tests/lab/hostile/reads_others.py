"""Prints what it can read of the host, of another submission and of other processes."""

from glob import glob

CANARY, OTHER = "/CANARY", "/OTHER"
for name in ("/etc/shadow", CANARY, OTHER, f"/proc/1/root{CANARY}", *glob("/proc/[0-9]*/environ")):
    try:
        with open(name, encoding="utf-8") as file:
            print(file.read(), flush=True)
    except OSError as error:
        print(f"no: {error.errno}", flush=True)
