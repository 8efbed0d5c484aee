"""What a person types, on labs that stand."""

import json

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import PARTB, ROOT, lab, netlab, stats, texts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]
PAIR = f"{ROOT}/topologies/pair.yml"


def test_a_lab_is_shown_and_removed_by_its_name() -> None:
    """The other one stays."""
    with lab(PAIR, name="kept"):
        netlab("up", PAIR, "--lab", "named")
        assert json.loads(netlab("status", "named", "--format", "json").stdout)["lab"] == "named"
        netlab("down", "named")

        assert "no lab named named is up; there is kept" in netlab("status", "named", code=1).stderr
        assert json.loads(netlab("status", "--format", "json").stdout)["state"] == "up"


def test_the_last_lines() -> None:
    """Of all nodes together, or of one; and of the trace."""
    with lab(PARTB, "--set=nodes.client.autostart=false"):
        netlab("run", "client", "--count", "3", "--sleep", "0", "--interval", "0")
        eventually(lambda: stats()["completions"] == 3 and len(texts("logs")) >= 10 and len(texts("trace")) >= 9)
        for words in (("logs",), ("logs", "worker2"), ("trace",)):
            everything = texts(*words)

            assert texts(*words, "-n", "2") == everything[-2:]
            assert texts(*words, "--lines", "0") == []
