"""What `netlab new` writes runs as it is; docs/write-your-own.md makes a whole balancer of it, command by command."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import ROOT, inside, lab, netlab, texts
from tests.lab.typed_commands import run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

PAGE = Path(ROOT, "docs", "write-your-own.md")


def blocks() -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of each block of code on the page."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def replaced(program: str, function: str) -> str:
    """Return a program with another function in the place of the one of its name."""
    head = function.partition("\n{")[0]
    begin = program.index(f"{head}\n{{")
    return program[:begin] + function + program[program.index("\n}\n", begin) + 3 :]


def command(line: str, folder: Path) -> None:
    """Run a command of the page in the folder that it has made."""
    run(line, folder / "mine", folder)


def test_the_page_leads_to_a_balancer_that_is_judged(tmp_path: Path) -> None:
    """Each command succeeds; each function takes the place of that of its name. Requests wait, and leave in order."""
    source = tmp_path / "mine" / "balancer.c"
    functions = 0
    for kind, text in blocks():
        if kind == "c":
            source.write_text(replaced(source.read_text(), text))
            functions += 1
        elif kind == "sh":
            for line in text.splitlines():
                if line == "netlab new balancer mine":
                    netlab("new", "balancer", str(tmp_path / "mine"))
                elif line == "sudo netlab down":
                    told = [json.loads(each) for each in netlab("timeline", "--json").stdout.splitlines()]
                    command(line, tmp_path)
                elif line != "cd mine":
                    command(line, tmp_path)

    traced = [one["text"] for one in told if one["stream"] == "trace"]
    waited, left = (
        [int(found[1]) for text in traced if (found := re.match(rf"{what} #(\d+)", text))]
        for what in ("queue", "dequeue")
    )
    assert 3 == functions
    assert waited == left == sorted(left)
    assert left
    assert 30 + 40 + 40 == sum(one["text"].startswith("received #") for one in told)
    assert (tmp_path / "mine" / "high" / "report.md").is_file()


@pytest.mark.parametrize("kind", ["dropper", "parta", "partb", "role"])
def test_what_is_new_runs(kind: str, tmp_path: Path) -> None:
    """It is a good topology, is as planned when it is up, and traffic passes."""
    netlab("new", kind, str(tmp_path))
    [topology] = tmp_path.glob("*.yml")
    netlab("validate", str(topology))
    with lab(str(topology)):
        match kind:
            case "role":
                inside("asker", "bash", "-c", "echo hello >/dev/udp/echo/7")
                eventually(lambda: any(text.startswith("6 bytes from 10.0.0.2:") for text in texts("logs", "echo")))
            case "partb":
                eventually(lambda: 30 == sum(text.startswith("received #") for text in everything()))
                assert 30 == sum(text.startswith("forward #") for text in texts("trace"))
            case _:
                eventually(lambda: any(text.startswith("end of file on #1") for text in texts("logs", "server")))
                judged = [text for text in texts("trace") if " 1 bytes: " in text]
                assert {"odd, pass", "even, drop"} == {text.partition(": ")[2] for text in judged}
                assert 10 == len(judged)
                assert 5 == sum(text.startswith("segment on #1: ") for text in texts("logs", "server"))
        netlab("status")


def everything() -> list[str]:
    return [json.loads(line)["text"] for line in netlab("timeline", "--json").stdout.splitlines()]
