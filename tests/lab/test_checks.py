"""`checks:` of a topology, done by `netlab test`, and `netlab wait`."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from netlab.record import store
from netlab.testing.labs import command
from tests.lab.lab import LAB, ROOT, lab, netlab

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

TOPOLOGY = """
name: checks
nodes:
  a: {command: [sh, -c, "echo begins; exec sleep inf"]}
  r: {}
  b: {command: [sleep, inf]}
links: [[a, r], [r, b]]
checks:
  - ping: [a, b]
  - {ping: [a, 192.0.2.1], fails: true}
  - {run: [r, ip, route], shows: "10.0.1.0/24", hides: "^default"}
  - {run: {node: a, command: "exit 3"}, code: 3, name: three}
  - {line: [a, "^begin"], within: 30s}
  - {interface: [a, eth0, rx_packets], is: "> 0"}
  - {name: cut, after: [{link: r-b, set: down}], ping: [a, b], fails: true}
  - {name: mended, after: [{restore: all}, {kill: b}], ping: [a, b], within: 30s, for: 200ms}
"""
WRONG = """  - {run: [a, echo, "<no>"], code: 1}
  - {line: [a, never], within: 100ms, name: silence}
  - {interface: [a, eth0, frob], is: 0}
  - {line: [a, "(a+)+$"], name: "too \\\\ much #1"}
  - {run: [a, no-such-command], fails: true}
"""
SIMPLE = ("pair", "router", "switch", "parta", "partb", "libbpf", "dns")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "checks.yml"
    path.write_text(TOPOLOGY)
    return path


@pytest.mark.parametrize("name", SIMPLE)
def test_a_topology_of_the_project_holds_what_it_says(name: str) -> None:
    """Those of real daemons do so in test_real_labs."""
    shown = netlab("test", f"{ROOT}/topologies/{name}.yml")
    assert re.search(r"[1-9] checks? passed, 0 failed", shown.stderr)


def test_checks_that_hold(file: Path) -> None:
    """The file's lab is there only meanwhile; faults stay in force until one restores them."""
    shown = netlab("test", str(file))
    assert [line[:2] for line in shown.stdout.splitlines()] == ["✓ "] * 6 + ["  ", "✓ ", "  ", "  ", "✓ ", "  "]
    assert "  link r-b down\n✓ cut (" in shown.stdout
    assert shown.stdout.endswith("  restore b\n")
    assert "8 checks passed, 0 failed" in shown.stderr
    assert not store.labs()


@pytest.fixture
def wrong(file: Path) -> Iterator[Path]:
    file.write_text(TOPOLOGY + WRONG)
    with lab(str(file)):
        netlab("exec", "a", "sh", "-c", f"echo {'a' * 40}! >/proc/$(pgrep -o sleep)/fd/1")
        yield file


def test_checks_that_do_not_hold(wrong: Path, tmp_path: Path) -> None:
    """Each says what was expected, what was seen, and what happened around it: for people, as JUnit's XML, as TAP."""
    junit = tmp_path / "results.xml"
    shown = netlab("test", LAB, "--junit", str(junit), code=1).stdout
    assert "✗ run in a: echo <no> (" in shown
    assert (
        "    checks.yml:17: expected exit code 1\n    seen: exit code 0, output:\n      <no>\n    meanwhile:\n" in shown
    )
    assert (
        "✗ silence (0.1 s)\n    line of a: never\n    checks.yml:18: expected a line with 'never' within 100ms" in shown
    )
    assert "✗ run in a: no-such-command fails (" in shown
    assert "    it could not be done: a eth0 has no counter frob; it has rx_bytes, " in shown
    suite = ET.parse(junit).getroot()  # noqa: S314 - it is our own
    assert ("13", "2", "3") == (suite.get("tests"), suite.get("errors"), suite.get("failures")) or (
        ("13", "3", "2") == (suite.get("tests"), suite.get("errors"), suite.get("failures"))
    )
    assert "<no>" in (suite[8][0].text or "")
    netlab("status")

    lines = netlab("test", "--tap", code=1).stdout.splitlines()
    assert lines[:3] == ["TAP version 14", "1..13", "ok 1 - ping from a to b"]
    assert "not ok 9 - run in a: echo <no>" in lines
    assert any(line.endswith("12 - too \\\\ much \\#1") for line in lines)
    assert all(re.match(r"(not )?ok \d|#|TAP|1\.\.", line) for line in lines)


