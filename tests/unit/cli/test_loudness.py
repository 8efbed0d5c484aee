"""-q and -v: how much is told on stderr."""

import os

import pytest

from netlab.cli import arguments, main
from netlab.cli.verbs import VERBS
from tests.checkout import ROOT

PARTB = f"{ROOT}/topologies/partb.yml"


@pytest.mark.parametrize("words", ["-q validate", "validate -q", "--quiet validate", "validate --quiet"])
def test_quiet_tells_nothing_of_what_went_well(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*words.split(), PARTB]) == 0
    assert ("", "") == capsys.readouterr()
    assert main.main(["validate", PARTB]) == 0
    assert "is a good topology" in capsys.readouterr().err


def test_quiet_tells_errors_and_prints_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["-q", "validate", "/none.yml"]) == 2
    assert "expected a topology, found no such file" in capsys.readouterr().err
    assert main.main(["-q", "up", PARTB, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("ip netns add ")


def test_verbose_tells_which_lab_and_why(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETLAB_LAB", "none-of-it")
    assert main.main(["-v", "logs"]) == 1
    assert "netlab: the lab is none-of-it, as NETLAB_LAB says\n" in capsys.readouterr().err
    assert main.main(["logs", "-v", "--lab", "nor-this"]) == 1
    assert "netlab: the lab is nor-this, as the command says\n" in capsys.readouterr().err
    assert main.main(["logs"]) == 1
    assert "as NETLAB_LAB" not in capsys.readouterr().err


def test_verbose_tells_what_is_asked_of_sudo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "execvp", lambda *_: (_ for _ in ()).throw(FileNotFoundError))
    assert main.main(["up", "-v", PARTB]) == 3
    told = capsys.readouterr().err
    assert "netlab: up needs root: sudo -- " in told
    assert f"up -v {PARTB}" in told


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_one_of_them(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.by_argparse([verb, "-q", "-v"])
    assert ended.value.code == 2
    assert "argument -v/--verbose: not allowed with argument -q/--quiet" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        arguments.by_argparse([verb, "--help"])
    assert "-q, --quiet" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["-v --lab x status", "--lab x -v status", "--lab=x -v status", "status -v --lab x"])
def test_options_before_the_verb_come_in_any_order(words: str) -> None:
    found = arguments.parse(words.split())
    assert ("status", "x", True, False) == (found.verb, found.lab, found.verbose, found.quiet)


def test_what_stands_behind_the_node_is_the_commands_own() -> None:
    found = arguments.parse(["exec", "a", "grep", "-v", "-q", "x"])
    assert (["grep", "-v", "-q", "x"], False) == (vars(found)["command"], found.verbose)
    assert arguments.parse(["exec", "-v", "a", "grep", "-q", "x"]).verbose
