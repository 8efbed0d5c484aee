"""Play part B for a person: what `make demo` runs, as root, from the checkout.

Every line that begins with `$` is a command one can type. The lab is called `demo`, so it meets no other lab, and it is
taken down whatever happens in between.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from types import FrameType

NETLAB = os.path.join(sys.prefix, "bin", "netlab")
TOPOLOGY = "topologies/partb.yml"
LAB = "demo"
DEADLINE_S = 60.0
POLL_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """Print one paragraph of explanation, set apart from what the commands print."""
    print(f"\n{textwrap.fill(' '.join(text.split()), 100)}", flush=True)


def netlab(verb: str, *arguments: str, pick: str = "") -> None:
    """Run a verb on the demo's lab and show what it prints, or what a filter such as `tail -n 5` leaves of it."""
    command = [verb, "--lab", LAB, *arguments]
    print(f"\n$ netlab {' '.join(command)}" + (f" | {pick}" if pick else ""), flush=True)
    done = subprocess.run([NETLAB, *command], check=True, text=True, stdout=subprocess.PIPE if pick else None)
    if pick:
        subprocess.run(shlex.split(pick), check=True, text=True, input=done.stdout)


def balancer() -> dict[str, int]:
    """Return the balancer's counts as `netlab stats` gives them."""
    command = [NETLAB, "stats", "--lab", LAB, "--format", "json"]
    text = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    counts: dict[str, int] = json.loads(text)["balancers"]["lb"]
    return counts


def wait_until_served(requests: int) -> None:
    """Wait until the balancer has seen that many requests and as many completions."""
    deadline = time.monotonic() + DEADLINE_S
    counts = balancer()
    while min(counts["received"], counts["completions"]) < requests:
        if time.monotonic() > deadline:
            sys.exit(f"demo: after {DEADLINE_S:.0f} s {counts['completions']} of {requests} requests are served")
        time.sleep(POLL_S)
        counts = balancer()


def low() -> None:
    """Show the run with short requests: every one finds a free thread."""
    say("First run. Its client sends 30 requests, one every 0.1 s; each asks a worker thread to sleep for 0.2 to "
        "0.5 s. Three workers with five threads each are more than enough, so nothing waits.")
    wait_until_served(30)
    netlab("logs", "client", pick="tail -n 5")
    netlab("logs", "worker1", pick="tail -n 6")
    say("The XDP program in the balancer's node prints what it decides: each request received and where it goes, each "
        "completion (a worker's 'a thread is free') and the threads that worker has free now.")
    netlab("trace", pick="tail -n 8")
    netlab("stats", pick="head -n 5")


def high() -> None:
    """Show the run with long requests: the queue fills and empties."""
    say("Second run: the client again, 40 requests within a second, each of 1 s. Fifteen threads take the first "
        "fifteen. The other twenty-five wait in the kernel, in the program's queue, first in, first out.")
    netlab("run", "client", "--count", "40", "--sleep", "1", "--interval", "0.02", pick="tail -n 5")
    netlab("stats", pick="head -n 5")
    say("As each thread becomes free, its completion carries the oldest waiting request out of the queue. We wait "
        "until all 40 are served: about three seconds after the first was sent.")
    wait_until_served(70)
    netlab("trace", pick="tail -n 4")
    say("The way of one request, the 20th of the second run: received, queued, and sent out to the worker whose thread "
        "became free.")
    netlab("trace", pick="grep '#50'")
    netlab("logs", "worker1", pick="tail -n 6")
    netlab("stats")
    say("Every thread is free again, the queue is empty, and received = forwarded + queued: nothing was lost.")


def interrupted(number: int, _frame: FrameType | None) -> None:
    """Turn a signal into the way out that takes the lab down."""
    sys.exit(128 + number)


def main() -> None:
    """Bring part B up, show both runs, and take it down again."""
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for number in SIGNALS:
        signal.signal(number, interrupted)
    say("Part B: a client, a load balancer that is an XDP program in the kernel, and three workers; five network "
        "namespaces on this machine.")
    try:
        netlab("up", TOPOLOGY)
        netlab("status")
        low()
        high()
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        say("That was it. The lab goes, and leaves nothing behind.")
        netlab("down")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"demo: {' '.join(error.cmd)} ended with exit code {error.returncode}")
