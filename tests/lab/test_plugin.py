"""The pytest plugin, as projects outside this one use it."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from netlab.record import store
from netlab.testing.waiting import PATIENCE_S
from tests.lab.lab import ROOT

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PAIR = "name: pair\nnodes:\n  a: {command: [sh, -c, 'echo begins; exec sleep inf']}\n  b: {}\nlinks: [[a, b]]\n"


def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    """Run a test module beside a topology."""
    pytester.makefile(".yml", topology=PAIR)
    pytester.makepyfile(test_it=text)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=PATIENCE_S)


def test_the_example_project_passes(pytester: pytest.Pytester) -> None:
    shutil.copytree(f"{ROOT}/docs/examples/pytest", pytester.path / "project")
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "project", timeout=PATIENCE_S).assert_outcomes(passed=3)


def test_it_passes_beside_itself(pytester: pytest.Pytester) -> None:
    shutil.copytree(f"{ROOT}/docs/examples/pytest", pytester.path / "project")
    found = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2", "project", timeout=PATIENCE_S)
    found.assert_outcomes(passed=3)


@pytest.mark.parametrize(("options", "outcome"), [((), "skipped"), (("--netlab-strict",), "errors")])
def test_without_root_it_is_skipped_or_fails_on_request(
    pytester: pytest.Pytester, options: tuple[str, ...], outcome: str
) -> None:
    shutil.copytree(f"{ROOT}/docs/examples/pytest", pytester.path / "project")
    pytester.makeconftest("import os; os.geteuid = lambda: 1000")
    found = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs", *options, "project", timeout=PATIENCE_S)
    found.assert_outcomes(**{outcome: 3})
    assert "run this Python as root" in found.stdout.str()


def test_a_test_that_fails_has_kept_what_it_has_seen(pytester: pytest.Pytester) -> None:
    """The report says where, and its last lines; the lab is gone."""
    found = run(
        pytester,
        """
        def test_that_fails(lab):
            lab["b"].run(["ping", "-c1", "a"], check=True)
            lab.wait_for("begins")
            assert lab["a"].address == "no"
        """,
        "--netlab-dir", "kept",
    )  # fmt: skip
    found.assert_outcomes(failed=1)
    text = found.stdout.str()
    assert "- netlab -" in text
    assert re.search(r"a +out +begins", text)
    folder = pytester.path / "kept/test_it.py-test_that_fails"
    assert f"kept in kept/{folder.name}: " in text
    assert {"state.json", "timeline.jsonl", "timeline.txt", "topology.yml"} <= set(os.listdir(folder))
    assert json.loads((folder / "state.json").read_text())["state"] == "up"
    (capture,) = folder.glob("*.pcapng")
    assert capture.stat().st_size > 24 + 2 * 98
    assert not store.labs()


def test_a_lab_may_be_shared_by_a_module(pytester: pytest.Pytester) -> None:
    """It is removed at the module's end, and a test with other settings has another one."""
    run(
        pytester,
        """
        import pytest
        from netlab.record import store
        shared = pytest.mark.netlab("topology.yml", scope="module", capture=False)
        names = []

        @shared
        def test_one(lab): names.append(lab.name)

        @shared
        def test_two(lab): names.append(lab.name)

        @pytest.mark.netlab("topology.yml", set={"nodes.c": {}})
        def test_other(lab):
            assert "c" in lab
            assert len(set(names)) == 1
            assert lab.name not in names
            assert len(store.labs()) == 2
        """,
    ).assert_outcomes(passed=3)
    assert not store.labs()


def test_mistakes_are_told(pytester: pytest.Pytester) -> None:
    found = run(
        pytester,
        """
        import pytest

        @pytest.mark.netlab("none.yml")
        def test_no_file(lab): pass

        @pytest.mark.netlab("topology.yml", scope="forever")
        def test_no_scope(lab): pass

        @pytest.mark.netlab("topology.yml", set={"nodes.a.colour": "red"})
        def test_no_key(lab): pass

        @pytest.mark.netlab(colour="red")
        def test_no_argument(lab): pass
        """,
    )
    found.assert_outcomes(errors=4)
    text = found.stdout.str()
    assert "none.yml: expected a topology, found no such file" in text
    assert "scope is 'forever': expected function, class, module, package, session" in text
    assert "nodes.a.colour: expected a known key" in text
    assert "mark netlab: expected set, runtime, timeout, scope, capture, or a file" in text
    assert "found colour" in text
    assert "During handling" not in text
    assert "Traceback" not in text


def test_without_a_topology_that_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(lab): pass")
    found = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=PATIENCE_S)
    found.assert_outcomes(errors=1)
    assert "mark the test with netlab(FILE), or write test_it.yml or topology.yml beside it" in found.stdout.str()


def test_a_person_may_look_into_the_lab_of_a_test_that_fails(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yml", topology=PAIR)
    pytester.makepyfile(test_it="def test_that_fails(lab): assert not lab")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--netlab-pause"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=pytester.path) as running:
        assert running.stdin
        assert running.stdout
        seen = b""
        while b"Enter removes it" not in seen:
            more = os.read(running.stdout.fileno(), 4096)
            assert more, seen
            seen += more
        (name,) = store.labs()
        assert f"its lab {name} is up".encode() in seen
        running.communicate(b"\n", timeout=PATIENCE_S)
    assert running.returncode == 1
    assert not store.labs()


def test_a_lab_is_kept_on_request(pytester: pytest.Pytester) -> None:
    found = run(pytester, "def test_that_fails(lab): assert not lab", "--netlab-keep")
    (name,) = store.labs()
    try:
        assert f"netlab: kept: netlab status {name}, and in the end: netlab down {name}" in found.stdout.str()
    finally:
        subprocess.run([sys.executable, "-m", "netlab", "down", name], check=True, cwd=ROOT, capture_output=True)
