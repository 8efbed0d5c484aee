"""A role's OPTIONS: read without running it, checked by validation, and parsed by the role itself."""

from pathlib import Path
from typing import Any

import pytest

from netlab import options
from netlab.topology import declared

OPTIONS: options.Options = {
    "target": {"type": "endpoint", "required": True, "help": "100% of NODE:PORT"},
    "count": {"type": "integer", "default": 30, "minimum": 0, "help": "how many"},
    "sleep": {"type": "number", "values": [1, 2], "default": [0.2, 0.5], "minimum": 0, "maximum": 10},
    "service_port": {"type": "port", "default": 8080},
    "back-up": {"type": "endpoint", "default": "lb:9090"},
    "nodes": {"type": "node", "values": [1, 3]},
    "policy": {"type": "text", "choices": ["one", "two"], "default": "one"},
    "seed": {"type": "integer"},
    "verbose": {"type": "flag", "help": "say more"},
}


def parse(*words: str) -> Any:
    return options.parse(OPTIONS, "A role.", ["--target", "lb:80", *words])


def wrong(kind: str, *texts: str, **more: Any) -> str:
    return options.problem({"type": kind, **more}, texts)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("integer", ["0", "-5", "+7", "0009"]),
        ("number", ["0", "-5", "1.5", ".5", "1e-3", "+0.1"]),
        ("port", ["1", "65535"]),
        ("text", ["", "x", "a b", "5"]),
        ("node", ["lb", "worker"]),
        ("endpoint", ["lb:1", "10.0.0.1:65535", "[fd00::1]:80", "localhost:80"]),
    ],
)
def test_good_values(kind: str, texts: list[str]) -> None:
    """What each type takes."""
    assert [""] * len(texts) == [wrong(kind, text) for text in texts]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("integer", ["", "x", "1.5", "1e3", "0x10", "1_000", " 1", "٣", "²", "--1", "9" * 20]),
        ("number", ["", "x", "nan", "inf", "-inf", "1e999", "1_0.5", "0x10", " 1", "1:30", "٣"]),
        ("port", ["0", "-1", "65536", "http", "80.0", ""]),
        ("text", ["-x", "--help"]),
        ("node", ["", "-x"]),
        ("endpoint", ["", "lb", "lb:", ":80", "lb:0", "lb:65536", "lb:http", "a b:80", "fd00::1:80", "[lb]:80"]),
        (
            "endpoint",
            ["[fd00::g]:80", "[]:80", "-lb:80", "lb:-80", "lb:8 0", "lb:٣", "a\nb:80", "[fd00::1]", "[::1%x y]:8"],
        ),
    ],
)
def test_bad_values(kind: str, texts: list[str]) -> None:
    """What each type refuses, saying what it wants and what it got."""
    found = [wrong(kind, text) for text in texts]

    assert [True] * len(texts) == [message.startswith(f"expected {options.EXPECTED[kind]}") for message in found]
    assert [True] * len(texts) == [
        message.endswith(f"found {text!r}") for message, text in zip(found, texts, strict=True)
    ]


@pytest.mark.parametrize(
    ("more", "text", "expected"),
    [
        ({"minimum": 1}, "0", "a whole number of at least 1"),
        ({"maximum": 9}, "10", "a whole number of at most 9"),
        ({"minimum": 1, "maximum": 9}, "10", "a whole number from 1 to 9"),
        ({"choices": [1, 2]}, "3", "one of 1, 2"),
    ],
)
def test_limits(more: dict[str, Any], text: str, expected: str) -> None:
    """Limits and choices are part of what was expected."""
    assert f"expected {expected}, found {text!r}" == wrong("integer", text, **more)


@pytest.mark.parametrize(
    ("values", "count", "expected"),
    [
        ([1, 1], 2, "expected 1 value, found 2"),
        ([1, 2], 3, "expected 1 to 2 values, found 3"),
        ([2, 2], 1, "expected 2 values, found 1"),
        ([1, 2], 0, "expected 1 to 2 values, found 0"),
        ([1, 2], 2, ""),
    ],
)
def test_how_many_values(values: list[int], count: int, expected: str) -> None:
    """An option takes so many values, and one if nothing is said."""
    assert expected == wrong("text", *["x"] * count, values=values)


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        ("node", ["a", "b"], ["a", "b"]),
        ("endpoint", ["lb:80", "10.0.0.1:80", "[::1]:80", "localhost:80", "10.0.0.256:80"], ["lb", "10.0.0.256"]),
        ("text", ["lb"], []),
    ],
)
def test_names_of_nodes(kind: str, texts: list[str], expected: list[str]) -> None:
    """Validation looks up the names that must be nodes, and no addresses."""
    assert expected == options.hosts({"type": kind}, texts)


