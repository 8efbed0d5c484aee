"""The command line without root: what it says, and the codes it ends with."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, ClassVar

import pytest

from netlab import paths
from netlab.cli import chosen, main, verbs
from netlab.record import store
from tests.checkout import ROOT

PAIR = f"{ROOT}/topologies/pair.yml"
PARTB = f"{ROOT}/topologies/partb.yml"


@pytest.fixture(autouse=True)
def nothing_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lab of the machine is seen, and no variable of the caller's."""
    monkeypatch.setattr(paths, "LABS", str(tmp_path / "labs"))
    monkeypatch.delenv("NETLAB_LAB", raising=False)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frob"],
        ["exec"],
        ["exec", "--frob"],
        ["up", "--timeout", "soon", PAIR],
        ["stats", "--format", "xml"],
        ["logs", "-n", "-1"],
        ["logs", "--lines", "few"],
        ["export", "vagrant", PAIR],
    ],
)
def test_wrong_usage_ends_with_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        main.main(words)

    assert ended.value.code == 2
    assert "usage: netlab" in capsys.readouterr().err


@pytest.mark.parametrize("verb", sorted(verbs.VERBS))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help prints to stdout and ends well."""
    with pytest.raises(SystemExit) as ended:
        main.main([verb, "--help"])

    assert ended.value.code == 0
    assert f"netlab {verb}" in capsys.readouterr().out


def test_a_dry_run_prints_the_steps_and_needs_no_root(capsys: pytest.CaptureFixture[str]) -> None:
    """Data on stdout, one command a line."""
    assert main.main(["up", "--dry-run", PAIR, "--lab", "mine"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert "ip netns add mine.left" in lines
    assert all(line.startswith("ip ") for line in lines)


def test_set_changes_what_is_planned(capsys: pytest.CaptureFixture[str]) -> None:
    """Without touching the file."""
    assert main.main(["up", "--dry-run", PARTB, "--set", "nodes.client.args.count=7"]) == 0
    assert "--count 7" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["status mine", "status --lab mine", "status mine --lab mine"])
def test_a_lab_may_be_named_without_an_option(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(words.split()) == 1
    assert "no lab named mine is up" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["exec left true", "shell left", "run left", "logs", "trace", "stats"])
def test_verbs_that_need_a_lab_say_that_there_is_none(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and what to do."""
    assert main.main(verb.split()) == 1
    assert "no lab is up: netlab up FILE" in capsys.readouterr().err


def test_status_and_down_are_polite_without_a_lab(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is an error, and status has data all the same."""
    monkeypatch.setattr("netlab.lab.removal.labs_with_leftovers", list)

    assert main.main(["status"]) == 0
    assert main.main(["down"]) == 0
    assert "no lab is up" in capsys.readouterr().err
    assert main.main(["status", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"] == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("down one --lab two", "one lab at a time: one, or --lab two"),
        ("status one --lab two", "one lab at a time: one, or --lab two"),
        ("down one --all", "down takes a lab or --all, not both"),
        ("down --lab one --all", "down takes a lab or --all, not both"),
        ("down Two", "'Two' is no name for a lab"),
        ("status Two", "'Two' is no name for a lab"),
        ("down --lab=", "the lab's name is empty"),
    ],
)
def test_a_lab_that_is_named_wrongly_ends_with_code_2(
    words: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netlab.lab.removal.labs_with_leftovers", list)

    assert main.main(words.split()) == 2
    assert said in capsys.readouterr().err


def test_an_empty_name_is_not_taken_for_the_only_lab(capsys: pytest.CaptureFixture[str]) -> None:
    """As `netlab down "$LAB"` gives when the variable is not set."""
    assert main.main(["down", ""]) == 2
    assert "the lab's name is empty" in capsys.readouterr().err


def test_an_error_of_our_own_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong inside netlab, a person gets one line."""

    def broken(_: object) -> list[str]:
        raise ZeroDivisionError("no way")

    monkeypatch.setattr(store, "labs", broken)
    monkeypatch.delenv("NETLAB_DEBUG", raising=False)

    assert main.main(["status"]) == 1
    assert "an error inside netlab" in capsys.readouterr().err


def test_without_root_and_sudo_the_host_is_unfit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setenv("PATH", "/nonexistent")

    assert main.main(["up", PAIR]) == 3
    assert "up needs root" in capsys.readouterr().err


def test_the_lab_goes_through_sudo_as_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """sudo drops the environment, so NETLAB_LAB becomes --lab."""
    asked: list[list[str]] = []

    def execvp(_: str, argv: list[str]) -> None:
        asked.append(argv)
        raise FileNotFoundError

    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "execvp", execvp)
    monkeypatch.setenv("NETLAB_LAB", "mine")

    assert main.main(["up", PAIR, "--timeout", "9"]) == 3
    assert asked[0][0:2] == ["sudo", "--"]
    assert asked[0][-6:] == ["up", "--lab", "mine", PAIR, "--timeout", "9"]


def test_a_lab_that_is_named_without_an_option_goes_through_sudo_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def execvp(_: str, argv: list[str]) -> None:
        asked.append(argv)
        raise FileNotFoundError

    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "execvp", execvp)
    monkeypatch.setattr("netlab.lab.removal.labs_with_leftovers", lambda: ["mine", "other"])
    monkeypatch.setenv("NETLAB_LAB", "other")

    assert main.main(["down", "mine"]) == 3
    assert asked[0][-2:] == ["down", "mine"]


