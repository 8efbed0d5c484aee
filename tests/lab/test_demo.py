"""`netlab demo`: every claim holds of the programs as they are, and the right ones fail of programs that are not."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import TCP
from scapy.utils import rdpcap

from netlab.demo import wordings
from netlab.supervise.logs import LogLine
from netlab.testing.waiting import IS_SLOW, PATIENCE_S
from tests.bpf import sources
from tests.lab.lab import LAB, ROOT, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]
FAST = (  # faster than the demo itself, and alike in everything else
    "--set=nodes.client.args.interval=0.002",
    "--set=nodes.client.args.sleep=[0.2, 0.3]",
    "--set=nodes.client.args.rest=1",
)
# A slow machine needs longer to serve a request than the client to send the next ones, and then they wait. In the lab
# whose name others of these tests give to theirs, the same programs need not be compiled again.
LEISURE = {"partb-low": ("--set=nodes.client.args.interval=0.6",)}
PARTB = {"partb-low": ("--set=nodes.client.args.count=12", "--set=nodes.client.args.interval=0.04"), "partb-high": FAST}


def played(demo: str, *options: str, code: int = 0) -> dict[str, Any]:
    """Play a demo, and return what it says as data: what a line says in words is the same."""
    found: dict[str, Any] = json.loads(netlab("demo", demo, *options, "--format", "json", code=code).stdout)
    for line in found["timeline"]:
        said = wordings.parse(LogLine(line["monotonic_ns"], line["source"], line["stream"], line["text"]))
        assert said is None or (type(said).__name__, said._asdict()) == (line["event"], line["values"]), line
    return found


def failed(demo: str, *options: str) -> list[str]:
    """Play a demo that must fail, and return the claims that do not hold."""
    found = played(demo, *options, code=1)
    assert not found["holds"]
    return [claim["text"] for claim in found["claims"] if claim["holds"] is False]


def mutated(folder: Path, name: str, *changes: tuple[str, str]) -> str:
    """Write a program that differs from netlab's own, and return its path."""
    files = sources.of(name)
    for before, after in changes:
        assert sources.count(files, before) == 1, f"the program has {before!r} {sources.count(files, before)} times"
        files = sources.changed(files, [(before, after)])
    return sources.write(files, folder)


# --- the programs as they are -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("demo", ["parta", "partb-low", "partb-high"])
def test_all_claims_hold(demo: str) -> None:
    """As a person plays it: a timeline of all who speak, the counters, and nothing but ✓."""
    slowly = (f"--lab={LAB}", *LEISURE.get(demo, ())) if IS_SLOW else ()
    shown = netlab("demo", demo, *slowly).stdout

    assert "✗" not in shown
    held = [line for line in shown.splitlines() if line.startswith("✓")]
    assert shown.splitlines()[-1] == f"{len(held)} of {len(held)} claims hold"
    speakers = {line.split()[2] for line in shown.splitlines() if line.split()[1:2] == ["ms"]}
    others = {"server"} if demo == "parta" else {"lb", "worker1", "worker2", "worker3"}
    assert speakers == {"client", "kernel", *others}


@pytest.mark.parametrize("isn", [2**32 - 6, 1001])
def test_part_a_holds_for_any_initial_number(isn: int) -> None:
    found = played("parta", f"--set=nodes.client.args.isn={isn}", "--set=nodes.client.args.delay=0.01")

    assert found["holds"], found["claims"]


def test_part_a_holds_by_the_letter_of_the_exercise() -> None:
    """Every segment is judged, the SYN too: the first one is dropped, the second passes."""
    found = played(
        "parta",
        "--set=nodes.server.xdp.define.JUDGE_ALL=1",
        "--set=nodes.client.args={isn: 100, target: 'server:9000', connections: 2}",
    )

    assert found["holds"], found["claims"]
    assert [line["values"]["seq"] for line in found["timeline"] if line["event"] == "Unanswered"] == [100]


