"""A stand-in for tests of the plan: it only carries packets, and limits the rate."""

import subprocess

from netlab.kernel.syscalls import inside
from netlab.named_tuple import NamedTuple
from netlab.topology.impairment import Impairment


class Counters(NamedTuple):
    """What has happened to the packets of one direction."""

    carried: int = 0
    lost: int = 0
    doubled: int = 0
    corrupted: int = 0
    overtaken: int = 0
    delayed_now: int = 0
    dropped_by_queue: int = 0


def _tc(netns: str, *lines: str) -> None:
    for line in lines:
        inside(netns, lambda: subprocess.run(["tc", *line.split()], check=False, capture_output=True))


def set_direction(inside: str, source: str, target: str, impairment: Impairment) -> None:
    _tc(
        inside,
        f"qdisc add dev {source} clsact",
        f"filter replace dev {source} ingress handle 800::1 pref 1 protocol all u32 match u32 0 0 action mirred egress redirect dev {target}",
        f"qdisc del dev {target} root",
        *(
            [f"qdisc add dev {target} root tbf rate {impairment.rate} burst 5000 limit 100000"]
            if impairment.rate
            else []
        ),
    )


def clear_direction(inside: str, source: str, target: str) -> None:
    _tc(inside, f"qdisc del dev {source} clsact", f"qdisc del dev {target} root")


def read_direction(inside: str, source: str, target: str, impairment: Impairment) -> Counters:
    return Counters()


def missing(inside: str, source: str, target: str, impairment: Impairment) -> list[str]:
    return []


def process_of(*_: object) -> list[str] | None:
    return None
