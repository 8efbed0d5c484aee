"""The pages of the documentation, as tests read them: their blocks, and the commands in these."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.checkout import ROOT

TOP = ("README.md", "SECURITY.md", "CONTRIBUTING.md")
PAGES = sorted([*(path for path in Path(ROOT, "docs").glob("*.md")), *(Path(ROOT, name) for name in TOP)])
_BLOCK = re.compile(r"^( *)```(\w*)(?: title=\"([^\"]+)\")?([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(?:sudo )?netlab( [^`]+)?`(?!`)")
_SHELL = ("", "sh", "console", "bash")
_ENDS = ("|", "||", "&&", ";", "&", ">", ">>", "<", "2>", "|&", "2>&1")


class Block(NamedTuple):
    """A block of code: its language, its title, and what else stands behind the language."""

    language: str
    title: str
    more: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(found[2], found[3] or "", found[4].strip(), found[5])


def lines(page: Path) -> Iterator[str]:
    """Yield the lines of shell of a page: of a console only those behind a prompt."""
    for block in blocks(page):
        yield from lines_of(block)


def lines_of(block: Block) -> Iterator[str]:
    """Yield the lines of shell of a block."""
    for line in block.text.replace("\\\n", " ").splitlines() if block.language in _SHELL else ():
        text = line.strip()
        if text.startswith("$ "):
            yield text.removeprefix("$ ")
        elif block.language in ("", "sh", "bash"):
            yield text


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each netlab command in the blocks of a page, without sudo, variables and redirections."""
    for line in lines(page):
        if not re.match(r"(?:sudo )?(?:[A-Z_]+=\S* )*(?:sudo )?netlab ", line):
            continue
        for words in _parts(line):
            while words and (words[0] in ("sudo", "-E", "env") or re.fullmatch(r"[A-Z_]+=.*", words[0])):
                words.pop(0)
            if words[:1] == ["netlab"]:
                yield words[1:]


def _parts(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line: at each sign of the shell another one begins."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    for word in lexer:
        if word in _ENDS or set(word) <= set("|&;<>()"):
            yield words
            words = [] if word not in (">", ">>", "<", "2>") else ["(file)"]
        else:
            words.append(word)
    yield words


def inline(page: Path) -> Iterator[list[str]]:
    """Yield the words of each netlab command in the text of a page; these may be parts of commands."""
    for found in _INLINE.finditer(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        try:
            yield shlex.split((found[1] or "").replace("…", "..."))
        except ValueError:  # an apostrophe, in a piece of a command
            yield (found[1] or "").split()


def targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z][\w-]*):", Path(ROOT, "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