def test_the_words_of_a_role_that_gives_data_are_for_people(tmp_path: Path) -> None:
    """What is judged is what it says as data."""
    client = Path(ROOT, "roles", "tcp_client.py").read_text()
    assert 'f"byte #' in client
    (tmp_path / "tcp_client.py").write_text(client.replace('f"byte #', 'f"octet #'))
    changed = f"--set=nodes.client.role={tmp_path}/tcp_client.py"
    found = played("parta", changed, "--set=nodes.client.args.delay=0.01")

    assert found["holds"], found["claims"]
    sent = [line["text"][:7] for line in found["timeline"] if line["event"] == "Byte"]
    assert sent == ["octet #"] * len(sent)
    assert sent


def test_the_timeline_is_in_the_order_of_time() -> None:
    """What a role says before it sends comes before what the kernel says of it, and that before what arrives."""
    args = ("--set=nodes.client.args.delay=0.005", "--set=nodes.client.args.count=100")
    found = played("parta", *args, "--set=nodes.client.args.connections=1")

    times = [line["monotonic_ns"] for line in found["timeline"]]
    assert times == sorted(times)
    order: dict[int, list[str]] = {}
    for line in found["timeline"]:
        if line["event"] in ("Byte", "Arrived") or (line["event"] == "Segment" and line["values"]["bytes"]):
            order.setdefault(line["values"]["seq"], []).append(line["event"])
    assert len(order) == 100
    for seq, events in order.items():
        assert events == (["Byte", "Segment", "Arrived"] if seq % 2 else ["Byte", "Segment"])


# --- programs with a mistake ------------------------------------------------------------------------------------------

PART_A_MISTAKES = {
    "drops odd": ([("& 1 ? PASS_ODD : DROP_EVEN", "& 1 ? DROP_EVEN : PASS_ODD")], "even number is dropped"),
    "drops all": ([("& 1 ? PASS_ODD : DROP_EVEN", "| 1 ? DROP_EVEN : PASS_ODD")], "alternate segments"),
    "drops none": ([("reason == DROP_EVEN ? XDP_DROP : XDP_PASS", "XDP_PASS")], "exactly the bytes with odd numbers"),
    "drops every other segment, whatever its number": (
        [
            (
                "bpf_ntohl(tcp->seq) & 1 ? PASS_ODD : DROP_EVEN;",
                "PASS_ODD;\n\t__u32 zero = 0, *turn = turns.lookup(&zero);",
            ),
            (
                "\tif (data)\n\t\treturn verdict;\n",
                "\tif (data && turn)\n\t\treturn ++*turn & 1 ? PASS_ODD : DROP_EVEN;\n",
            ),
            ("/* What is known of a packet", "BPF_ARRAY(turns, __u32, 1);\n/* What is known of a packet"),
        ],
        "even number is dropped",
    ),
    "drops all other TCP": (
        [("\t\treturn PASS_OTHER_PORT;", "\t\treturn DROP_EVEN;")],
        "not for the server's port pass",
    ),
    "prints nothing": ([("\ttell(reason, tcp, data);\n", "")], "the program judges each"),
    "forgets a count": (
        [("tally(reasons.lookup(&reason), ctx);", "if (reason != PASS_ODD)\n\t\ttally(reasons.lookup(&reason), ctx);")],
        "counters agree",
    ),
}


@pytest.mark.parametrize("mistake", PART_A_MISTAKES)
def test_a_wrong_dropper_fails_its_claim(tmp_path: Path, mistake: str) -> None:
    changes, claim = PART_A_MISTAKES[mistake]
    program = mutated(tmp_path, "dropper", *changes)

    wrong = failed("parta", f"--set=nodes.server.xdp.program={program}", "--set=nodes.client.args.delay=0.01")

    assert any(claim in text for text in wrong), wrong


PART_B_MISTAKES = {  # the demo that shows each, and the claim that it breaks
    "forgets to queue": (  # and sends the request on without a free thread
        "partb-high",
        "goes only to a worker that has a free thread",
    ),
    "drops instead of queueing": ("partb-high", "every packet is in the trace"),
    "queues beside a free thread": ("partb-low", "queued only when no thread is free"),
    "sends the newest first": ("partb-high", "in the order in which it came"),
    "forgets that a thread is taken": ("partb-high", "goes only to a worker that has a free thread"),
    "forgets that a thread is free": ("partb-low", "all threads are free"),
    "queues for ever once it has queued": ("partb-high", "queued only when no thread is free"),
    "sends the newest first, and prints the oldest": ("partb-high", "and these are the client's"),
    "forgets a count": ("partb-high", "counters agree"),
}


