"""What `up` says of a lab that this host joins."""

from netlab.lab import outside
from netlab.plan.planner import plan
from netlab.topology.model import Endpoint, Link, Node, Route, Topology


def test_networks_of_the_world_that_the_host_would_look_for_in_the_lab_are_named() -> None:
    routes = (Route("10.9.0.0/16", "a"), Route("8.8.8.0/24", "a"), Route("2001:4860::/32", "a"))
    world = Node("world", "host", internet=False, routes=routes)
    at_host = Endpoint("world", addresses=("10.7.0.1/24", "9.9.9.1/24", "fd01::1/64"), peers=())
    link = Link(Endpoint("a", addresses=("10.7.0.2/24", "fd01::2/64")), at_host)
    found = plan(Topology("t", "", (Node("a"), world), (link,)))
    said: list[str] = []
    outside.opened(found.steps, found.interfaces, None, "t", said.append)

    note = "this host reaches 9.9.9.0/24, 8.8.8.0/24, 2001:4860::/32 only in the lab; they are no private networks"
    assert f"netlab: t: world: note: {note}" in said
