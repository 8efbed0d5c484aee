"""Leaves what outlives it: a daemon, a mount, a namespace, a lab and a file."""

import os
import subprocess
import time
from contextlib import suppress

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
for words in (
    ["mount", "-t", "tmpfs", "x", "/mnt"],
    ["ip", "netns", "add", "hostile"],
    ["unshare", "-Urn", "true"],
    ["netlab", "up", "/nowhere.yml"],
    ["mkdir", "/run/hostile", "/etc/hostile"],
):
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(words, timeout=10, check=False, stderr=subprocess.DEVNULL)