def made(name: str) -> str:
    """Return C that says whether a mistake is made."""
    return f"(s->mistake == {[*PART_B_MISTAKES].index(name) + 1})"


# All of them are in one build, since to compile takes longest; the map `mistake` says which is made, 0 for none.
ONLY_NOW_AND_THEN = f"!{made('queues beside a free thread')} || %s->number % 4"
PRINTS_OLDEST = made("sends the newest first, and prints the oldest")
NEWEST = f"({made('sends the newest first')} || {PRINTS_OLDEST})"
FOR_EVER = f"!({made('queues for ever once it has queued')} && s->dequeued)"
CHANGES = (
    ("\t__u64 choices; ", "\t__u32 mistake;\n\t__u64 choices; "),
    ("BPF_ARRAY(state,", "BPF_ARRAY(mistake, __u32, 1);\nBPF_ARRAY(state,"),
    (
        "\treturn state.lookup(zero);\n",
        (
            "\tstruct state *s = state.lookup(zero);\n\t__u32 *made = mistake.lookup(zero);\n\n"
            "\tif (s && made)\n\t\ts->mistake = *made;\n\treturn s;\n"
        ),
    ),
    ("\tif (!*node(s, s->root))\n", f"\tif (!*node(s, s->root) && !{made('forgets to queue')})\n"),
    (
        "\t} else if (copied && !is_full(s)) {\n",
        f"\t}} else if (copied && !is_full(s) && !{made('drops instead of queueing')}) {{\n",
    ),
    (
        "\tif (!s->depth && !is_too_long)\n",
        f"\tif (!s->depth && !is_too_long && ({ONLY_NOW_AND_THEN.replace('%s', 'decision')}) && {FOR_EVER})\n",
    ),
    (
        "\tif (copied && !s->depth)\n",
        f"\tif (copied && !s->depth && ({ONLY_NOW_AND_THEN.replace('%s', 's')}) && {FOR_EVER})\n",
    ),
    (
        "\t__u32 place = s->head, slot = NONE;\n",
        f"\t__u32 place = s->head + ({NEWEST} ? s->depth - 1 : 0), slot = NONE;\n",
    ),
    (
        "\ts->head = place + 1 < SLOTS ? place + 1 : 0;\n",
        f"\tif (!{NEWEST})\n\t\ts->head = place + 1 < SLOTS ? place + 1 : 0;\n",
    ),
    (
        "\ttake_thread(s, c, chosen);\n",
        f"\tif (!{made('forgets that a thread is taken')})\n\t\ttake_thread(s, c, chosen);\n",
    ),
    (
        "\t++*free_threads(s, index);\n",
        f"\tif (!{made('forgets that a thread is free')})\n\t\t++*free_threads(s, index);\n",
    ),
    (
        '\ttrace("dequeue #%u to %s, depth %u", leaving.number,',
        (
            f"\t__u32 told = {PRINTS_OLDEST} ? (__u32)s->dequeued + 15 : leaving.number;\n\n"
            '\ttrace("dequeue #%u to %s, depth %u", told,'
        ),
    ),
    ("\t\ts->queued++;\n", f"\t\tif (!{made('forgets a count')})\n\t\t\ts->queued++;\n"),
)


def options_for(mistake: int, demo: str) -> list[str]:
    """Return the options of a demo with the balancer that makes this mistake."""
    files = sources.of("balancer")
    assert {1} == {sources.count(files, before) for before, _ in CHANGES}
    program = sources.kept(sources.changed(files, CHANGES))
    return [f"--set=nodes.lb.xdp.program={program}", f"--set=nodes.lb.maps={{mistake: {{0: {mistake}}}}}", *PARTB[demo]]


