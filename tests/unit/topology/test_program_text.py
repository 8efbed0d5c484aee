"""What the text of a program and of its headers tells."""

import os
import time
from pathlib import Path

import pytest

from netlab.programs import headers
from netlab.topology import program_text
from tests.checkout import ROOT

BPF = Path(ROOT) / "bpf"


def names(folder: Path, **texts: str) -> list[str]:
    """Write headers beside a program, __ in a name being a folder's /, and return the names of all that it includes."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.h"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return sorted(header.name for header in program_text.headers(str(folder / "mine.c"), '#include "one.h"\n'))


def test_headers_are_followed_and_none_is_taken_twice(tmp_path: Path) -> None:
    assert names(tmp_path, one='#include "two.h"\n', two='# include "one.h"\n') == ["one.h", "two.h"]


def test_a_header_finds_others_in_its_own_folder_first(tmp_path: Path) -> None:
    found = names(tmp_path, one='#include "parts/a.h"\n', parts__a='#include "b.h"\n', parts__b="", b="")

    assert found == ["one.h", "parts/a.h", "parts/b.h"]


def test_what_is_not_there_and_the_systems_are_left_out(tmp_path: Path) -> None:
    assert names(tmp_path, one='#include "nowhere.h"\n#include <linux/ip.h>\n') == ["one.h"]


def test_a_header_beside_the_program_hides_netlabs(tmp_path: Path) -> None:
    """All others of netlab's find it there, too."""
    own = BPF / "balancer.c"
    (tmp_path / "balancer").mkdir()
    (tmp_path / "balancer" / "choice.h").write_text("")

    found = {name: path for name, path, *_ in program_text.headers(str(tmp_path / "mine.c"), own.read_text())}

    assert found["balancer/choice.h"] == str(tmp_path / "balancer" / "choice.h")
    assert found["balancer/threads.h"] == str(BPF / "balancer" / "threads.h")


def test_every_header_of_the_balancers_is_included_by_its_name_in_the_folder_of_programs() -> None:
    expected = {f"balancer/{path.name}" for path in (BPF / "balancer").iterdir()}

    found = program_text.headers(str(BPF / "balancer.c"), (BPF / "balancer.c").read_text())

    assert expected == {header.name for header in found if "/" in header.name}


@pytest.mark.parametrize("enum", ["reason", "carrier_reason"])
def test_reasons_may_stand_in_a_header(enum: str) -> None:
    path = BPF / "balancer.c"

    assert headers.enum_in(program_text.with_headers(str(path), path.read_text()), enum)