LONG = """
name: long
nodes: {a: {command: [sleep, inf]}, b: {}}
links: [[a, b]]
checks:
  - {ping: [a, b]}
  - {ping: [a, b], fails: true, after: [{link: a-b, set: down}]}
  - {ping: [a, b], within: 60s}
  - {ping: [a, b]}
"""


@pytest.fixture
def long(tmp_path: Path) -> Path:
    (tmp_path / "long.yml").write_text(LONG)
    return tmp_path / "long.yml"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_end_in_the_middle_leaves_nothing_but_what_was_done(number: signal.Signals, long: Path) -> None:
    """CI servers end a job so; the lab goes, and the results so far are there."""
    junit = long.with_suffix(".xml")
    with subprocess.Popen(
        [*command(), "test", str(long), "--junit", str(junit)], stdout=subprocess.PIPE, text=True
    ) as test:
        assert test.stdout
        for line in test.stdout:
            if line.startswith("✓ ping from a to b fails"):
                break
        test.send_signal(number)
        assert "  restore a-b\n" in test.stdout.read()
    assert test.returncode == 1
    assert not store.labs()
    assert ET.parse(junit).getroot().get("tests") == "2"  # noqa: S314 - it is our own


def test_a_lab_that_goes_meanwhile_is_not_waited_for(long: Path) -> None:
    with lab(str(long)):
        words = [*command(), "wait", "--lab", LAB, "--for", "line: [a, never]", "--timeout", "60"]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as wait:
            assert wait.stderr
            with pytest.raises(subprocess.TimeoutExpired):
                wait.wait(1)
            netlab("down", LAB)
            _, said = wait.communicate(timeout=20)
        assert f"seen: {LAB} is not up any more\n" in said
        assert wait.returncode == 1


def test_results_that_cannot_be_written_are_told_before(long: Path) -> None:
    refused = netlab("test", str(long), "--junit", "/nowhere/x.xml", code=2)
    assert "--junit /nowhere/x.xml: expected a file in a folder that is there" in refused.stderr
    assert refused.stdout == ""


def test_without_checks_nothing_was_looked_at(tmp_path: Path) -> None:
    (tmp_path / "none.yml").write_text("name: none\nnodes: {a: {}}\n")
    assert "has no checks, so nothing was looked at" in netlab("test", str(tmp_path / "none.yml"), code=2).stderr
    assert "nobody is neither a file nor a lab" in netlab("test", "nobody", code=2).stderr


def test_something_is_waited_for(file: Path) -> None:
    with lab(str(file)):
        netlab("wait", "--for", "ping: [a, b]", "--for", "{line: [a, begins]}")
        late = netlab("wait", "--for", "line: [a, never]", "--timeout", "0.2", code=1)
        assert "line of a: never: expected a line with 'never' within 200ms; seen: no such line" in late.stderr
        assert "found no node 'x'" in netlab("wait", "--for", "run: [x, ls]", code=2).stderr
        assert "--for:1:1" in netlab("wait", "--for", "5", code=2).stderr
        assert "--for:2:1: expected YAML" in netlab("wait", "--for", "ping: [a, ", code=2).stderr
        assert "--for: expected a check, such as" in netlab("wait", "--for", " ", code=2).stderr
        assert (
            "expected no answer within"
            in netlab("wait", "--for", "{ping: [a, b], fails: true}", "--timeout", "0.1", code=1).stderr
        )
        kept = json.loads(netlab("status", "--format", "json").stdout)
        assert kept["state"] == "up"


def test_a_lab_may_be_kept(file: Path) -> None:
    shown = netlab("test", str(file), "--keep", "--lab", LAB)
    try:
        assert f"{LAB} stays up: netlab down {LAB} removes it" in shown.stderr
        assert store.labs() == [LAB]
        netlab("test", LAB)
    finally:
        netlab("down", LAB)


def test_junit_on_stdout_is_nothing_but_xml() -> None:
    """What people read goes to stderr then; with --tap there is no place for it."""
    with lab(f"{ROOT}/topologies/pair.yml"):
        done = netlab("test", "--junit", "-")
        both = netlab("test", "--junit", "-", "--tap", code=2)
    suite = ET.fromstring(done.stdout)  # noqa: S314 - our own
    assert ("testsuite", "0") == (suite.tag, suite.get("failures"))
    assert "✓" in done.stderr
    assert "expected --junit - or --tap on stdout, found both" in both.stderr