def test_a_balancer_that_makes_none_of_the_mistakes_fails_none_of_the_claims() -> None:
    found = json.loads(
        netlab("demo", "partb-high", *options_for(0, "partb-high"), "--format", "json", code=None).stdout
    )
    wrong = [claim["text"] for claim in found["claims"] if claim["holds"] is False]

    assert [] == [text for text in wrong for _, claim in PART_B_MISTAKES.values() if claim in text]


@pytest.mark.parametrize("mistake", PART_B_MISTAKES)
def test_a_wrong_balancer_fails_its_claim(mistake: str) -> None:
    demo, claim = PART_B_MISTAKES[mistake]

    wrong = failed(demo, *options_for([*PART_B_MISTAKES].index(mistake) + 1, demo))

    assert any(claim in text for text in wrong), wrong


def test_a_worker_with_fewer_threads_than_it_claims_fails_its_claim() -> None:
    """Everything is served all the same, and in order: but requests come to workers that have no thread for them."""
    wrong = failed("partb-high", *FAST, "--set=nodes.worker.args.threads=3")

    assert {
        "a request goes only to a worker that has a free thread",
        "every worker has the threads that the balancer counts on",
    } <= {text.partition(":")[0] for text in wrong}


def test_a_switch_in_between_changes_nothing(tmp_path: Path) -> None:
    """Other packets are seen to pass from a host behind it."""
    text = Path(f"{ROOT}/topologies/parta.yml").read_text()
    text = text.replace("  server:\n", "  sw: { kind: switch }\n  server:\n")
    (tmp_path / "switched.yml").write_text(text.replace("  - [client, server]", "  - [sw, server]\n  - [client, sw]"))

    found = played("parta", str(tmp_path / "switched.yml"), "--set=nodes.client.args.delay=0.01")

    assert found["holds"], found["claims"]


# --- what a person may do wrong, or end -------------------------------------------------------------------------------


def test_a_demo_that_is_not_there() -> None:
    done = netlab("demo", "partc", code=2)

    assert "parta" in done.stderr
    assert "partb-high" in done.stderr


def test_a_lab_that_is_up_is_left_alone() -> None:
    """A demo neither plays in somebody's lab nor takes it down."""
    netlab("up", f"{ROOT}/topologies/pair.yml", "--lab", "demo-parta")
    try:
        done = netlab("demo", "parta", code=8)
        assert "netlab down --lab demo-parta" in done.stderr
        assert '"state": "up"' in netlab("status", "--lab", "demo-parta", "--format", "json").stdout
    finally:
        netlab("down", "--lab", "demo-parta")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """Ended in the middle, a demo takes its lab down all the same, and keeps no half of a folder."""
    words = [sys.executable, "-m", "netlab", "demo", "parta", "--save", str(tmp_path / "kept")]
    demo = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    said = ""
    while "byte #2" not in said:
        line = demo.stdout.readline()
        assert line, said
        said += line

    demo.send_signal(number)
    _, complaint = demo.communicate(timeout=PATIENCE_S)

    assert demo.returncode == 1
    assert "Traceback" not in complaint
    assert os.listdir(tmp_path) == []


def test_a_reader_who_leaves_takes_the_lab_down() -> None:
    """As `netlab demo parta | head -n 1` does."""
    words = [sys.executable, "-m", "netlab", "demo", "parta"]
    demo = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    demo.stdout.readline()
    demo.stdout.close()
    _, complaint = demo.communicate(timeout=PATIENCE_S)

    assert "Traceback" not in complaint
    assert demo.returncode == 1


def test_a_terminal_without_check_marks_is_no_reason_to_fail() -> None:
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}  # which the installed command does not look at
    command = [sys.executable, "-m", "netlab", "demo", "parta"]
    done = subprocess.run(command, env=ascii_only, cwd=ROOT, check=True, capture_output=True, text=True)

    assert "? every connection opens" in done.stdout


