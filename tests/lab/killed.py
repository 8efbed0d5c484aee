"""Runs netlab and sends it a signal just before it executes a given line of its own for the first time.

    killed.py list FILE up TOPOLOGY             write every line that is executed, in the order of first times, to FILE
    killed.py SIGKILL@FILE:LINE up TOPOLOGY     be killed there

So a test can kill or interrupt `up` after and inside every step that it makes, and knows that it has.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

# The modules through which `up`, `down` and `reload` change the machine.
ACTING = (
    "lab/bring_up",
    "lab/host",
    "lab/removal",
    "lab/reload",
    "programs/map_reuse",
    "record/store",
    "network/links",
    "network/visits",
    "kernel/netlink",
    "programs/loader",
    "supervise/client",
    "supervise/trace",
    "kernel/syscalls",
    "kernel/signals",
    "runtime/cgroup_limits",
    "runtime/netns",
    "lab/outside",
    "lab/host_networks",
    "network/internet",
    "network/firewalls",
    "network/host_commands",
    "network/host_cleanup",
    "record/lock",
    "runtime/names",
    "runtime/views",
    "runtime/view_layout",
    "runtime/own_folders",
    "runtime/docker",
    "runtime/engine",
    "runtime/entry",
    "kernel/sysctls",
    "network/directions",
    "network/impairments",
)
# The modules through which `link` changes it.
CHANGING = (
    "lab/link_changes",
    "lab/through_middle",
    "lab/link_care",
    "record/impaired",
    "runtime/names",
    "network/directions",
    "network/replaced_end",
    "network/links",
    "network/visits",
)


def tracer(see: Callable[[str], None], modules: Sequence[str]) -> Callable[[FrameType, str, Any], Any]:
    """Return a trace function that tells `see` every line of these modules before it is executed."""
    files = {f"{ROOT}/netlab/{name}.py": name for name in modules}

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            see(f"{files[frame.f_code.co_filename]}:{frame.f_lineno}")
        return on_line

    def on_call(frame: FrameType, event: str, _: Any) -> Any:
        return on_line if frame.f_code.co_filename in files and frame.f_code.co_name != "<module>" else None

    return on_call


def main() -> int:
    """Run netlab under the trace function."""
    wanted, *words = sys.argv[1:]
    seen: dict[str, None] = {}
    out = words.pop(0) if wanted == "list" else ""
    name, _, place = wanted.partition("@")

    def see(line: str) -> None:
        is_new = line not in seen
        seen.setdefault(line)
        if line == place and is_new:
            os.kill(os.getpid(), signal.Signals[name])

    from netlab.cli.main import main as command_line

    # where only one line matters, Python need not stop at those of other modules
    acting = CHANGING if words[0] == "link" else ACTING
    function = tracer(see, [place.partition(":")[0]] if place else acting)
    os.register_at_fork(after_in_child=lambda: sys.settrace(None))  # the lines of children are their own
    threading.settrace(function)
    sys.settrace(function)
    code = command_line(words)
    sys.settrace(None)
    if out:
        with open(out, "w", encoding="utf-8") as file:
            file.write("\n".join(seen))
    return code


if __name__ == "__main__":
    sys.exit(main())
