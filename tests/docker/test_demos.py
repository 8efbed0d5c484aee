"""What the demos count in Docker mode, beside what they count in namespaces."""

from typing import Any

import pytest

from tests.contract.demos import DEMOS, played
from tests.docker.engine import Engine

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.usefixtures("no_leaks")]

# What the kernels of neighbours say to each other by themselves, when they like: ARP, ICMPv6, multicast groups
NOISE = {"PASS_NOT_IP", "PASS_NOT_TCP", "PASS_IPV6_EXTENSION"}
# Those that are the same on every run; of part B's high load, what is queued when is a matter of time.
COUNTED = {"partb-low": ("received", "completions", "dropped", "queued"), "partb-high": ("received", "completions")}


def figures(demo: str, runtime: str) -> dict[str, Any]:
    """Return the counters of a demo that do not depend on its times."""
    counters: dict[str, Any] = played(demo, runtime)["counters"]
    if demo == "parta":
        reasons = counters["programs"]["server"]["reasons"]
        return {reason: counted for reason, counted in reasons.items() if reason not in NOISE}
    return {name: counters["balancers"]["lb"][name] for name in COUNTED[demo]}


@pytest.mark.parametrize("demo", DEMOS)
def test_figures_are_those_of_namespaces(engine: Engine | None, demo: str) -> None:
    assert figures(demo, "netns") == figures(demo, "docker")
