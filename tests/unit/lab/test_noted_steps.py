"""The steps of a lab, as JSON and back."""

import json

from netlab.lab import noted_steps
from netlab.plan.planner import plan
from netlab.plan.sysctl_step import ChangeSysctls
from netlab.topology import document, validate

TOPOLOGY = """
name: x
nodes:
  a:
    processes:
      one: {command: [sleep, "1"], ready: {file: /run/x, within: 3}, restart: on-failure, env: {A: "1"}}
    files: {/etc/x: {text: "\\u00e9"}}
    private: [/opt]
    setup: [echo]
    loopback: [10.255.0.1/32]
  b: {xdp: {program: balancer, define: {A: 1}}, maps: {config: {1: [a, 2, {y: 3}]}}}
  s: {kind: switch}
  h: {kind: host}
links: [[a, b], [a, s], [h, a]]
"""


def test_steps_come_back_as_they_were() -> None:
    """Of every type: bytes, entries of maps with their places, signs of readiness."""
    steps = plan(validate.topology(document.parse(TOPOLOGY, "x.yml", "/x.yml"))).steps
    changes = (*steps, ChangeSysctls("a", (("net.a", "1"),), (), "x"))
    text = json.dumps([noted_steps._plain(step) for step in changes])
    kinds = noted_steps._kinds()

    assert tuple(noted_steps._typed(each, kinds) for each in json.loads(text)) == changes
    assert len({type(step) for step in steps}) > 10
