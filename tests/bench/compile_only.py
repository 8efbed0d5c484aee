"""Compiles, verifies and pins part B's program, as `netlab up` does, and nothing else; with a cache, compiles once."""

import os
import tempfile
from pathlib import Path

from netlab.kernel import syscalls
from netlab.programs import loader

BALANCER = Path(__file__).parent.parent.parent / "bpf" / "balancer.c"


def main() -> None:
    """Do it, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        os.mkdir(f"{folder}/bpf")
        syscalls.mount("bpf", f"{folder}/bpf", "bpf")
        try:
            define = (("QUEUE", 1024), ("TRACE", 1))
            builtins = (("MTU", 1500),)
            job = loader.Job("bench", "lb", str(BALANCER), f"{folder}/bpf/lb", folder, define=define, builtins=builtins)
            compilation = loader.start(job)
            try:
                compilation.pinned(60)
            finally:
                compilation.kill()
        finally:
            syscalls.umount(f"{folder}/bpf")


if __name__ == "__main__":
    main()
