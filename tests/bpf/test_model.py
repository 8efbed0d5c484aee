"""The balancer beside its model: random operations, and after each of them both are in the same state."""

from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, configuration, given, settings
from hypothesis import strategies as st

from netlab import balancer
from tests.bpf import frames
from tests.bpf.model import Model
from tests.bpf.rig import CLIENT6, COMPLETION, LB, LB6, LONG, SILENT, Rig, address_of

pytestmark = pytest.mark.root

EXAMPLES = 150 if LONG else 8  # of each policy and each set of backends
STEPS = 80
WORKERS = st.integers(1, 4)  # more than there are: strangers


class Step(NamedTuple):
    """One operation: a frame in, from where the backends live or from elsewhere, a carrier out, or other weights."""

    frame: bytes = b""
    is_from_home: bool = True
    worker: int = 0  # whose carrier, or who is elsewhere
    weights: tuple[int, ...] = ()


@pytest.fixture(autouse=True, scope="module")
def hypothesis_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave no files in the checkout, which may belong to another user."""
    configuration.set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))


def a_request(data: bytes, version: int) -> bytes:
    return frames.udp(data) if version == 4 else frames.udp(data, CLIENT6, LB6)


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
REQUESTS = st.builds(
    lambda length, mark, version: Step(a_request(bytes([mark]) * length, version)),
    st.one_of(st.integers(0, 40), st.integers(1445, 1480)),  # 1472 bytes are the longest of IPv4, 1452 of IPv6
    st.integers(0, 255),
    VERSIONS,
)
COMPLETIONS = st.builds(
    lambda worker, length, version: Step(a_completion(worker, bytes(length), version)),
    WORKERS,
    st.integers(0, 9),
    VERSIONS,
)
OTHERS = st.one_of(
    st.builds(lambda worker, version: Step(a_completion(worker, version=version), False, worker), WORKERS, VERSIONS),
    st.builds(lambda kind: Step(damaged(kind)), st.sampled_from(KINDS)),
    st.builds(lambda weights: Step(weights=weights), st.tuples(*[st.sampled_from((0, 1, 1, 2, 5))] * 3)),
)
CARRIERS = st.builds(
    lambda worker, version: Step(a_completion(worker, version=version), True, worker), WORKERS, VERSIONS
)
STEP = st.one_of(REQUESTS, REQUESTS, REQUESTS, COMPLETIONS, COMPLETIONS, CARRIERS, CARRIERS, OTHERS)


def taken(rig: Rig, model: Model, step: Step) -> None:
    """Let the program and the model take a step, and compare what came out."""
    if step.weights:
        model.weigh(*step.weights[: len(model.free)])
        rig.weigh(*model.weights)
        return
    if step.is_from_home and step.worker:
        run = rig.egress.test_run(step.frame)
        expected = model.leave(step.frame)
    elif step.is_from_home:
        run = rig.program.test_run(step.frame)
        expected = model.arrive(step.frame, run.packet)
    else:
        with rig.backend_interface(min(step.worker, len(model.free)), ifindex=4711):
            run = rig.program.test_run(step.frame)
        expected = model.arrive(step.frame, run.packet, from_home=False)
    assert (run.verdict, run.packet) == (expected.verdict, expected.packet or run.packet), expected.reason


def compare(rig: Rig, model: Model) -> None:
    """Both have counted the same, and have the same threads free and the same requests waiting in the same order."""
    now = rig.now()

    assert list(now.free.values()) == model.free
    assert rig.waiting() == model.waiting
    assert now.depth == len(model.waiting)
    assert now.counters == model.counters
    assert {name: count.packets for name, count in rig.counts().items() if count.packets} == model.reasons
    assert rig.carrier_counts() == model.carrier_reasons


@pytest.mark.parametrize("rig", [SILENT], ids=["silent"], indirect=True)
@pytest.mark.parametrize("capacity", [(1,), (1, 2), (3, 1, 2)], ids=str)
@pytest.mark.parametrize("policy", balancer.POLICIES)
def test_the_program_and_the_model_agree_after_every_step(
    rig: Rig, policy: str, capacity: tuple[int, ...], counted: Counter[str]
) -> None:
    """Whatever arrives, completes and leaves, in whatever order, by each policy and whatever weights."""
    rig.reset(capacity=capacity, policy=policy)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(STEP, min_size=STEPS // 2, max_size=STEPS))
    def agree(steps: list[Step]) -> None:
        rig.again()
        rig.weigh(*[1] * len(capacity))
        model = Model(capacity, policy, rig.now().queue)
        for step in steps:
            taken(rig, model, step)
            compare(rig, model)
            counted["steps of the model"] += 1

    agree()
