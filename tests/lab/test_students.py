"""`netlab demo` of programs that are not netlab's: right ones hold, and each mistake fails its claim."""

import json
import os
from typing import Any

import pytest

from tests.lab.lab import ROOT, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]
STUDENTS = f"{ROOT}/tests/lab/students"
FAST = (  # faster than the demo itself, and alike in everything else
    "--set=nodes.client.args.interval=0.002",
    "--set=nodes.client.args.sleep=[0.2, 0.3]",
    "--set=nodes.client.args.rest=1",
)


def verdicts(demo: str, program: str, *options: str, code: int) -> dict[str, str]:
    """Play a demo of a student's program, and return the verdict on each claim, by its id."""
    words = (f"{STUDENTS}/student.yml", f"--set=nodes.lb.xdp={STUDENTS}/{program}.c", *options)
    found: dict[str, Any] = json.loads(netlab("demo", demo, *words, "--format", "json", code=code).stdout)
    return {claim["id"]: claim["verdict"] for claim in found["claims"]}


def failed(found: dict[str, str]) -> set[str]:
    return {name.removeprefix("partb.") for name, verdict in found.items() if verdict == "failed"}


def test_a_right_balancer_fails_nothing() -> None:
    low, high = verdicts("partb-low", "balancer", code=0), verdicts("partb-high", "balancer", *FAST, code=0)

    assert set(low.values()) == set(high.values()) == {"met"}
    assert not [name for name in (*low, *high) if "closer" in name]


def test_a_queue_as_deep_as_it_promises_is_filled() -> None:
    """Netlab sends what the client does not."""
    found = verdicts("partb-high", "balancer", "--set=demo.queue=100", *FAST, code=0)

    assert found["partb.depth"] == "met"


MISTAKES = {
    "last_in_first_out": "fifo",
    "six_requests_for_five_threads": "capacity",
    "serves_twice": "served_once",
    "loses_deep_ones": "served_once",
    "frees_on_any_packet": "capacity",
    "wrong_checksum_of_odd_lengths": "udp_checksum",
    "wrong_ip_checksum": "ip_checksum",
    "drops_tcp": "other_traffic",
    "leaves_a_worker_idle": "waits_only_while_all_are_busy",
    "first_bytes_of_another": "data",
    "forgets_to_send": "idle_thread_is_used",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_fails_its_claim(mistake: str) -> None:
    found = verdicts("partb-high", mistake, *FAST, code=1)

    assert MISTAKES[mistake] in failed(found), found


def test_every_mistake_is_tried() -> None:
    """Each file beside the right one has a row, or a test of its own."""
    files = {name.removesuffix(".c") for name in os.listdir(STUDENTS) if name.endswith(".c")}

    assert files - {"balancer", "prints_what_it_does_not_do"} == set(MISTAKES)
