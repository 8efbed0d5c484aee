"""What a person may type."""

import pytest

from netlab.cli import arguments
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
    found = arguments.by_argparse(words)

    declared = {name for kind in type(found).__mro__ for name in vars(kind).get("__annotations__", ())}
    assert type(found) is VERBS[verb].kind
    assert vars(found).keys() == declared
