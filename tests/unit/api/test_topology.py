"""A topology that is built in Python."""

import subprocess
import sys
from pathlib import Path

import pytest

import netlab
from netlab import Topology
from netlab.errors import HostError, UsageError
from netlab.testing.waiting import PATIENCE_S
from netlab.topology import validate
from tests.checkout import ROOT


def test_it_is_printed_as_a_file_would_have_it() -> None:
    built = (
        Topology("mine", description="two hosts")
        .node("a", command=("sleep", "inf"), env=None)
        .switch("s")
        .link("a", "s", mtu=1400)
        .link({"node": "a", "interface": "wan"}, "s")
        .set(runtime="docker")
    )
    assert str(built) == built.text() == (
        "name: mine\n"
        "description: two hosts\n"
        "nodes:\n"
        "  a:\n"
        "    command: [sleep, inf]\n"
        "  s: {kind: switch}\n"
        "links:\n"
        "- endpoints: [a, s]\n"
        "  mtu: 1400\n"
        "- - {node: a, interface: wan}\n"
        "  - s\n"
        "runtime: docker\n"
    )  # fmt: skip


def test_it_is_a_topology_whose_paths_are_relative_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pass.c").write_text("int p(struct xdp_md *c) { return XDP_PASS; }\n")
    built = Topology("mine", folder=tmp_path).node("a", xdp=Path("pass.c")).node("b").link("a", "b")
    read = validate.topology(built.document())
    assert [str(tmp_path / "pass.c")] == [each.path for node in read.nodes for each in node.programs]
    assert f"{tmp_path}/(built in Python)" == read.path


def test_a_node_is_named_once() -> None:
    with pytest.raises(UsageError, match="there is a node a already"):
        Topology().node("a").node("a")


def test_what_yaml_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match="found <object"):
        Topology().node("a", command=object()).text()


def test_without_root_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HostError, match="run this Python as root"):
        netlab.Lab.up(Topology())
    with pytest.raises(HostError, match="run this Python as root"):
        netlab.Lab.attach()


def test_importing_netlab_loads_next_to_nothing() -> None:
    """The rest comes when it is used."""
    code = """
import sys
before = set(sys.modules)
import netlab
print(*sorted(set(sys.modules) - before))
print(netlab.Topology.__module__, netlab.errors.NetlabError.exit_code)
try:
    netlab.Frob
except AttributeError as error:
    print(error)
"""
    command = [sys.executable, "-S", "-c", code]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    loaded, used, wrong = said.splitlines()
    assert ["netlab"] == [name for name in loaded.split() if name.partition(".")[0] == "netlab"]
    assert used == "netlab.api.topology 1"
    assert wrong == "module netlab has no attribute 'Frob'"