def test_parsed_values_are_typed() -> None:
    """A role gets numbers, endpoints and lists, not text."""
    read = parse("--count", "5", "--sleep", "1", "--seed", "-3", "--nodes", "a", "b", "--verbose", "--policy", "two")

    assert (("lb", 80), 5, [1.0], -3, ["a", "b"], True, "two") == (
        *(read.target, read.count, read.sleep, read.seed, read.nodes, read.verbose, read.policy),
    )
    assert (float, "lb", 80) == (type(read.sleep[0]), read.target.host, read.target.port)


def test_defaults() -> None:
    """What is not given is at its default, None where there is none; a flag is false."""
    read = parse()

    assert (30, [0.2, 0.5], 8080, ("lb", 9090), None, "one", None, False) == (
        *(read.count, read.sleep, read.service_port, read.back_up, read.nodes, read.policy, read.seed, read.verbose),
    )


@pytest.mark.parametrize("spelling", ["--service-port", "--service_port"])
def test_both_spellings(spelling: str) -> None:
    """Underscores in a topology may be dashes on the command line."""
    assert 99 == parse(spelling, "99").service_port


def test_the_last_occurrence_wins() -> None:
    """`netlab run` appends to the node's own options."""
    assert (7, [3.0]) == (parse("--count", "1", "--count", "7").count, parse("--sleep", "1", "2", "--sleep", "3").sleep)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", "x"], "--count: expected a whole number of at least 0, found 'x'"),
        (["--count", "-1"], "--count: expected a whole number of at least 0, found '-1'"),
        (["--sleep", "1", "2", "3"], "--sleep: expected 1 to 2 values, found 3"),
        (["--sleep", "11"], "--sleep: expected a number from 0 to 10, found '11'"),
        (["--service-port", "0"], "--service-port: expected a port from 1 to 65535, found '0'"),
        (["--target", "lb"], "--target: expected HOST:PORT with a port from 1 to 65535, found 'lb'"),
        (["--policy", "three"], "--policy: expected one of one, two, found 'three'"),
        (["--cou", "5"], "unrecognized arguments: --cou 5"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_a_wrong_command_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A role ends with exit code 2 and says what is wrong, as validation would have."""
    with pytest.raises(SystemExit) as caught:
        parse(*words)

    assert (2, True) == (caught.value.code, message in capsys.readouterr().err)


def test_a_required_option(capsys: pytest.CaptureFixture[str]) -> None:
    """What is required must be given."""
    with pytest.raises(SystemExit):
        options.parse(OPTIONS, "A role.", [])

    assert "--target" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows each option with its default, percent signs and all."""
    with pytest.raises(SystemExit) as caught:
        options.parse(OPTIONS, "What it does.", ["--help"])
    shown = capsys.readouterr().out

    assert (0, True) == (caught.value.code, "What it does." in shown)
    assert [True] * 4 == [
        part in shown for part in ("how many (default: 30)", "0.2 0.5", "100% of NODE:PORT", "--seed")
    ]


def role(folder: Path, text: str) -> str:
    path = folder / "role.py"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "text", ["", "print('no')\n", "OPTION = {}\n", "# OPTIONS\n", "x.OPTIONS = {}\n", "OPTIONS: dict\n"]
)
def test_a_role_without_options(text: str, tmp_path: Path) -> None:
    """A role that says nothing about its options takes any."""
    assert declared.read(role(tmp_path, text)) is None


@pytest.mark.parametrize(
    "text", ["OPTIONS = %s", "OPTIONS: dict[str, dict] = %s", "import os\nif 1:\n    pass\nOPTIONS = %s"]
)
def test_options_are_read(text: str, tmp_path: Path) -> None:
    """OPTIONS are a literal at the top level of the file."""
    assert {"a": {"type": "port"}} == declared.read(role(tmp_path, text.replace("%s", "{'a': {'type': 'port'}}")))


