"""What clang, libbpf and the verifier say of a program, in the author's terms."""

from netlab.programs import object_diagnostics
from netlab.programs.diagnostics import Source

LINES = ("#include <bpf/bpf_helpers.h>", 'SEC("xdp") int beyond(struct xdp_md *ctx)', "{", "\treturn data[20];", "}")
SOURCE = Source("/lab/fw.c", "fw.c", LINES, (("/lab/own.h", ("int once;",)),))
OBJECT = Source("/lab/fw.o", "fw.o", ())


def log(*lines: str, function: str = "beyond") -> str:
    """Return what libbpf says of a program that the kernel has refused."""
    begin = f"libbpf: prog '{function}': BPF program load failed: Permission denied\n"
    inside = "\n".join([f"libbpf: prog '{function}': -- BEGIN PROG LOAD LOG --", *lines, "-- END PROG LOAD LOG --"])
    return f"{begin}{inside}\nlibbpf: prog '{function}': failed to load: -13\n"


REFUSED = (
    "0: R1=ctx() R10=fp0",
    "; return data[20]; @ fw.c:4",
    "1: (71) r0 = *(u8 *)(r1 +20)",
    "invalid access to packet",
)
HINT = "(first compare the end of what is read with ctx->data_end)"


def test_the_verifier_names_the_line() -> None:
    """Linux 6.9 and later say the file, without its folder, and the line."""
    said = log(*REFUSED, "R1 offset is outside of the packet", "processed 2 insns (limit 1000000)")

    assert object_diagnostics.verifier_error(said, SOURCE, "beyond").splitlines() == [
        "/lab/fw.c:4: the verifier refused beyond(): invalid access to packet",
        "    return data[20];",
        "R1 offset is outside of the packet",
        HINT,
    ]


def test_older_kernels_say_only_the_text() -> None:
    """The line is the one that reads so; in a header, too."""
    for text, place in (("return data[20];", "/lab/fw.c:4"), ("int once;", "/lab/own.h:1"), ("no such line", "fw.c")):
        said = log(f"; {text}", *REFUSED[2:])
        assert object_diagnostics.verifier_error(said, SOURCE, "beyond").startswith(f"{place}: the verifier refused")


def test_an_object_has_the_line_with_it() -> None:
    """Its source may be anywhere."""
    text = object_diagnostics.verifier_error(log(*REFUSED), OBJECT, "beyond")

    assert text.startswith(
        "fw.o: fw.c:4: the verifier refused beyond(): invalid access to packet\n    return data[20];"
    )


def test_without_a_line_the_function_is_shown() -> None:
    """And the kernel's own word where it gives no reason."""
    assert object_diagnostics.verifier_error(log("cannot call GPL-restricted function"), SOURCE, "beyond").startswith(
        "fw.c:2: the verifier refused beyond(): cannot call GPL-restricted function"
    )
    assert object_diagnostics.verifier_error(log(), SOURCE, "beyond") == (
        "fw.c:2: the kernel refused beyond(): Permission denied"
    )


def test_clang_says_the_place_itself() -> None:
    """The first errors, without warnings and notes of theirs."""
    said = (
        "/lab/fw.c:1:5: warning: unused [-Wunused]\nint x;\n    ^\n"
        "/lab/fw.c:4:2: error: use of undeclared identifier 'y' [-Wx]\n  y;\n  ^\n1 error generated.\n"
    )

    assert object_diagnostics.compile_error(said, SOURCE, "clang refused it") == (
        "/lab/fw.c:4:2: error: use of undeclared identifier 'y'\n  y;\n  ^"
    )
    assert object_diagnostics.compile_error("", SOURCE, "clang was killed by signal 9") == (
        "fw.c: clang was killed by signal 9"
    )


def test_hints_are_of_the_dialect() -> None:
    """What helps in one dialect is wrong in the other."""
    said = "/lab/fw.c:1:1: fatal error: 'x.h' file not found\n"

    assert "in the folders of `include:`" in object_diagnostics.compile_error(said, SOURCE, "")


def test_libbpfs_words_are_told_once() -> None:
    """Below netlab's own; what only repeats that it has failed is left out."""
    said = "libbpf: map 'x': failed to create\nlibbpf: map 'x': failed to create\nlibbpf: failed to load object 'o'\n"

    assert object_diagnostics.object_error(said, OBJECT, "cannot be loaded").splitlines() == [
        "fw.o: cannot be loaded",
        "    libbpf: map 'x': failed to create",
    ]


def test_a_crash_is_reported() -> None:
    """With the last words."""
    assert object_diagnostics.crash("libbpf: elf: odd\n", OBJECT, -11).splitlines() == [
        "fw.o: libbpf was killed by signal 11 while it read the object, which may be damaged",
        "    libbpf: elf: odd",
    ]