def test_export_prints_the_file_and_tells_what_is_not_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Data on stdout, the same notes as comments there and on stderr."""
    assert main.main(["export", "compose", PARTB, "--set", "nodes.worker.replicas=1"]) == 0

    out, err = capsys.readouterr()
    notes = [line.removeprefix("# - ") for line in out.splitlines() if line.startswith("# - ")]
    assert "services:\n  client:\n" in out
    assert "  worker1:\n" in out
    assert "  worker2:\n" not in out
    assert [f"netlab: note: {note}" for note in notes] == err.splitlines()
    assert any("programs are not attached" in note for note in notes)


@pytest.fixture
def asked_of_sudo(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What sudo is asked for by one who is not root."""
    asked: list[str] = []

    def execvp(_: str, argv: list[str]) -> None:
        asked.extend(argv)
        raise FileNotFoundError

    for name in chosen.KEPT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "execvp", execvp)
    return asked


def test_the_engine_that_is_meant_goes_through_sudo(asked_of_sudo: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """sudo drops DOCKER_HOST too, and env(1) brings it back."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere")

    assert main.main(["up", PAIR]) == 3
    assert asked_of_sudo[0:4] == ["sudo", "--", "env", "DOCKER_HOST=unix:///somewhere"]


@pytest.mark.parametrize("name", [name for name in chosen.KEPT if name != "NO_COLOR"])  # see test_chosen
def test_each_variable_that_netlab_obeys_goes_through_sudo(
    name: str, asked_of_sudo: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one too: NETLAB_CACHE= keeps nothing, where without it there is a cache."""
    monkeypatch.setenv(name, "")

    assert main.main(["up", PAIR]) == 3
    assert asked_of_sudo[0:4] == ["sudo", "--", "env", f"{name}="]


def test_certificates_of_the_callers_home_are_found_as_root(
    asked_of_sudo: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker looks in ~/.docker, which is root's when sudo is through."""
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")

    assert main.main(["up", PAIR]) == 3
    assert asked_of_sudo[3:5] == ["DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/home/somebody/.docker"]


def test_no_variable_is_obeyed_that_sudo_would_lose() -> None:
    """Every name of one in the sources goes through sudo, or has no need to: NETLAB_LAB goes as an option."""
    in_labs = {"NETLAB_LAB", "NETLAB_NODE", "NETLAB_NODE_FILE", "NETLAB_STAMPED", "NETLAB_CPUS", "NETLAB_TEST_PATIENCE"}
    found = set()
    for source in Path(paths.PACKAGE).rglob("*.py"):
        if source.name != "chosen.py":
            found |= set(re.findall(r'"((?:NETLAB|DOCKER|NO)_[A-Z_]+)"', source.read_text(encoding="utf-8")))

    assert set() == found - in_labs - set(chosen.KEPT)


def test_the_engines_own_library_obeys_no_variable_that_sudo_would_lose() -> None:
    from docker.utils import kwargs_from_env

    class Variables(dict[str, str]):
        asked: ClassVar[set[str]] = set()

        def get(self, name: str, default: object = None) -> Any:
            self.asked.add(name)
            return super().get(name, default)

    kwargs_from_env(environment=Variables(DOCKER_TLS_VERIFY=""))

    assert {"DOCKER_HOST"} < Variables.asked <= set(chosen.KEPT)


def test_too_few_threads_are_a_host_error() -> None:
    """Python has no type for it. A stack larger than there are addresses makes the kernel refuse."""
    code = """
        import threading
        from netlab.errors import explain
        threading.stack_size(1 << 46)
        try:
            threading.Thread(target=int).start()
        except RuntimeError as error:
            print(*explain(error))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "no thread can be started (raise the limit of processes (ulimit -u)" in done.stdout
    assert done.stdout.endswith(" 3\n")


def test_runtime_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the last word."""
    assert main.main(["up", PARTB, "--dry-run", "--runtime", "docker"]) == 0
    assert "docker run --detach --name partb.lb" in capsys.readouterr().out
    assert main.main(["up", PARTB, "--dry-run", "--runtime", "netns", "--set", "runtime=docker"]) == 0
    assert "docker run" not in capsys.readouterr().out


def test_down_of_a_named_lab_looks_at_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to others meanwhile is no concern of it."""
    from netlab.lab import bring_up, removal

    removed: list[str] = []
    monkeypatch.setattr(removal, "labs_with_leftovers", lambda: pytest.fail("it looks at all labs"))
    monkeypatch.setattr(bring_up, "down", lambda lab, _: removed.append(lab) or [])  # type: ignore[func-returns-value]
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert (0, ["mine"]) == (main.main(["down", "mine"]), removed)


@pytest.mark.parametrize(
    ("nodes", "links", "counts"),
    [("{a: {}}", "[]", "1 node, 0 links"), ("{a: {}, b: {}}", "[[a, b]]", "2 nodes, 1 link")],
)
def test_validate_counts_as_people_do(
    nodes: str, links: str, counts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lab.yml").write_text(f"{{name: x, nodes: {nodes}, links: {links}}}")

    assert main.main(["validate", f"{tmp_path}/lab.yml"]) == 0
    assert f"is a good topology: {counts}\n" in capsys.readouterr().err


def test_validate_tells_what_is_to_be_seen_of_a_good_topology(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `up` does."""
    links = "[{endpoints: [a, s], mtu: 9000}, [b, s]]"
    (tmp_path / "lab.yml").write_text(f"{{name: x, nodes: {{a: , b: , s: {{kind: switch}}}}, links: {links}}}")

    for words in (["validate"], ["up", "--dry-run"]):
        assert main.main([*words, f"{tmp_path}/lab.yml"]) == 0
        assert "netlab: note: the links of s have different mtus, 9000 (a-s), 1500 (b-s)" in capsys.readouterr().err
