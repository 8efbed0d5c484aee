"""The headers that programs are compiled with, and those that a program includes."""

from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.programs import headers
from tests.checkout import ROOT

BPF = Path(ROOT) / "bpf"


def test_a_host_without_headers_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the C library's kernel headers nothing compiles: Debian's package is named."""
    monkeypatch.setattr(headers, "_SYSTEM", str(tmp_path / "include"))

    with pytest.raises(HostError, match="linux-libc-dev"):
        headers.flags("/home/me/drop.c", str(tmp_path))


def names(folder: Path, **texts: str) -> list[str]:
    """Write headers beside a program, __ in a name being a folder's /, and return the names of all that it includes."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.h"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return sorted(headers.included(str(folder / "mine.c"), '#include "one.h"\n'))


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

    found = headers.included(str(tmp_path / "mine.c"), own.read_text())

    assert found["balancer/choice.h"] == str(tmp_path / "balancer" / "choice.h")
    assert found["balancer/threads.h"] == str(BPF / "balancer" / "threads.h")


def test_every_header_of_the_balancers_is_included_by_its_name_in_the_folder_of_programs() -> None:
    expected = {f"balancer/{path.name}" for path in (BPF / "balancer").iterdir()}

    found = headers.included(str(BPF / "balancer.c"), (BPF / "balancer.c").read_text())

    assert expected == {name for name in found if "/" in name}


@pytest.mark.parametrize("enum", ["reason", "carrier_reason"])
def test_reasons_may_stand_in_a_header(enum: str) -> None:
    path = BPF / "balancer.c"

    assert headers.enum_in(headers.with_included(str(path), path.read_text()), enum)


def test_a_header_that_cannot_be_read_has_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lab counts is shown all the same."""
    (tmp_path / "one.h").write_text("never read\n")

    def refuse(path: str) -> bytes:
        raise PermissionError(path)

    monkeypatch.setattr("netlab.kernel.files.read", refuse)
    text = '#include "one.h"\n'

    assert headers.with_included(str(tmp_path / "mine.c"), text).strip() == text.strip()
