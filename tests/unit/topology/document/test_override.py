"""`--set path=value`: what it changes, and paths that lead nowhere."""

from pathlib import Path

import pytest

from netlab.errors import TopologyError, UsageError
from netlab.topology import document, validate
from netlab.topology.document.tree import plain

LAB = """\
name: lab
nodes:
  a: {args: {count: 1, "dotted.key": 2, dotted: {key: 3}}, xdp: pass}
  b:
  c: &c {env: {X: y}}
  d: *c
  e: {xdp: [pass, {program: pass}], tc: {ingress: pass, egress: [pass]}}
links:
  - [a, b]
  - {endpoints: [{node: a}, b]}
"""


@pytest.fixture
def lab(tmp_path: Path) -> str:
    path = tmp_path / "lab.yml"
    path.write_text(LAB)
    return str(path)


@pytest.mark.parametrize(
    ("setting", "where", "expected"),
    [
        ("name=other", ["name"], "other"),
        ("name=a=b", ["name"], "a=b"),
        ("description=new", ["description"], "new"),
        ("description=", ["description"], None),
        ("nodes.a.args.count=5", ["nodes", "a", "args", "count"], 5),
        ("nodes.a.args.count='5'", ["nodes", "a", "args", "count"], "5"),
        ("nodes.a.args.payload=[1, 2]", ["nodes", "a", "args", "payload"], [1, 2]),
        ("nodes.a.args={x: {y: z}}", ["nodes", "a", "args"], {"x": {"y": "z"}}),
        ("nodes.a.args.dotted.key=5", ["nodes", "a", "args", "dotted.key"], 5),
        ("nodes.b={role: x}", ["nodes", "b"], {"role": "x"}),
        ("nodes.b.role=x", ["nodes", "b", "role"], "x"),
        ("nodes.b.args.count=5", ["nodes", "b", "args", "count"], 5),
        ("nodes.b.sysctls.net.ipv4.ip_forward=1", ["nodes", "b", "sysctls", "net.ipv4.ip_forward"], 1),
        ("nodes.a.xdp.mode=generic", ["nodes", "a", "xdp"], {"program": "pass", "mode": "generic"}),
        ("nodes.e.xdp.0.define={X: 1}", ["nodes", "e", "xdp", 0], {"program": "pass", "define": {"X": 1}}),
        ("nodes.a.xdp.define.PORT=9", ["nodes", "a", "xdp"], {"program": "pass", "define": {"PORT": 9}}),
        ("nodes.e.xdp.1.mode=generic", ["nodes", "e", "xdp", 1, "mode"], "generic"),
        ("nodes.e.tc.ingress.name=x", ["nodes", "e", "tc", "ingress"], {"program": "pass", "name": "x"}),
        ("nodes.e.tc.egress.0.name=x", ["nodes", "e", "tc", "egress", 0], {"program": "pass", "name": "x"}),
        ("nodes.a.xdp=other", ["nodes", "a", "xdp"], "other"),
        ("links.0.mtu=1400", ["links", 0], {"endpoints": ["a", "b"], "mtu": 1400}),
        ("links.0.1=c", ["links", 0], ["a", "c"]),
        ("links.0.endpoints.1.address=::1", ["links", 0, "endpoints", 1], {"node": "b", "address": "::1"}),
        ("links.1.endpoints.0.node=c", ["links", 1, "endpoints", 0, "node"], "c"),
        ("links.1=[b, c]", ["links", 1], ["b", "c"]),
        ("nodes.new=null", ["nodes", "new"], None),
    ],
)
def test_settings(lab: str, setting: str, where: list[str | int], expected: object) -> None:
    """The value is YAML; short forms become long ones where a path needs it."""
    found: object = plain(document.load(lab, [setting]).root)
    for step in where:
        found = found[step]  # type: ignore[index]

    assert expected == found


