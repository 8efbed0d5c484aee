"""The headers that programs are compiled with."""

import time
from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.programs import headers


def test_a_host_without_headers_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the C library's kernel headers nothing compiles: Debian's package is named."""
    monkeypatch.setattr(headers, "_SYSTEM", str(tmp_path / "include"))

    with pytest.raises(HostError, match="linux-libc-dev"):
        headers.flags("/home/me/drop.c", str(tmp_path))


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("PASSED, DROPPED /* 7 */, REASONS", {"PASSED": 0, "DROPPED": 1, "REASONS": 2}),
        ("DROPPED = 1, PASSED = 2", {"DROPPED": 1, "PASSED": 2}),
        ("FIRST = 0x10u, SECOND, THIRD = 3,", {"FIRST": 16, "SECOND": 17, "THIRD": 3}),
        ("FIRST, SECOND = 1 << 3, THIRD", {}),
        ("FIRST = OTHER, SECOND", {}),
        ("FIRST = 010", {}),
        ("\n#ifdef MORE\nFIRST,\n#endif\nSECOND", {}),
    ],
)
def test_an_enum_has_the_numbers_that_its_text_gives(body: str, numbers: dict[str, int]) -> None:
    """Wrong names would be worse than none, so an enum that only a compiler understands has none."""
    assert headers.enum_in(f"enum reason {{ {body} }};", "reason") == numbers


@pytest.mark.parametrize("text", ["enum reason { ", "/* "])
def test_an_enum_is_sought_in_time_that_grows_with_the_text(text: str) -> None:
    """Not with its square, with which a megabyte would take hours."""
    began = time.process_time()

    assert not headers.enum_in(text * 60_000, "reason")

    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("#include <uapi/linux/bpf.h>", True),
        ("static u32 seen;", True),
        ("typedef __u32 u32;\nstatic u32 seen;", False),
        ("#define u32 __u32\nstatic u32 seen;", False),
        ('#include "vmlinux.h"\nstatic u32 seen;', False),
        ("static __u32 seen; /* a u32 */", False),
    ],
)
def test_a_source_of_the_kernels_tree_is_known(source: str, expected: bool) -> None:
    """By headers that only that tree has, or by its names of types, if nothing that it includes has them."""
    assert headers.is_kernels(source) == expected


def test_headers_of_a_checkout_of_libbpf_are_the_installed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no such checkout; other headers that are missing stay so."""
    (installed := tmp_path / "installed").mkdir()
    (installed / "bpf_endian.h").write_text("")
    monkeypatch.setattr(headers, "_OF_LIBBPF", str(installed))
    source = (
        '#include "../../libbpf/src/bpf_endian.h"\n#include "../../../../../../../bpf_endian.h"\n#include "../x.h"\n'
    )

    (folder,) = headers.of_libbpf(source, [str(tmp_path)], str(tmp_path / "work"))
    assert (Path(folder) / "../../libbpf/src/bpf_endian.h").read_text() == "#include <bpf/bpf_endian.h>\n"
    assert sum(path.is_file() for path in (tmp_path / "work").rglob("*")) == 1
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "libbpf" / "src").mkdir(parents=True)
    (tmp_path / "a" / "libbpf" / "src" / "bpf_endian.h").write_text("")
    assert not headers.of_libbpf(source, [str(tmp_path / "a" / "b" / "c")], str(tmp_path / "work"))
