"""Compiles and loads part B's program as `netlab up` does the first time, and writes down what takes how long.

    compile_profile.py OUTPUT STARTED_NS all|headers

With `headers` it compiles a program that does nothing and includes the headers that are not the
balancer's own. OUTPUT gets JSON, in ms.
"""

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from netlab.kernel import syscalls
from netlab.programs import bcc, build, loader
from tests.bpf import sources

BALANCER = Path(__file__).parent.parent.parent / "bpf" / "balancer.c"
NOTHING = "\nint balancer(struct xdp_md *ctx)\n{\n\treturn XDP_PASS;\n}\n"
START, BCC, CONSTRUCTOR = "Python's start, netlab's modules", "bcc's import", "bcc's constructor"
LOADED = "the kernel's verifier: {}"


class Watch:
    """What each stage took, in ms."""

    def __init__(self, started_ns: int) -> None:
        self.found: dict[str, float] = {}
        self._since_ns = started_ns

    def stage(self, name: str) -> None:
        """Say what has just been done."""
        now_ns = time.monotonic_ns()
        self.found[name] = (now_ns - self._since_ns) / 1e6
        self._since_ns = now_ns


def main(output: str, started_ns: int, what: str) -> None:
    """Do it, in a mount namespace as netlab's own process has it."""
    watch = Watch(started_ns)
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        define, builtins = (("QUEUE", 1024), ("TRACE", 1)), (("MTU", 1500),)
        job = loader.Job("bench", "lb", str(BALANCER), "", folder, define=define, builtins=builtins)
        source = bcc.Unit.of(job, BALANCER.read_bytes(), BALANCER.read_text())
        text = source.text
        if what == "headers":
            everything = "\n".join(sources.of("balancer").values())
            others = dict.fromkeys(re.findall(r'^#include [<"](?!balancer/).*$', everything, re.MULTILINE))
            text = "\n".join([*others, NOTHING]).encode()
        build.talk = str  # what is said goes elsewhere
        os.chdir("/")
        syscalls.die_with_parent(os.getppid())
        watch.stage(START)
        bcc.bcc()
        watch.stage(BCC)
        module: Any = bcc._compiled(source._replace(text=text), [])
        watch.stage(CONSTRUCTOR)
        for name in bcc._program_names(module, source.kind)[0]:
            module.load_func(name, module.XDP, None, bcc._attach_type(name, source.kind) or -1)
            watch.stage(LOADED.format(name))
    Path(output).write_text(json.dumps(watch.found))
    sys.stderr.flush()
    os._exit(0)  # as netlab's own process does


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
