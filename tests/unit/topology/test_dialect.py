"""Which dialect a program is written in."""

from pathlib import Path

import pytest

from netlab.topology import dialect
from tests.unit.topology.objects import made, returning

HELPERS = "#include <bpf/bpf_helpers.h>\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int pass(struct xdp_md *ctx) { return XDP_PASS; }", "bcc"),
        (HELPERS + "int x;", "libbpf"),
        ('#include "bpf_helpers.h"\n', "libbpf"),
        ('#include "vmlinux.h"\n', "libbpf"),
        ('SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }', "libbpf"),
        ('__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }', "libbpf"),
        ('__section("prog") int pass(void *ctx) { return 2; }', "libbpf"),
        ('// SEC("xdp")\nint pass(struct xdp_md *ctx) { return 2; }', "bcc"),
        ('BPF_HASH(hits, u32, u64);\nchar _license[] SEC("license") = "GPL";', "bcc"),
        ("BPF_XDP_REDIRECT_MAP(out, struct x, y, 4);\n" + HELPERS, "bcc"),
        ("BPF_HASH(hits, u32, u64);\n" + HELPERS + 'struct bpf_map_def SEC("maps") hits;', "libbpf"),
        (HELPERS + "int BPF_KPROBE(f, int x) { return BPF_CORE_READ(x, y); }", "libbpf"),
    ],
)
def test_the_text_tells(text: str, expected: str) -> None:
    """Maps of bcc's tell, or else sections and headers of libbpf's; comments tell nothing."""
    assert dialect.of_text(text) == expected


def test_headers_count(tmp_path: Path) -> None:
    """What a program includes is of its dialect, also from folders that the topology names."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "common.h").write_text(HELPERS)

    text = b'#include "common.h"\n'
    assert dialect.of_file(str(tmp_path / "x.c"), text, [str(tmp_path / "more")]) == "libbpf"
    assert dialect.of_file(str(tmp_path / "x.c"), text) == "bcc"


def test_objects_are_of_libbpf() -> None:
    """Whoever has compiled them."""
    assert dialect.of_file("/x.o", made({"xdp": returning(2)})) == "libbpf"


def test_whether_a_program_may_transmit() -> None:
    """Sources and objects are asked in their own ways; a damaged object will not be loaded."""
    assert dialect.may_transmit("/x.o", made({"xdp": returning(3)}), ())
    assert not dialect.may_transmit("/x.o", made({"xdp": returning(2)}), ())
    assert not dialect.may_transmit("/x.o", made({"xdp": returning(3)})[:90], ())
    assert dialect.may_transmit("/x.c", b"int f(void *c) { return XDP_TX; }", ())


@pytest.mark.parametrize("value", [3, "XDP_TX"])
def test_a_constant_may_be_the_verdict(value: str | int) -> None:
    """A variable of an object, or a macro of a source, by `define` or an option of the compiler."""
    source = b"int f(void *c) { return VERDICT; }"
    assert dialect.may_transmit("/x.o", made({"xdp": returning(2)}), (("verdict", value),))
    assert not dialect.may_transmit("/x.o", made({"xdp": returning(2)}), (("limit", 30), ("verdict", "XDP_DROP")))
    assert dialect.may_transmit("/x.c", source, (("VERDICT", value),))
    assert dialect.may_transmit("/x.c", source, (), (), ("-O2", f"-DVERDICT={value}"))
    assert not dialect.may_transmit("/x.c", source, (), (), ("-O3", "-mcpu=v3", "-DVERDICT=XDP_PASS"))
