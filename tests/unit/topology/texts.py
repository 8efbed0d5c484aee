"""What is made of the text of a topology."""

import pytest

from netlab.errors import TopologyError
from netlab.topology import document, validate
from netlab.topology.model import Topology


def topology(text: str) -> Topology:
    return validate.topology(document.parse(text, "lab.yml"))


def mistakes(text: str) -> list[str]:
    """Return the mistakes of a topology, each with its place."""
    with pytest.raises(TopologyError) as caught:
        topology(text)
    return str(caught.value).split("\n")
