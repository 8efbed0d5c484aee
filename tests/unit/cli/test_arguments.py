"""What a person may type."""

import re
import shlex
from pathlib import Path

import pytest

from netlab import __version__
from netlab.cli import arguments, main, overview
from netlab.cli.verbs import VERBS


@pytest.mark.parametrize(
    "words",
    [
        "exec a true",
        "exec --lab l a true",
        "exec a ls -l --lab x -- -h --help",
        "exec --lab l a sh -c exit",
        "exec a b exec --lab c",
    ],
)
def test_exec_as_it_is_mostly_typed_needs_no_argparse(words: str) -> None:
    """What argparse would make of it is made without."""
    assert vars(arguments.by_argparse(words.split())) == vars(arguments.plain_exec(words.split()))


@pytest.mark.parametrize(
    "words",
    [
        "exec",
        "exec a",
        "exec -h",
        "exec a --help",
        "exec a -- true",
        "exec -- a true",
        "exec --lab=l a true",
        "exec --lab a true",
        "exec --lab -l a true",
        "exec a --lab l true",
        "exec --frob a true",
        "--version exec a true",
        "shell a",
    ],
)
def test_any_other_command_is_left_to_argparse(words: str) -> None:
    assert arguments.plain_exec(words.split()) is None


@pytest.mark.parametrize("verb", VERBS)
def test_arguments_come_in_the_type_of_their_verb(verb: str) -> None:
    """Which declares all that argparse gives, and nothing else."""
    words = [verb]
    for argument in VERBS[verb].arguments:
        if not argument.names[0].startswith("-") and argument.keywords.get("nargs") in (None, "+"):
            words += argument.keywords.get("choices", ["x"])[:1]
        elif argument.keywords.get("required"):
            words += [argument.names[0], "x"]
    found = arguments.by_argparse(words)

    declared = {name for kind in type(found).__mro__ for name in vars(kind).get("__annotations__", ())}
    assert type(found) is VERBS[verb].kind
    assert vars(found).keys() == declared


def test_every_verb_is_in_one_group_and_has_examples() -> None:
    assert sorted(VERBS) == sorted(verb for verbs in overview.GROUPS.values() for verb in verbs)
    assert VERBS.keys() == overview.EXAMPLES.keys()


@pytest.mark.parametrize("line", [line for lines in overview.EXAMPLES.values() for line in lines])
def test_an_example_is_what_the_verb_takes(line: str) -> None:
    verb = next(verb for verb, lines in overview.EXAMPLES.items() if line in lines)
    assert verb == arguments.by_argparse(shlex.split(line)).verb


@pytest.mark.parametrize("words", ["--lab x status", "--lab=x status", "status --lab x", "status --lab=x"])
def test_the_lab_may_stand_before_the_verb(words: str) -> None:
    found = arguments.parse(words.split())
    assert ("status", "x", True) == (found.verb, found.lab, found.lab_given)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("uup", "'uup' is no verb; did you mean up?"),
        ("statu", "did you mean status?"),
        ("frobnicate", "'frobnicate' is no verb\n"),
        ("up --dry", "unrecognized arguments: --dry; did you mean --dry-run?"),
        ("logs --folow x", "did you mean --follow?"),
        ("status --zzz=7", "unrecognized arguments: --zzz=7\n"),
        ("help frob", "'frob' is no verb"),
        ("help --lab x", "unrecognized arguments: --lab\n"),
        ("--lab x", "expected --lab NAME VERB: a name is missing, or the verb behind it\n"),
        ("--frob status", "expected a verb, found --frob: options stand behind it"),
    ],
)
def test_what_was_meant_is_told(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", ["help", "-h", "--help"])
def test_help_lists_the_verbs(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As `netlab` alone does on stderr, which is wrong usage."""
    assert _code(words) == 0
    shown = capsys.readouterr().out
    assert _code("") == 2
    assert shown == capsys.readouterr().err
    assert all(re.search(rf"^  {verb} ", shown, re.MULTILINE) for verb in VERBS)


def test_help_of_a_verb_is_what_the_verb_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("help up") == _code("up --help") == 0
    shown = capsys.readouterr().out
    assert shown[: len(shown) // 2] == shown[len(shown) // 2 :]
    assert "Examples:\n  netlab up topologies/pair.yml\n" in shown


@pytest.mark.parametrize("words", ["version", "-V", "--version"])
def test_the_version_is_told(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(words) == 0
    assert f"netlab {__version__}\n" == capsys.readouterr().out


def test_the_only_topology_of_a_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yml").mkdir()
    (tmp_path / "other.yml").write_text("services: {nodes: 1}\n")
    assert _code("validate") == 2
    assert "this folder has none (a .yml file with `nodes:`)" in capsys.readouterr().err
    (tmp_path / "mine.yaml").write_text("name: x\nnodes: {a: {}}\n")
    assert _code("validate") == 0
    assert "mine.yaml is a good topology: 1 node" in capsys.readouterr().err
    (tmp_path / "second.yml").write_text('"nodes": {a: {}}\nname: y\n')
    assert _code("validate") == 2
    assert "This folder has mine.yaml, second.yml" in capsys.readouterr().err


def _code(words: str) -> int:
    try:
        return main.main(words.split())
    except SystemExit as ended:
        return int(str(ended.code))
