"""`up` and `down` of a lab with a way outside, killed with -9 where they change the host: `down` sets all back."""

import signal
from collections.abc import Iterator
from functools import partial

import pytest

from netlab.testing import leaks
from tests.lab.killing import every, lines_of, run_killed
from tests.lab.outside import Machine, machine

pytestmark = pytest.mark.root

LAB = "name: small\nnodes: {a: {}, world: {kind: host, internet: true}}\nlinks: [[a, world]]\n"
# Every line takes minutes.
STEPS = every(some=25, many=4)
OF_THE_HOST = (
    "network/",
    "lab/outside",
    "lab/host_networks",
    "lab/removal",
    "runtime/names",
    "record/lock",
    "record/store",
)


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    with machine() as played:
        played.sh("iptables-nft -P FORWARD DROP")
        yield played


@pytest.mark.parametrize("verb", ["up", "down"])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_left_on_the_host(host: Machine, tmp_path: str, verb: str, step: int) -> None:
    file = f"{tmp_path}/small.yml"
    with open(file, "w", encoding="utf-8") as written:
        written.write(LAB)
    words = (verb, *((file,) if verb == "up" else ("small",)))
    before, state = leaks.snapshot(), host.state()

    def stands(*, wanted: bool) -> None:
        host.netlab(*(("up", file) if wanted else ("down", "small")))

    stands(wanted=verb == "down")
    lines = [line for line in host.inside(lambda: lines_of(tmp_path, *words)) if line.startswith(OF_THE_HOST)]
    stands(wanted=False)
    assert len(lines) > 100
    for line in lines[::step]:
        if verb == "down":
            stands(wanted=True)
        done = host.inside(partial(run_killed, f"SIGKILL@{line}", *words))
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        stands(wanted=False)
        assert host.state() == state, line
        assert not leaks.settled(before), line
