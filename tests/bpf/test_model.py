"""The balancer beside its model: random operations, and after each of them both are in the same state."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import HealthCheck, configuration, given
from hypothesis import strategies as st

from netlab import balancer
from tests.bpf import frames
from tests.bpf.both import Both
from tests.bpf.rig import CLIENT, CLIENT6, COMPLETION, LB, LB6, LOCAL, LONG, SERVICE, SILENT, Rig, address_of
from tests.bpf.test_healing import REPORTS, reply, report

pytestmark = pytest.mark.root

EXAMPLES = 150 if LONG else 8  # of each policy and each set of backends
STEPS = 80
WORKERS = st.integers(1, 4)  # more than there are: strangers
SETTINGS: dict[str, dict[str, Any]] = {
    "completions": {},
    "replies": {"replies": True},
    "reports": {"report_port": REPORTS},
}


class Step(NamedTuple):
    """One operation, and the frame, the worker or the weights that it is done with."""

    what: str
    frame: bytes = b""
    worker: int = 0
    weights: tuple[int, ...] = ()


@pytest.fixture(autouse=True, scope="module")
def hypothesis_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave no files in the checkout, which may belong to another user."""
    configuration.set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))


def a_request(data: bytes, version: int, port: int = 40000, to: int = 0) -> bytes:
    ours = [address for address in LOCAL if (":" in address) is (version == 6)][to]
    return frames.udp(data, CLIENT if version == 4 else CLIENT6, ours, ports=(port, SERVICE))


def a_reply(worker: int, version: int, port: int) -> bytes:
    return bytes(reply(worker, version=version, udp_dport=port))


def a_report(worker: int, received: int, completed: int, incarnation: int, version: int) -> bytes:
    return bytes(report(worker, received, completed, incarnation, version))


def a_completion(worker: int, data: bytes = b"", version: int = 4) -> bytes:
    return frames.udp(data, address_of(worker, version), LB if version == 4 else LB6, ports=(1, COMPLETION))


def damaged(kind: str) -> bytes:
    """Return what looks much like a request, or like a completion of worker1."""
    whole, whole6 = frames.udp(b"1"), frames.udp(b"1", CLIENT6, LB6)
    return {
        "cut": whole[:40],
        "not local": frames.udp(b"1", destination="10.0.1.2"),
        "other port": frames.udp(b"1", ports=(1, 53)),
        "other host": frames.udp(b"1", to_mac="02:00:00:00:00:99"),
        "fragment": frames.udp(b"1", fragment=0x2000),
        "header checksum": whole[:24] + b"\0\0" + whole[26:],
        "martian": frames.udp(b"1", source="127.0.0.1"),
        "length": frames.checksummed(whole[:38] + b"\0\7" + whole[40:]),
        "cut IPv6": whole6[:58],
        "extension header": whole6[:20] + b"\0" + whole6[21:],
        "no checksum": whole6[:60] + frames.NO_CHECKSUM + whole6[62:],
        "mapped": frames.udp(b"1", CLIENT6, f"::ffff:{LB}"),
        "IPv6 length": frames.checksummed(whole6[:58] + b"\0\7" + whole6[60:]),
        "completion's length": frames.checksummed(a_completion(1)[:38] + b"\0\7" + a_completion(1)[40:]),
    }[kind]


KINDS = ["cut", "not local", "other port", "other host", "fragment", "header checksum", "martian", "length"]
KINDS += ["cut IPv6", "extension header", "no checksum", "mapped", "IPv6 length", "completion's length"]
VERSIONS = st.sampled_from((4, 6))
PORTS = st.sampled_from((40000, 40001))  # of clients, who ask either of our addresses
REQUESTS = st.builds(
    lambda length, mark, version, port, to: Step("arrive", a_request(bytes([mark]) * length, version, port, to)),
    st.one_of(st.integers(0, 40), st.integers(1445, 1480)),  # 1472 bytes are the longest of IPv4, 1452 of IPv6
    st.integers(0, 255),
    VERSIONS,
    PORTS,
    st.sampled_from((0, 0, 0, 1)),
)
COMPLETIONS = st.builds(
    lambda worker, length, version: Step("arrive", a_completion(worker, bytes(length), version)),
    WORKERS,
    st.integers(0, 9),
    VERSIONS,
)
REPLIES = st.builds(a_reply, WORKERS, VERSIONS, PORTS)
TOLD = st.builds(a_report, WORKERS, st.integers(0, 6), st.integers(0, 6), st.sampled_from((0, 1, 1, 1, 2)), VERSIONS)
KINDS_OF_ANSWERS = st.sampled_from(("answer", "answer", "answer in fragments"))
ANSWERS = st.builds(lambda what, which: Step(what, worker=which), KINDS_OF_ANSWERS, st.integers(0, 7))  # what has left
WORDS = {
    "completions": COMPLETIONS,
    "replies": st.one_of(ANSWERS, REPLIES.map(lambda frame: Step("arrive", frame))),
    "reports": st.one_of(COMPLETIONS, TOLD.map(lambda frame: Step("arrive", frame))),
}
OTHERS = st.one_of(
    st.builds(lambda frame: Step("arrive elsewhere", frame), st.builds(a_completion, WORKERS, version=VERSIONS)),
    st.builds(lambda kind: Step("arrive", damaged(kind)), st.sampled_from(KINDS)),
    st.builds(lambda weights: Step("weigh", weights=weights), st.tuples(*[st.sampled_from((0, 1, 1, 2, 5))] * 3)),
    st.builds(lambda worker: Step("begin", worker=worker), WORKERS),
    st.sampled_from([Step("age"), Step("forget")]),
    st.builds(lambda what, worker: Step(what, worker=worker), st.sampled_from(("ill", "well", "well")), WORKERS),
    st.builds(lambda which: Step("refuse", worker=which), st.integers(0, 7)),
)
CARRIERS = st.builds(lambda worker, version: Step("leave", a_completion(worker, version=version)), WORKERS, VERSIONS)
LEAVING = st.one_of(CARRIERS, CARRIERS, REPLIES.map(lambda frame: Step("leave", frame)))
LET_GO = st.builds(lambda what, which: Step(what, worker=which), st.sampled_from(("done", "again")), st.integers(0, 7))


