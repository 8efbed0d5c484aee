"""A lab for Docker Compose: what the file says, and what people are told that it cannot."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.plan import compose_file
from netlab.plan.planner import plan
from netlab.topology import document, validate
from netlab.topology.document.dump import dump
from tests.checkout import ROOT

GOLDEN = os.path.join(ROOT, "tests", "golden")
FILES = {
    "addresses": f"{GOLDEN}/compose/addresses.yml",
    "everything": f"{GOLDEN}/compose/everything.yml",
    "partb": f"{ROOT}/topologies/partb.yml",
    "processes": f"{GOLDEN}/compose/processes.yml",
    "router": f"{ROOT}/topologies/router.yml",
    "switch": f"{ROOT}/topologies/switch.yml",
}


SEVERAL = """
name: x
nodes:
  r:
    env: {A: "node's"}
    processes:
      one: {command: [sh, -c, 'echo "$A"; exit 3']}
      two: {command: [sh, -c, 'echo "$A"'], env: {A: "own 'b' $"}}
"""


def exported(path: str) -> str:
    """Return what `netlab export compose` prints, the checkout's path taken out before long lines are folded."""
    said = json.dumps(compose_file.compose(plan(validate.topology(document.load(path)))))
    # Where the checkout's path has a blank, a shell's line has the path in quotes.
    data, notes = json.loads(re.sub(r"'(/ROOT[^' ]*)'", r"\1", said.replace(ROOT, "/ROOT")))
    return dump(data, notes)


@pytest.mark.parametrize("name", FILES)
def test_golden_compose(name: str) -> None:
    """The file is as it stands beside; after a change that is meant, UPDATE_GOLDEN=1 writes it anew."""
    text = exported(FILES[name])
    expected = f"{GOLDEN}/compose/{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        with open(expected, "w", encoding="utf-8") as file:
            file.write(text)

    with open(expected, encoding="utf-8") as file:
        assert file.read() == text


@pytest.mark.parametrize("name", FILES)
def test_every_address_is_in_its_network_once(name: str) -> None:
    """No two services have the same, and the engine's bridge has one of its own."""
    data = yaml.safe_load(exported(FILES[name]))

    for network, about in data["networks"].items():
        gateways = [pool["gateway"] for pool in about["ipam"]["config"]]
        attached = [service["networks"][network] for service in services_on(data, network)]
        addresses = [each[key] for each in attached for key in ("ipv4_address", "ipv6_address") if key in each]
        assert len({*gateways, *addresses}) == len(gateways) + len(addresses)


def services_on(data: Any, network: str) -> list[Any]:
    """Return the services that are on a network."""
    return [service for service in data["services"].values() if network in service.get("networks", {})]


def test_the_processes_of_a_node_all_run_with_their_own_variables(tmp_path: Path) -> None:
    """What the shell is given does that, whatever is in their words; each says whose end it was."""
    (tmp_path / "lab.yml").write_text(SEVERAL)
    (tmp_path / "sleep").write_text("#!/bin/sh\n")  # what the container goes on with
    (tmp_path / "sleep").chmod(0o755)
    data, _ = compose_file.compose(plan(validate.topology(document.load(str(tmp_path / "lab.yml")))))
    words = json.loads(json.dumps(data).replace("$$", "$"))["services"]["r"]["command"]

    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "A": "node's"}
    shown = subprocess.run(words, check=True, env=environment, capture_output=True, text=True)

    assert sorted(shown.stdout.splitlines()) == [
        "node's",
        "one exited with code 3",
        "own 'b' $",
        "two exited with code 0",
    ]


def test_what_is_said_survives_the_way_through_yaml() -> None:
    """Numbers, empty text and words that YAML takes for something else come back as they were."""
    data = {"a": ["1:30", "on", "", "007", "# no comment", "two\nlines", 5, 0.5, True], "b": {"c": {"d": "é"}}}

    assert data == yaml.safe_load(dump(data, ["said: before", "- {"]))


def test_the_same_object_twice_is_written_twice() -> None:
    """Anchors and aliases are hard to read."""
    part = {"a": "b"}

    assert not re.search("[&*]id", dump({"one": part, "two": part}))
