"""Whatever stands in a topology file: it is understood, or refused with what is wrong, where, and exit code 2."""

import io
import os
import random
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

from netlab.cli import main
from netlab.errors import NetlabError, UsageError
from netlab.topology import document, validate
from tests.checkout import ROOT
from tests.unit.topology.broken import broken, write_all
from tests.unit.topology.changes import CHANGES, GOOD

LEAST = 200
SEED = 20
PARTB = os.path.join(ROOT, "topologies", "partb.yml")
TOKENS = [word for change in CHANGES for word in re.findall(r"\w+|[^\w\s]", change[1])]


def read(path: str) -> NetlabError | None:
    """Return what keeps the topology from being built."""
    try:
        validate.topology(document.load(path))
    except NetlabError as error:
        return error
    return None


class Refusal(NamedTuple):
    """What the command says of a broken topology: its exit code, stdout, and the lines on stderr."""

    path: str
    code: int
    out: str
    lines: list[str]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Refusal]:
    """Try to build each broken topology, by the command itself; they are many, so each is tried once."""
    found = {}
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("NETLAB_LAB", raising=False)
        for path, name in write_all(str(tmp_path_factory.mktemp("broken"))).items():
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
                code = main.main(["up", "--dry-run", path])
            found[name] = Refusal(path, code, out.getvalue(), err.getvalue().removesuffix("\n").split("\n"))
    return found


def test_there_are_many() -> None:
    """No two broken topologies are the same."""
    assert LEAST <= len({content for _, content in broken()}) == len(list(broken()))


def test_the_good_one_is_good(tmp_path: os.PathLike[str]) -> None:
    """What the broken topologies were made from has no mistake, so that each has one of its own."""
    write_all(str(tmp_path))
    good = os.path.join(tmp_path, "good.yml")
    with open(good, "w", encoding="utf-8") as file:
        file.write(GOOD)

    assert read(good) is None


def test_every_one_ends_with_code_2(refusals: dict[str, Refusal]) -> None:
    """A message, nothing on stdout, and never a traceback."""
    assert {(2, "")} == {(each.code, each.out) for each in refusals.values()}
    for name, refusal in refusals.items():
        assert not re.search("Traceback|inside netlab", "\n".join(refusal.lines)), name


def test_every_mistake_has_its_place(refusals: dict[str, Refusal]) -> None:
    """Each broken topology is refused: file:line:column, and what was expected; in the end how many there are."""
    for name, (path, _, _, (*mistakes, last)) in refusals.items():
        assert mistakes, name
        assert re.fullmatch(rf"netlab: {len(mistakes)} mistakes? in {re.escape(path)}; nothing was made", last), name
        for line in mistakes:
            assert re.match(rf"{re.escape(path)}:[1-9]\d*:[1-9]\d*: (.+: )?expected .+", line), (name, line)


def test_every_message_can_be_printed(refusals: dict[str, Refusal]) -> None:
    """No message holds what a terminal would obey, or what is no text."""
    for name, refusal in refusals.items():
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "".join(refusal.lines)), name


def mutated(rng: random.Random, text: bytes) -> bytes:
    """Return `text` after a few random changes: bytes, tokens, lines."""
    changed = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(changed) + 1)
        end = min(len(changed), start + rng.choice((0, 1, 1, 2, 8, 40)))
        kind = rng.randrange(5)
        if kind == 0:
            changed[start:end] = bytes([rng.randrange(256)])
        elif kind == 1:
            changed[start:end] = rng.choice(b"{}[]:,&*!|>'\"%@`#- \n\t?~").to_bytes(1, "big")
        elif kind == 2:
            changed[start:end] = rng.choice(TOKENS).encode()
        elif kind == 3:
            lines = bytes(changed).split(b"\n")
            rng.shuffle(lines)
            changed = bytearray(b"\n".join(lines[: rng.randint(1, len(lines))]))
        else:
            found = list(re.finditer(rb"\w+", changed))
            if found:
                word = rng.choice(found)
                changed[word.start() : word.end()] = rng.choice(TOKENS).encode()
    return bytes(changed)


@pytest.mark.parametrize(
    ("source", "rounds"),
    [
        ("part B", 200),
        ("a topology of everything", 50),
        pytest.param("part B", 2000, marks=pytest.mark.slow),
        pytest.param("a topology of everything", 500, marks=pytest.mark.slow),
    ],
)
def test_random_changes_raise_nothing_else(source: str, rounds: int, tmp_path: os.PathLike[str]) -> None:
    """Random changes end in a topology or in a NetlabError, never in another exception."""
    rng = random.Random(SEED)
    write_all(str(tmp_path))
    text = GOOD.encode()
    if source == "part B":
        with open(PARTB, "rb") as file:
            text = file.read()
    path = os.path.join(tmp_path, "mutated.yml")
    for _ in range(rounds):
        with open(path, "wb") as file:
            file.write(mutated(rng, text))
        error = read(path)

        assert error is None or error.exit_code == UsageError.exit_code


def test_a_deep_file_does_not_end_the_process(tmp_path: os.PathLike[str]) -> None:
    """Nesting that would overflow the C stack of a recursive reader is refused."""
    path = os.path.join(tmp_path, "deep.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("- " * 500_000)
    code = "import sys; from netlab.topology import document; document.load(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, path], check=False, capture_output=True, text=True, cwd=ROOT)

    assert (1, True) == (done.returncode, "expected at most" in done.stderr)