def steps(words: str, holds: bool) -> st.SearchStrategy[list[Step]]:
    """Return lists of steps, in which backends free their threads by these words."""
    kinds = [REQUESTS, REQUESTS, REQUESTS, WORDS[words], WORDS[words], LEAVING, LEAVING, OTHERS]
    return st.lists(st.one_of(*kinds, *[LET_GO] * holds), min_size=STEPS // 2, max_size=STEPS)


def answered(both: Both, which: int) -> None:
    """Let a request be answered, if there is one, and its answer leave, if it goes on."""
    if frame := both.answer(which):
        both.leave(frame)


def taken(both: Both, step: Step) -> None:
    """Let the program and the model take a step, and compare what came out."""
    count, held = len(both.model.free), sorted(both.model.held)
    index = (step.worker - 1) % count
    kinds: dict[str, Callable[[], object]] = {
        "arrive": lambda: both.arrive(step.frame),
        "arrive elsewhere": lambda: both.arrive(step.frame, from_home=False),
        "leave": lambda: both.leave(step.frame),
        "weigh": lambda: both.weigh(*step.weights[:count]),
        "answer": lambda: answered(both, step.worker),
        "answer in fragments": lambda: both.answer_in_fragments(step.worker),
        "begin": lambda: both.begin(index),
        "ill": lambda: both.look_after(index, is_well=False),
        "well": lambda: both.look_after(index, is_well=True),
        "refuse": lambda: both.refuse(step.worker),
        "age": both.age,
        "forget": both.forget,
        "done": lambda: held and both.let_go(held[step.worker % len(held)], is_done=True),
        "again": lambda: held and both.let_go(held[step.worker % len(held)], is_done=False),
    }
    kinds[step.what]()


def agree(rig: Rig, counted: Counter[str], words: str, capacity: tuple[int, ...], policy: str, holds: bool) -> None:
    """Let both take random steps, and compare them after each."""
    by = balancer.BY_REPLIES if words == "replies" else balancer.BY_REPORTS
    settings = {**SETTINGS[words], "holds": by if holds else ""}
    rig.reset(capacity=capacity, policy=policy, **settings)

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(steps(words, holds))
    def after_every_step(steps: list[Step]) -> None:
        rig.again()
        both = Both(rig, capacity, policy, **settings)
        for step in steps:
            taken(both, step)
            both.compare()
            counted["steps of the model"] += 1
        both.forget()

    after_every_step()


@pytest.mark.parametrize("rig", [SILENT], ids=["silent"], indirect=True)
@pytest.mark.parametrize("capacity", [(1,), (1, 2), (3, 1, 2)], ids=str)
@pytest.mark.parametrize("policy", balancer.POLICIES)
def test_the_program_and_the_model_agree_after_every_step(
    rig: Rig, policy: str, capacity: tuple[int, ...], counted: Counter[str]
) -> None:
    """Whatever arrives, completes and leaves, in whatever order, by each policy and whatever weights."""
    agree(rig, counted, "completions", capacity, policy, holds=False)


@pytest.mark.parametrize("rig", [SILENT], ids=["silent"], indirect=True)
@pytest.mark.parametrize("holds", [False, True], ids=["not held", "held"])
@pytest.mark.parametrize("capacity", [(1, 2), (3, 1, 2)], ids=str)
@pytest.mark.parametrize("words", ["replies", "reports"])
def test_they_agree_where_backends_reply_or_report(
    rig: Rig, words: str, capacity: tuple[int, ...], holds: bool, counted: Counter[str]
) -> None:
    """Of a report the model only knows whose threads it may free, and not more of them than there are."""
    agree(rig, counted, words, capacity, "most-free", holds)


# Before the lock is taken a request may seem to have to wait, or not to: as if it always, or never, did.
SEEMS = "bool waits = (s->depth || !*node(s, s->root)) && !is_full(s) && !is_too_long;"
MISTAKEN = [
    SILENT._replace(changes=((SEEMS, f"bool waits = {hint};"),)) for hint in ("!is_full(s) && !is_too_long", "false")
]


@pytest.mark.parametrize("rig", MISTAKEN, ids=["always", "never"], indirect=True)
@pytest.mark.parametrize("holds", [False, True], ids=["not held", "held"])
def test_they_agree_whatever_seems_to_be_so_before_the_lock_is_taken(
    rig: Rig, holds: bool, counted: Counter[str]
) -> None:
    """It is a hint, by which nothing is decided."""
    agree(rig, counted, "reports", (1, 2), "most-free", holds)
