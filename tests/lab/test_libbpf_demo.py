"""The balancer in libbpf's dialect is judged as any other: all claims on its behaviour hold."""

import json

import pytest

from netlab.testing.waiting import IS_SLOW
from tests.lab.clang import needed
from tests.lab.lab import ROOT, netlab
from tests.lab.test_students import FAST

# An emulated processor may serve so slowly that a request finds no free thread; then this cannot be judged.
MAY_BE_UNJUDGED = {"partb.low_sleeps_wait_for_nothing"}

pytestmark = [pytest.mark.root, needed]


@pytest.mark.parametrize(("demo", "options"), [("partb-low", ()), ("partb-high", FAST)])
def test_all_claims_hold(demo: str, options: tuple[str, ...]) -> None:
    claims = json.loads(netlab("demo", demo, f"{ROOT}/topologies/libbpf.yml", *options, "--format", "json").stdout)

    open_ = {claim["id"] for claim in claims["claims"] if claim["verdict"] != "met"}
    assert claims["claims"]
    assert open_ <= (MAY_BE_UNJUDGED if demo == "partb-low" and IS_SLOW else set())
    assert "failed" not in {claim["verdict"] for claim in claims["claims"]}