def test_nothing_of_a_role_is_run(tmp_path: Path) -> None:
    """Validation does not run what it checks."""
    text = f"open({str(tmp_path / 'ran')!r}, 'w')\nOPTIONS = {{}}\n"

    assert declared.read(role(tmp_path, text)) == {}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OPTIONS = {", "it is no Python: "),
        ("OPTIONS = {}\0", "it is no Python: "),
        ("OPTIONS = dict()", "its OPTIONS are not a literal"),
        ("OPTIONS = {'a': PORT}", "its OPTIONS are not a literal"),
        ("OPTIONS = {[]: 1}", "its OPTIONS are not a literal"),
        ("OPTIONS = " + "(" * 300 + ")" * 300, "it is no Python: "),
        ("OPTIONS = []", "its OPTIONS are not a dict"),
        ("OPTIONS = {1: {}}", "its OPTIONS hold 1, which is not a name with a dict"),
        ("OPTIONS = {'a': 'port'}", "its OPTIONS hold 'a', which is not a name with a dict"),
        ("OPTIONS = {'a': {}}", "its option 'a' has no type of integer, "),
        ("OPTIONS = {'a': {'type': 'int'}}", "its option 'a' has no type of integer, "),
        ("OPTIONS = {'a': {'type': []}}", "its option 'a' has no type of integer, "),
        ("OPTIONS = {'a': {'type': 'port', 'min': 1}}", "its option 'a' has the unknown key 'min'"),
        ("OPTIONS = {'a': {'type': 'port', 'values': 2}}", "its option 'a' has `values` that are not [least, most]"),
        ("OPTIONS = {'a': {'type': 'text', 'choices': 'ab'}}", "its option 'a' has `choices` that are not a list"),
        ("OPTIONS = {'a': {'type': 'port', 'minimum': 'x'}}", "its option 'a' has a limit that is no number"),
        ("OPTIONS = {}\n" + "#" * (1 << 20), "it is longer than 1,048,576 bytes"),
    ],
)
def test_options_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    """The author of a role is told what is wrong with its OPTIONS."""
    with pytest.raises(ValueError, match=message.replace("[", r"\[").replace(".", r"\.")):
        declared.read(role(tmp_path, text))


# --- values that need others ------------------------------------------------------------------------------------------

NEEDY: options.Options = {
    "failure": {
        "type": "text",
        "choices": ["drop", "retry"],
        "default": "drop",
        "needs": {"retry": [["port"], ["completion=reply", "timeout"]]},
    },
    "port": {"type": "port"},
    "completion": {"type": "text", "choices": ["packet", "reply"], "default": "packet"},
    "timeout": {"type": "number", "default": 0},
}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--failure drop",
        "--failure retry --port 1",
        "--failure retry --completion reply --timeout 0.5",
        "--failure retry --completion reply --port 1",
    ],
)
def test_needs_that_are_met(line: str) -> None:
    options.parse(NEEDY, "", line.split())


@pytest.mark.parametrize(
    "line",
    [
        "--failure retry",
        "--failure retry --timeout 1",
        "--failure retry --completion reply",
        "--failure retry --completion reply --timeout 0.0",
        "--failure retry --completion packet --timeout 1",
    ],
)
def test_needs_that_are_not_met(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error, which names every way out."""
    with pytest.raises(SystemExit) as ending:
        options.parse(NEEDY, "", line.split())

    assert ending.value.code == 2
    expected = "--failure: expected port, or completion: reply and timeout beside retry, found 'retry' without"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("needs", [[], {"retry": "port"}, {"retry": ["port"]}, {"retry": [["prot"]]}, {"retry": [[1]]}])
def test_needs_that_cannot_be_used(needs: object, tmp_path: Path) -> None:
    text = f"OPTIONS = {{'port': {{'type': 'port'}}, 'a': {{'type': 'text', 'needs': {needs!r}}}}}"

    with pytest.raises(ValueError, match="its option 'a' has `needs` that are not"):
        declared.read(role(tmp_path, text))
