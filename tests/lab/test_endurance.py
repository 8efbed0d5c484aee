"""A thousand labs, two hundred of them killed on their way: nothing is left, and nothing grows."""

import os
from pathlib import Path

import pytest

from netlab import paths
from netlab.testing.waiting import eventually
from tests.lab.endurance import TOPOLOGY, Rounds, growth, held, kept, lost_with_an_instance

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

# What a lab may take for ever: far less than one namespace, one interface, one file.
KERNEL_KB, LEAKY, FILES = 4.0, 10, 0.1


@pytest.fixture
def rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """A lab of everything, that has come and gone until all that is kept has been kept once, in a cache of its own."""
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "lab.yml").write_text(TOPOLOGY)
    made = Rounds(str(tmp_path / "lab.yml"))
    made.play(4, killed=2)

    def keeps_no_more() -> bool:
        """Say whether a round has compiled nothing: what is made of a file that has just been written is not kept."""
        before = kept()
        made.play(1, killed=0)
        return before == kept() != {}

    eventually(keeps_no_more)
    return made


def test_labs_that_come_and_go_leave_nothing(rounds: Rounds) -> None:
    own, compiled = os.listdir("/proc/self/fd"), kept()

    rounds.play(6, killed=3)

    assert rounds.hit > 0
    assert len(own) == len(os.listdir("/proc/self/fd"))
    assert compiled == kept() != {}


@pytest.mark.skipif(not os.environ.get("NETLAB_LONG"), reason="ten minutes, and nothing beside it: make soak")
def test_a_thousand_labs_leave_nothing_and_nothing_grows(rounds: Rounds, capsys: pytest.CaptureFixture[str]) -> None:
    lost, compiled, samples = lost_with_an_instance(), kept(), [held()]

    for _ in range(10):
        rounds.play(100, killed=20)
        samples.append(held())

    grown = growth(samples, 100)
    with capsys.disabled():
        print(f"\n1,000 labs, {rounds.hit} killed; each takes {grown.kernel_kb:.1f} KB of the kernel's for ever,")
        print(f"{grown.files:.2f} open files, and {grown.leaky:,.0f} small objects: a trace instance takes {lost:,.0f}")
    assert rounds.hit > 100
    assert grown.kernel_kb <= KERNEL_KB
    assert grown.leaky <= lost * 1.1 + LEAKY
    assert grown.files <= FILES
    assert compiled == kept()
