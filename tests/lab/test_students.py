"""`netlab demo` of programs that are not netlab's: right ones hold, and each mistake fails its claim."""

import json
import os
import shutil
import subprocess
from pathlib import Path
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
    found = verdicts("partb-high", "balancer", "--set=demo={queue: 100}", *FAST, code=0)

    assert found["partb.depth"] == "met"


# --- what ends otherwise ----------------------------------------------------------------------------------------------

UNFIT = {
    "does-not-build": ("int balance(struct xdp_md *ctx) { return nothing; }", 4),
    "refused-by-the-verifier": ("int balance(struct xdp_md *ctx) { return *(int *)(long)ctx->data; }", 5),
}


@pytest.mark.parametrize("word", UNFIT)
def test_a_program_that_cannot_be_attached_has_an_exit_code_of_its_own(word: str, tmp_path: Path) -> None:
    """And a report and data, as every other one."""
    text, code = UNFIT[word]
    (tmp_path / "mine.c").write_text(f"#include <uapi/linux/bpf.h>\n{text}\n")
    words = (f"{STUDENTS}/student.yml", f"--set=nodes.lb.xdp={tmp_path}/mine.c", f"--save={tmp_path}/kept")
    done = netlab("demo", "partb-low", *words, "--format", "json", code=code)

    found = json.loads(done.stdout)
    assert (found["outcome"], found["exit_code"], found["holds"], found["claims"]) == (word, code, False, [])
    assert "mine.c:2" in found["problem"]
    assert word in (tmp_path / "kept" / "report.md").read_text()
    assert (tmp_path / "kept" / "topology.yml").exists()


def test_a_play_that_does_not_end_is_cut_and_judged(tmp_path: Path) -> None:
    """What was seen until then is judged, and kept."""
    words = ("--set=nodes.client.args.interval=100", "--time-limit=15", f"--save={tmp_path}/kept")
    done = netlab("demo", "partb-low", f"{STUDENTS}/student.yml", *words, "--format", "json", code=6)

    found = json.loads(done.stdout)
    assert found["outcome"] == "not-over-in-time"
    assert {claim["id"]: claim["verdict"] for claim in found["claims"]}["partb.served_once"] == "met"
    assert (tmp_path / "kept" / "report.md").exists()


def test_everything_is_kept_of_a_program_that_netlab_does_not_know(tmp_path: Path) -> None:
    words = (f"{STUDENTS}/student.yml", f"--save={tmp_path}/kept", *FAST)
    netlab("demo", "partb-high", *words)

    claims = json.loads((tmp_path / "kept" / "claims.json").read_text())
    assert {claim["verdict"] for claim in claims} == {"met"}
    assert (tmp_path / "kept" / "programs" / "balancer.h").exists()
    assert " claims hold\n" in (tmp_path / "kept" / "report.md").read_text()


# --- mistakes ---------------------------------------------------------------------------------------------------------

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
    "prints_what_it_does_not_do": "print.forwarded",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_fails_its_claim(mistake: str) -> None:
    found = verdicts("partb-high", mistake, *FAST, code=1)

    assert MISTAKES[mistake] in failed(found), found


def test_every_mistake_is_tried() -> None:
    """Each file beside the right one has a row, or a test of its own."""
    files = {name.removesuffix(".c") for name in os.listdir(STUDENTS) if name.endswith(".c")}

    assert files - {"balancer"} == set(MISTAKES)


# --- roles of one's own -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
@pytest.mark.parametrize("demo", ["partb-low", "partb-high"])
def test_client_and_workers_may_be_anything(tmp_path: Path, demo: str) -> None:
    """In C and in shell, with lines of their own: netlab sends the requests of the demo from the client's node."""
    for name in ("strange.yml", "balancer.c", "balancer.h", "roles/asker.sh"):
        shutil.copy(f"{STUDENTS}/{name}", tmp_path)
    subprocess.run(["cc", "-O1", "-pthread", "-o", tmp_path / "server", f"{STUDENTS}/roles/server.c"], check=True)
    done = netlab("demo", demo, str(tmp_path / "strange.yml"), "--format", "json")

    found = json.loads(done.stdout)
    assert {claim["verdict"] for claim in found["claims"]} == {"met"}, found["claims"]
    requests = {claim["id"]: claim["figures"] for claim in found["claims"]}["partb.requests"]
    assert requests == ("33 requests" if demo == "partb-low" else "48 requests")


# --- part A -----------------------------------------------------------------------------------------------------------

DROPPERS = {
    "right": ((), ""),
    "drops odd ones": (("DROPPED(number)=((number) & 1)",), "even_dropped"),
    "drops one in four": (("DROPPED(number)=(((number) & 3) == 0)",), "alternate"),
    "says the opposite now and then": (("SAID(number)=(((number) & 7) < 1)",), "print.verdict"),
}


@pytest.mark.parametrize("mistake", DROPPERS)
def test_a_dropper_of_ones_own(mistake: str, tmp_path: Path) -> None:
    defines, claim = DROPPERS[mistake]
    text = Path(f"{STUDENTS}/droppers/dropper.c").read_text()
    lines = [f"#define {each.replace(')=', ') ', 1)}\n" for each in defines]
    (tmp_path / "mine.c").write_text("".join(lines) + text)
    words = (f"--set=nodes.server.xdp={tmp_path}/mine.c", "--set=nodes.client.args.delay=0.01", "--format", "json")
    found = json.loads(netlab("demo", "parta", *words, code=1 if claim else 0).stdout)

    failed = {each["id"].removeprefix("parta.") for each in found["claims"] if each["verdict"] == "failed"}
    assert claim in failed if claim else not failed, found["claims"]
