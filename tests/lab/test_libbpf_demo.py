"""The balancer in libbpf's dialect is judged as any other: all claims on its behaviour hold."""

import json

import pytest

from tests.lab.clang import needed
from tests.lab.lab import ROOT, netlab
from tests.lab.test_students import FAST

pytestmark = [pytest.mark.root, needed]


@pytest.mark.parametrize(("demo", "options"), [("partb-low", ()), ("partb-high", FAST)])
def test_all_claims_hold(demo: str, options: tuple[str, ...]) -> None:
    claims = json.loads(netlab("demo", demo, f"{ROOT}/topologies/libbpf.yml", *options, "--format", "json").stdout)

    verdicts = [claim["verdict"] for claim in claims["claims"]]
    assert "failed" not in verdicts
    assert (
        verdicts.count("met") >= len(verdicts) - 1
    )  # where processors are emulated, one may have no time to be judged
