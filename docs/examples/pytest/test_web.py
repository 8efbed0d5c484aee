"""What a project tests with netlab: `lab` is the one of topology.yml, beside this file."""

import pytest

from netlab import Lab, Topology

FETCH = "import sys, urllib.request; sys.exit(urllib.request.urlopen(sys.argv[1], timeout=5).status != 200)"


def test_the_server_is_reached_through_the_router(lab: Lab) -> None:
    lab["client"].run(["python3", "-c", FETCH, "http://server/"], check=True)
    lab.wait_for('"GET / HTTP/1.1" 200', "server")


def test_a_server_that_was_killed_serves_again(lab: Lab) -> None:
    lab["server"].kill()
    assert lab["client"].run(["python3", "-c", FETCH, "http://server/"]).returncode != 0
    lab["server"].start()
    lab["client"].run(["python3", "-c", FETCH, "http://server/"], check=True)


@pytest.mark.netlab(Topology("two").node("a").node("b").link("a", "b"))
def test_a_topology_may_stand_in_the_test(lab: Lab) -> None:
    lab["a"].run(["ping", "-c1", "b"], check=True)