def test_an_alias_is_changed_alone(lab: str) -> None:
    """What an alias stands for is not changed through it."""
    nodes = plain(document.load(lab, ["nodes.d.env.X=z"]).root)["nodes"]  # type: ignore[index]

    assert ("y", "z") == (nodes["c"]["env"]["X"], nodes["d"]["env"]["X"])


def test_later_settings_see_earlier_ones(lab: str) -> None:
    """Settings are applied in order."""
    nodes = plain(document.load(lab, ["nodes.e={}", "nodes.e.args.k=1", "nodes.e.args.k=2"]).root)["nodes"]  # type: ignore[index]

    assert {"args": {"k": 2}} == nodes["e"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("name", "--set 'name': expected PATH=VALUE, such as nodes.client.args.count=5"),
        ("=x", "--set '=x': expected PATH=VALUE, such as nodes.client.args.count=5"),
        ("", "--set '': expected PATH=VALUE, such as nodes.client.args.count=5"),
        ("nodes.aa.role=x", "--set nodes.aa.role: nodes has no 'aa' (did you mean 'a'?)"),
        ("nodes.b.rolex.y=x", "--set nodes.b.rolex.y: nodes.b has no 'rolex' (none is known here)"),
        ("name.x=y", "--set name.x: name is a single value, with nothing in it to set"),
        ("links.2=x", "--set links.2: links is a list with the numbers 0 to 1, found '2'"),
        ("links.-1=x", "--set links.-1: links is a list with the numbers 0 to 1, found '-1'"),
        ("links.first.mtu=9", "--set links.first.mtu: links is a list with the numbers 0 to 1, found 'first'"),
        ("links.99999999999999999999=x", "--set links.99999999999999999999: links is a list with the numbers 0 to 1, "),
        ("nodes.=x", "--set nodes.: a path does not end with a dot"),
        ("..=x", "--set ..: a path does not end with a dot"),
        ("nodes..x=y", "--set nodes..x: nodes has no ''"),
        ("other.key=x", "--set other.key: the topology has no 'other' (known: links, name, nodes)"),
        ("name=[a", "--set 'name': in its value: expected YAML: "),
        ("name={a: 1, a: 2}", "--set 'name': in its value: expected each key once, found 'a' again"),
        ("name=!!x y", "--set 'name': in its value: expected a plain value, found the tag '!!x'"),
        ("name=*c", "--set 'name': in its value: expected an alias of an anchor above, found *c"),
        ("name=# x", "--set 'name': in its value: expected a value, found nothing"),
        ("name=a\n---\nb", "--set 'name': in its value: expected one document, found a second"),
        ("name=\x00", "--set 'name': in its value: expected YAML text, found the control character '\\x00'"),
        ("na\x1bme.x=y", "--set na\\x1bme.x: the topology has no 'na\\x1bme'"),
    ],
)
def test_paths_and_values_that_are_wrong(lab: str, setting: str, message: str) -> None:
    """A setting that does not fit is a wrong option: exit code 2."""
    with pytest.raises(UsageError) as caught:
        document.load(lab, [setting])

    assert not isinstance(caught.value, TopologyError)
    assert str(caught.value).startswith(message)


def test_a_mistake_in_a_setting_says_so(lab: str) -> None:
    """What stands nowhere in the file is shown at the place that was changed, and said to come from --set."""
    with pytest.raises(TopologyError) as caught:
        validate.topology(document.load(lab, ["nodes.c.kind=router"]))

    assert f"{lab}:5:6: nodes.c.kind: expected node, switch or host, found 'router' (set by --set)" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["[" * 100_000, "- " * 1000, "{a: " * 1000, "9" * 100_000, "*" * 1000, "\ud800", "\t"]
)
def test_broken_values_are_refused(lab: str, value: str) -> None:
    """A value is read as carefully as a file."""
    with pytest.raises(UsageError):
        validate.topology(document.load(lab, [f"description={value}"]))