def test_a_header_that_cannot_be_read_has_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lab counts is shown all the same."""
    (tmp_path / "one.h").write_text("never read\n")

    def refuse(path: str, _: int) -> bytes:
        raise PermissionError(path)

    monkeypatch.setattr("netlab.kernel.files.read", refuse)
    text = '#include "one.h"\n'

    assert program_text.with_headers(str(tmp_path / "mine.c"), text).strip() == text.strip()


def may_transmit(folder: Path, source: str, header: str = "", **define: str | int) -> bool:
    """Say whether a program beside a header of this text, answer.h, may return XDP_TX."""
    (folder / "answer.h").write_text(header)
    return program_text.may_transmit(str(folder / "mine.c"), source, tuple(define.items()))


@pytest.mark.parametrize(
    ("source", "header", "define"),
    [
        ("return XDP_TX;", "", {}),
        ('#include "answer.h"\nreturn BACK;', "#define BACK XDP_TX\n", {}),
        ("#include <answer.h>\nreturn BACK;", "#define BACK XDP_TX\n", {}),
        ("return VERDICT;", "", {"VERDICT": "XDP_TX"}),
        ("return VERDICT;", "", {"VERDICT": 3}),
        ("return VERDICT;", "", {"VERDICT": "0x03u"}),
        ("#define BACK 3 // there\nreturn BACK;", "", {}),
        ("enum { BACK = 3 };\nreturn BACK;", "", {}),
        ("int verdict = XDP_PASS;\nverdict = 3;\nreturn verdict;", "", {}),
        ("return is_mine ? 3 : 2;", "", {}),
        ("return (0x3);", "", {}),
        ("#define DO(what) XDP_##what\nreturn DO(TX);", "", {}),
        ("return XDP_\\\nTX;", "", {}),
        ('printk("http://x"); return XDP_TX;', "", {}),
        ("#include HEADER\nreturn BACK;", "", {"HEADER": '"answer.h"'}),
        ("int verdict = is_mine ? 3 : 2; return verdict;", "", {}),
        ("return (int)3;", "", {}),
        ("return 0b11;", "", {}),
        ("#define BACK() 3\nreturn BACK();", "", {}),
        ("#define BACK 3\n#define ANSWER BACK\nreturn ANSWER;", "", {}),
        ('#include "answer.h"\nint verdict = BACK; return verdict;', "#define BACK 3\n", {}),
        ("int verdict = VERDICT; return verdict;", "", {"VERDICT": 3}),
        ("enum verdict { STOP, DROP, PASS, BACK };\nreturn BACK;", "", {}),
        ("enum { BACK = 1 + 2 - 0, OTHER = 3 };\nreturn OTHER;", "", {}),
        ("#define DO(what) XDP##what\nreturn DO(_TX);", "", {}),
        ("#define DO(one, other) one##other\nreturn DO(XDP_, TX);", "", {}),
        ('int verdict; asm("%0 = 3" : "=r"(verdict)); return verdict;', "", {}),
        ("mac[a[0] + 1]; return 3;", "", {}),
        ("return 3; /* to the end", "", {}),
        ("#define OPEN [\nint a; return 3;", "", {}),
    ],
)
def test_what_may_transmit(tmp_path: Path, source: str, header: str, define: dict[str, str | int]) -> None:
    """By name or by number, in the text, a header or a constant; a header of unknown name may say anything."""
    assert may_transmit(tmp_path, source, header, **define)


@pytest.mark.parametrize(
    ("source", "header", "define"),
    [
        ("return XDP_PASS; // not XDP_TX", "", {}),
        ('#include "answer.h"\nreturn XDP_DROP;', "/* no\nXDP_TX */\n", {}),
        ("#include <linux/bpf.h>\nreturn VERDICT;", "", {"VERDICT": "XDP_PASS"}),
        ("#define TRIES 3\nreturn mac[3] == TRIES ? XDP_PASS : 13;", "", {"PORT": 3}),
        ("return XDP_TXT;", "", {}),
        ('printk("XDP_TX %3d: 3"); return XDP_PASS;', "", {}),
        ("#define TRIES 3\nreturn n < TRIES && mac[a[0] + 3] >= 3 ? 1 : 2;", "", {}),
        ("switch (n) { case 3: return n << 3; }", "", {}),
        ("enum reason { SHORT, OTHER, LONG, LAST };\ncount(LAST); return XDP_PASS;", "", {}),
        ('#include "balancer/refusals.h"\nreturn XDP_PASS;', "", {}),
    ],
)
def test_what_does_not_transmit(tmp_path: Path, source: str, header: str, define: dict[str, str | int]) -> None:
    assert not may_transmit(tmp_path, source, header, **define)


@pytest.mark.parametrize("name", ["dropper", "balancer", "pass"])
def test_programs_of_netlabs_own_do_not_transmit(name: str) -> None:
    path = BPF / f"{name}.c"

    assert not program_text.may_transmit(str(path), path.read_text(), ())


def test_headers_are_read_up_to_a_size_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is looked through more than once."""
    monkeypatch.setattr(program_text, "MAX_BYTES", 100)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.h").write_text("x" * 40)
    found = program_text.headers(str(tmp_path / "p.c"), '#include "a.h"\n#include "b.h"\n#include "c.h"\n')

    assert sorted((len(each.text or ""), each.problem) for each in found) == [
        (0, "all headers are longer than 100 bytes"), (40, ""), (40, "")
    ]  # fmt: skip


def test_a_header_that_cannot_be_read_may_say_anything(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "answer.h")

    assert program_text.may_transmit(str(tmp_path / "mine.c"), '#include "answer.h"\n', ())


@pytest.mark.parametrize("text", ["return ", "XDP", '\\"', "a ? 3 : ", "/* "])
def test_what_repeats_costs_no_more_than_its_length(tmp_path: Path, text: str) -> None:
    """Not its square, with which a megabyte would take hours."""
    began = time.process_time()

    may_transmit(tmp_path, f'"{text * 60_000}')
    may_transmit(tmp_path, text * 60_000)

    assert time.process_time() - began < 4


def test_what_an_open_comment_hides_is_not_there(tmp_path: Path) -> None:
    assert not may_transmit(tmp_path, "return XDP_PASS; /* return XDP_TX;")
