"""A lab as a drawing: what is on it, and texts that Graphviz and Mermaid take."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from netlab.cli import main
from netlab.errors import HostError, NetlabError
from netlab.observe import graph
from netlab.plan import description, planner
from netlab.plan.surroundings import NOWHERE
from netlab.record.model import LabRecord
from netlab.topology import document, validate
from tests.checkout import ROOT

TEXT = """
name: drawn
nodes:
  r:
    xdp: %s/bpf/pass.c
    processes: {zebra: {command: [zebra]}, ospfd: {command: [/usr/lib/ospfd, -x]}}
    loopback: [10.255.0.1/32]
  sw: {kind: switch}
  a: {command: [sleep, inf]}
  b: {}
links:
  - {endpoints: [{node: r, interface: left}, a], subnet: [10.9.0.0/30, "fd09::/64"]}
  - {endpoints: [r, sw], addresses: ipv4}
  - {endpoints: [sw, b], subnet: 10.5.0.0/24, addresses: ipv4}
"""


def record(text: str, folder: Path) -> LabRecord:
    file = folder / "drawn.yml"
    file.write_text(text)
    written = document.load(str(file), [])
    return description.describe(planner.plan(validate.topology(written), written, NOWHERE), "/run/netlab/drawn")


@pytest.fixture
def drawing(tmp_path: Path) -> graph.Drawing:
    return graph.of(record(TEXT % ROOT, tmp_path))


def test_a_node_has_its_programs_processes_and_loopback_addresses(drawing: graph.Drawing) -> None:
    assert [(box.name, box.kind, box.lines) for box in drawing.boxes] == [
        ("r", "node", ("xdp pass", "zebra", "ospfd", "10.255.0.1/32")),
        ("sw", "switch", ()),
        ("a", "node", ("sleep",)),
        ("b", "node", ()),
    ]


def test_a_link_that_was_set_down_is_drawn_broken(tmp_path: Path) -> None:
    """It may be named by either end."""
    drawing = graph.of(record(TEXT % ROOT, tmp_path), down=["a:eth0", "sw:eth1"])
    assert [line.is_down for line in drawing.lines] == [True, False, True]
    assert drawing.lines[0].label == ("down", "10.9.0.0/30", "fd09::/64")
    mermaid = graph.mermaid(drawing).splitlines()
    assert ["-.-", "---", "-.-"] == [
        line.split()[1].partition("|")[0] for line in mermaid if line.startswith("  n") and "[" not in line
    ]
    assert any(line.startswith("  linkStyle 0,2 stroke:") for line in mermaid)
    assert graph.dot(drawing).count("style=dashed") == 2


def test_a_link_is_drawn_once_with_interfaces_addresses_and_networks(drawing: graph.Drawing) -> None:
    """Ports of a switch have no words of their own, and an address is as short as its network allows."""
    assert [(line.a, line.b, line.label) for line in drawing.lines] == [
        (graph.Tip("r", ("left .1",)), graph.Tip("a", ("eth0 .2",)), ("10.9.0.0/30", "fd09::/64")),
        (graph.Tip("r", ("eth1 .1",)), graph.Tip("sw", ()), ("10.5.0.0/24",)),
        (graph.Tip("sw", ()), graph.Tip("b", ("eth0 .2",)), ("10.5.0.0/24",)),
    ]


def test_a_running_lab_says_what_runs_and_what_is_wrong(tmp_path: Path) -> None:
    found = graph.of(record(TEXT % ROOT, tmp_path), {"a": ["command: running"]}, ["b"])
    assert [(box.lines, box.is_bad) for box in found.boxes if box.name in "ab"] == [
        (("command: running",), False),
        ((), True),
    ]
    assert "  style n3 stroke:#b00000" in graph.mermaid(found)
    assert '"b" [label="b" fillcolor="#e0eff8" color="#b00000" penwidth=3]' in graph.dot(found)


def test_mermaid(drawing: graph.Drawing) -> None:
    assert graph.mermaid(drawing).splitlines() == [
        "flowchart LR",
        '  n0["<b>r</b><br/>xdp pass<br/>zebra<br/>ospfd<br/>10.255.0.1/32"]',
        '  n1(["<b>sw</b>"])',
        '  n2["<b>a</b><br/>sleep"]',
        '  n3["<b>b</b>"]',
        '  n0 ---|"left .1<br/>eth0 .2<br/>10.9.0.0/30<br/>fd09::/64"| n2',
        '  n0 ---|"eth1 .1<br/>10.5.0.0/24"| n1',
        '  n1 ---|"eth0 .2<br/>10.5.0.0/24"| n3',
        "  style n0 fill:#eaeaee,stroke:#4d4d75,color:#000",
    ]


def test_signs_that_mean_something_are_words(drawing: graph.Drawing) -> None:
    odd = graph.Drawing('"t"', (graph.Box("n", "node", ('<a "b"> #1 \\',), False),), ())
    assert "#lt;a #quot;b#quot;#gt; #35;1 \\" in graph.mermaid(odd)
    assert r'label="n\n<a \"b\"> #1 \\"' in graph.dot(odd)


LINKS = {
    "dot": [("a", "b"), ("b", "c")],
    "neato": [("a", "b"), ("b", "c"), ("c", "a")],
    "twopi": [("a", f"h{number}") for number in range(13)],
}


@pytest.mark.parametrize("layout", LINKS)
def test_the_layout_fits_the_lab(layout: str) -> None:
    """From left to right; with circles; from the middle of a large star."""
    links: Sequence[tuple[str, str]] = LINKS[layout]
    boxes = tuple(graph.Box(name, "node", (), False) for name in dict.fromkeys(name for link in links for name in link))
    lines = tuple(graph.Line(graph.Tip(a, ()), graph.Tip(b, ()), ()) for a, b in links)
    assert f"layout={layout} " in graph.dot(graph.Drawing("t", boxes, lines))


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")
def test_graphviz_takes_it(drawing: graph.Drawing) -> None:
    drawn = graph.render(graph.dot(drawing), "svg").decode()
    assert all(f">{word}</text>" in drawn for word in ("xdp pass", "left .1", "10.9.0.0/30", "sw"))


def test_what_graphviz_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, b"", b"Error: syntax\n error")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(NetlabError, match="Graphviz cannot draw it: Error: syntax error"):
        graph.render("no graph", "svg")


def test_without_graphviz_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="apt-get install graphviz"):
        graph.render("graph {}", "svg")


def test_graph_writes_what_the_file_s_ending_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pair = f"{ROOT}/topologies/pair.yml"
    assert main.main(["graph", pair, "--save", "lab.mmd"]) == 0
    assert (tmp_path / "lab.mmd").read_text().startswith("flowchart LR\n")
    assert main.main(["graph", pair, "--save", "lab.dot"]) == 0
    assert (tmp_path / "lab.dot").read_text().startswith('graph "pair" {\n')
    assert main.main(["graph", pair, "--save", "lab.dot"]) == 2
    assert "lab.dot is there already" in capsys.readouterr().err
    assert main.main(["graph", pair, "--save", "lab.doc"]) == 2
    assert "expected a name that ends in .svg, .png" in capsys.readouterr().err
    assert main.main(["graph", pair, "--save", "no/lab.dot"]) == 1
    assert "cannot write no/lab.dot: No such file" in capsys.readouterr().err


def test_a_star_has_words_in_its_boxes_and_none_at_its_links(tmp_path: Path) -> None:
    """A hundred ends at one hub would be a black spot."""
    star = graph.of(record("{name: s, nodes: {hub: , h: {replicas: 100}}, links: [[hub, h]]}", tmp_path))
    text = graph.dot(star)

    assert '"hub" [label="hub\\n100 interfaces"' in text
    assert '"h7" [label="h7\\neth0 .2\\n10.0.6.0/24\\nfd00:0:0:6::/64"' in text
    assert 100 == text.count('[label="" taillabel="" headlabel=""]')