def test_a_slow_play_is_waited_for() -> None:
    """As long as the client has not ended, silence is no end."""
    slow = (
        "--set=nodes.client.args.delay=4",
        "--set=nodes.client.args.count=2",
        "--set=nodes.client.args.connections=1",
    )

    assert played("parta", *slow)["holds"]


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_everything_is_kept(tmp_path: Path) -> None:
    """Timeline, counters, claims, sources and captures, and a report that names them all."""
    kept = tmp_path / "kept"
    shown = netlab("demo", "parta", "--save", str(kept), "--set=nodes.client.args.delay=0.01").stdout

    report = (kept / "report.md").read_text()
    assert re.match(r"# parta: (\d+) of \1 claims hold\n", report)
    assert "nodes.client.args.delay=0.01" in report
    for link in ("timeline.txt", "timeline.jsonl", "topology.yml", "lab.json", "programs/dropper.c"):
        assert f"({link})" in report
        assert (kept / link).stat().st_size
    # On a busy machine a line may be shown late, and so not at its place.
    assert set((kept / "timeline.txt").read_text().splitlines()) <= set(shown.splitlines())
    lines = [json.loads(line) for line in (kept / "timeline.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines if line["event"] == "Byte"] == [
        line.split("client  ")[1] for line in (kept / "timeline.txt").read_text().splitlines() if "  byte #" in line
    ]
    assert all(claim["verdict"] == "met" for claim in json.loads((kept / "claims.json").read_text()))
    assert (
        json.loads((kept / "counters.json").read_text())["programs"]["server"]["reasons"]["PASS_ODD"]["packets"] == 10
    )
    same = f"{ROOT}/bpf/packet.h"
    assert (kept / "programs" / "packet.h").read_text() == Path(same).read_text()
    [capture] = os.listdir(kept / "captures")
    assert f"(captures/{capture})" in report
    sent = [
        frame[TCP].seq
        for frame in rdpcap(str(kept / "captures" / capture))
        if TCP in frame and len(frame[TCP].payload) == 1
    ]
    assert sent == [line["values"]["seq"] for line in lines if line["event"] == "Byte"]


def test_a_program_is_kept_with_its_headers_where_it_finds_them(tmp_path: Path) -> None:
    """A changed one of its own, and netlab's: beside each other they compile as they did."""
    program = mutated(tmp_path, "balancer", ("\t\ts->queued++;\n", ""))
    kept = tmp_path / "kept"
    netlab("demo", "partb-high", "--save", str(kept), f"--set=nodes.lb.xdp.program={program}", *FAST, code=1)

    changed, netlabs = tmp_path / "balancer" / "requests.h", Path(f"{ROOT}/bpf/balancer/queue.h")
    assert (kept / "programs" / "balancer" / "requests.h").read_text() == changed.read_text()
    assert (kept / "programs" / "balancer" / "queue.h").read_text() == netlabs.read_text()
    assert (kept / "programs" / "packet.h").exists()


def test_a_failed_claim_is_kept_too(tmp_path: Path) -> None:
    program = mutated(tmp_path, "dropper", *PART_A_MISTAKES["drops odd"][0])
    kept = tmp_path / "kept"
    netlab("demo", "parta", "--save", str(kept), f"--set=nodes.server.xdp.program={program}", code=1)

    assert "| ✗ |" in (kept / "report.md").read_text()
    assert (kept / "programs" / "dropper.c").read_text() == Path(program).read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder with something in it is refused before anything is built."""
    (tmp_path / "mine").write_text("kept")
    for path in (str(tmp_path), str(tmp_path / "mine"), str(tmp_path / "mine" / "below"), ""):
        done = netlab("demo", "parta", "--save", path, code=2)

        assert "expected a folder that" in done.stderr
        assert "up after" not in done.stderr
    assert (tmp_path / "mine").read_text() == "kept"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """Also the one that we are in."""
    netlab("demo", "parta", "--save", ".", cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT})

    assert (tmp_path / "report.md").exists()


def test_what_sudo_wrote_belongs_to_the_user(tmp_path: Path) -> None:
    kept = tmp_path / "made" / "kept"
    netlab("demo", "parta", "--save", str(kept), env={**os.environ, "SUDO_UID": "1234", "SUDO_GID": "1235"})

    owners = {(os.stat(path).st_uid, os.stat(path).st_gid) for path in (tmp_path / "made").rglob("*")}
    assert owners == {(1234, 1235)}
