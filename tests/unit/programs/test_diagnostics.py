"""What bcc, clang and the verifier say is cut down to what the author of a program needs, in the author's own lines."""

import time
from pathlib import Path

import pytest

from netlab.programs import diagnostics
from netlab.programs.diagnostics import Source

COMMAND = "clang -cc1 -triple x86_64-unknown-linux-gnu -emit-llvm-bc -o main.bc -x c /virtual/main.c\n"
LICENCE = "#if defined(BPF_LICENSE)\n#error BPF_LICENSE cannot be specified through cflags\n#endif\n"
FOOTER = "\n#include <bcc/footer.h>\n"
SOURCE = Source(
    "/home/me/drop.c",
    "drop.c",
    (
        "BPF_HASH(seen, u32, u64);",
        "",
        "static inline int one(void) { return 1; }",
        "",
        "int drop(struct xdp_md *ctx)",
        "{",
        "\tu32 key = one();",
        "\tu64 *count = seen.lookup(&key);",
        "",
        "\t*count += 1;",
        "\treturn XDP_DROP;",
        "}",
    ),
)
# as bcc 0.26 rewrites it: four lines of its own come in between
REWRITTEN = (
    LICENCE + "BPF_HASH(seen, u32, u64);\n"
    "\n"
    "__attribute__((always_inline))\n"
    "static inline int one(void) { return 1; }\n"
    "\n"
    '__attribute__((section(".bpf.fn.drop")))\n'
    "int drop(struct xdp_md *ctx)\n"
    "{\n"
    " \n"
    "\tu32 key = one();\n"
    "\tu64 *count = bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, -1), &key);\n"
    "\n"
    "\t*count += 1;\n"
    "\treturn XDP_DROP;\n"
    "}\n" + FOOTER
)
LINE_OF_SUM = 16  # of `*count += 1;`, in the rewritten source


def log_of(kernel: str, *lines: str) -> str:
    """Return the talk that ends in a log of the verifier's, as this kernel writes it."""
    annotated = f"; *count += 1;{f' @ main.c:{LINE_OF_SUM}' if kernel == '6.18' else ''}"
    return "\n".join(
        [
            COMMAND + REWRITTEN + "bpf: Failed to load program: Permission denied",
            "0: R1=ctx() R10=fp0",
            f"; int drop(struct xdp_md *ctx){' @ main.c:10' if kernel == '6.18' else ''}",
            "0: (b7) r1 = 3                        ; R1=3",
            annotated,
            "8: (79) r1 = *(u64 *)(r0 +0)",
            *lines,
            "processed 8 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
            "",
            "HINT: The 'map_value_or_null' error can happen if you dereference a pointer value from a map lookup.",
            "",
        ]
    )


@pytest.mark.parametrize("kernel", ["6.18", "6.1"])
def test_the_verifiers_line_is_the_authors(kernel: str) -> None:
    """The rewritten line is mapped back by its number, or by its text where the kernel says no number."""
    said = diagnostics.verifier_error(log_of(kernel, "R0 invalid mem access 'map_value_or_null'"), SOURCE, "drop")

    assert said == (
        "drop.c:10: the verifier refused drop(): R0 invalid mem access 'map_value_or_null'\n"
        "    *count += 1;\n"
        "(the lookup may have found nothing: first test the pointer for NULL)"
    )


def refused_at(text: str, headers: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the first lines about a program that Linux 6.1 refuses at this line, and that includes these headers."""
    talk = log_of("6.1", "R1 unbounded").replace("8: (79)", f"; {text}\n8: (79)")
    source = SOURCE._replace(headers=tuple(headers.items()))
    return diagnostics.verifier_error(talk, source, "drop").splitlines()[:2]


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        pytest.param({"/home/me/a.h": ("x();", " sum += n;")}, "/home/me/a.h:2", id="one line"),
        pytest.param({"/home/me/a.h": ("sum += n;", "sum += n;")}, "/home/me/a.h", id="two lines of a file"),
        pytest.param({"/home/me/a.h": ("sum += n;",), "/home/me/b.h": ("sum += n;",)}, "drop.c", id="two files"),
        pytest.param({}, "drop.c", id="none"),
    ],
)
def test_a_line_in_a_header_is_found_by_its_text(headers: dict[str, tuple[str, ...]], place: str) -> None:
    """Older kernels say neither file nor number: no line is named that is another one."""
    assert [f"{place}: the verifier refused drop(): R1 unbounded", "    sum += n;"] == refused_at("sum += n;", headers)


def test_headers_are_read_with_what_they_include(tmp_path: Path) -> None:
    """Those beside the program and netlab's own; each once, also when they include each other."""
    for name, text in {"p.c": '#include "a.h"\n', "a.h": '# include "b.h"\n', "b.h": ""}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "b.h").write_text('#include "a.h"\n#include "verdict.h"\n#include "nowhere.h"\n')

    found = Source.of(str(tmp_path / "p.c"), (tmp_path / "p.c").read_bytes()).headers

    assert [f"{tmp_path}/a.h", f"{tmp_path}/b.h"] == [path for path, _ in found][:2]
    assert {"verdict.h", "packet.h", "bounds.h"} == {Path(path).name for path, _ in found[2:]}


def test_states_of_registers_are_left_out() -> None:
    """What the verifier prints of its state between instruction and reason is left out, and long reasons are cut."""
    said = diagnostics.verifier_error(
        log_of(
            "6.18",
            "infinite loop detected at insn 8",
            "cur state: R0=scalar()",
            "old state: R0=scalar()",
            "b",
            "c",
            "d",
            "e",
        ),
        SOURCE,
        "drop",
    )

    assert said == (
        "drop.c:10: the verifier refused drop(): infinite loop detected at insn 8\n    *count += 1;\nb\nc\nd\n"
        "(the verifier sees no end of a loop: give it a constant bound)"
    )


def test_a_reason_before_any_instruction_names_the_function() -> None:
    """Complaints about the whole program point at its first line."""
    talk = REWRITTEN + "bpf: Failed to load program: Invalid argument\nback-edge from insn 5 to 2\nprocessed 0 insns\n"

    said = diagnostics.verifier_error(talk, SOURCE, "drop")

    assert said.startswith("drop.c:5: the verifier refused drop(): back-edge from insn 5 to 2\n(")


def test_a_refusal_without_a_log_gives_the_kernels_error() -> None:
    """The kernel does not always say why."""
    talk = REWRITTEN + "bpf: Failed to load program: Operation not permitted\n"

    assert (
        diagnostics.verifier_error(talk, SOURCE, "drop")
        == "drop.c:5: the kernel refused drop(): Operation not permitted"
    )


def test_a_line_that_bcc_rewrote_is_found_again() -> None:
    """A map's lookup reads differently after bcc; the line shown is the author's."""
    talk = log_of("6.18", "R2 !read_ok").replace(f"main.c:{LINE_OF_SUM}", f"main.c:{LINE_OF_SUM - 2}")

    said = diagnostics.verifier_error(talk, SOURCE, "drop")

    assert said.splitlines()[:2] == [
        "drop.c:8: the verifier refused drop(): R2 !read_ok",
        "    u64 *count = seen.lookup(&key);",
    ]


def test_errors_of_clang_are_shown_without_bccs_own_lines() -> None:
    """Virtual names, warnings, counts, options and places in foreign headers go; the author's notes stay."""
    talk = (
        COMMAND + "/virtual/main.c:3:1: warning: unused variable 'a' [-Wunused-variable]\n"
        "int a;\n"
        "    ^\n"
        "In file included from /virtual/main.c:2:\n"
        "/home/me/drop.h:7:3: error: use of 'b' [-Werror,-Wsome]\n"
        "  b;\n"
        "  ^\n"
        "/virtual/main.c:9:9: note: expanded from macro 'B'\n"
        "#define B b\n"
        "        ^\n"
        "/virtual/include/bcc/helpers.h:100:5: note: declared here\n"
        "int b(void);\n"
        "    ^\n"
        "1 warning and 1 error generated.\n" + REWRITTEN
    )

    assert diagnostics.compile_error(talk, SOURCE) == (
        "/home/me/drop.h:7:3: error: use of 'b'\n  b;\n  ^\n"
        "drop.c:9:9: note: expanded from macro 'B'\n#define B b\n        ^"
    )


def test_errors_after_rewriting_are_mapped_back() -> None:
    """clang sees the source twice; what it first notices the second time has moved."""
    talk = (
        COMMAND
        + REWRITTEN
        + f"/virtual/main.c:{LINE_OF_SUM}:2: error: bad sum\n        *count += 1;\n        ^\n1 error generated.\n"
    )

    assert diagnostics.compile_error(talk, SOURCE) == "drop.c:10:2: error: bad sum\n        *count += 1;\n        ^"


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (tuple(f"int a{n};" if n % 2 else "}" for n in range(40_000)), "big.c:30000"),
        (("}",) * 20_000, "big.c"),
        (tuple(f"int a{n % 160};" for n in range(16_000)), "big.c"),
    ],
    ids=["half alike", "all alike", "too many alike"],
)
def test_a_large_source_with_many_equal_lines_is_compared_in_bounded_time(lines: tuple[str, ...], place: str) -> None:
    """Which line it was is said where that can be told soon."""
    number = LICENCE.count("\n") + len(lines) * 3 // 4
    rewritten = LICENCE + "\n".join(lines) + FOOTER
    began = time.process_time()

    said = diagnostics.compile_error(
        f"{rewritten}/virtual/main.c:{number}:1: error: bad\n", Source("/home/me/big.c", "big.c", lines)
    )

    assert said.startswith(f"{place}:1: error: bad")
    assert time.process_time() - began < 8


def test_a_source_line_of_spaces_is_read_from_the_log_at_once() -> None:
    """It stands in the verifier's log as the author wrote it."""
    talk = log_of("6.1", "R0 invalid mem access").replace("; *count += 1;", f"; *count{' ' * 200_000}+= 1;")
    began = time.process_time()

    assert "the verifier refused drop(): R0 invalid mem access" in diagnostics.verifier_error(talk, SOURCE, "drop")
    assert time.process_time() - began < 4


def test_a_long_line_of_calls_is_not_taken_for_a_functions_begin() -> None:
    source = Source("/home/me/drop.c", "drop.c", ("f(" * 100_000 + ";", "int f(void *context)"))
    began = time.process_time()

    said = diagnostics.crash("LLVM ERROR: x\nerror: main.c:0:0: in function f i32 (i8*): gave up\n", source, 1)

    assert said.startswith("drop.c:2: in f(): gave up")
    assert time.process_time() - began < 4


def test_a_second_try_of_bccs_is_not_shown() -> None:
    """Newer bcc compiles again with other headers after an error, and says everything twice."""
    complaint = "/virtual/main.c:5:1: error: bad\n"
    talk = complaint + REWRITTEN + "WARNING: compilation failure, trying with system bpf.h\n" + complaint + REWRITTEN

    assert diagnostics.compile_error(talk, SOURCE) == "drop.c:5:1: error: bad"


def test_links_to_the_systems_headers_are_named_as_what_they_are() -> None:
    """The folder of links that netlab makes is nobody's business."""
    talk = "/run/netlab/lab/compiler/headers/uapi/linux/if.h:28:10: fatal error: 'sys/none.h' file not found\n"

    assert diagnostics.compile_error(talk, SOURCE).startswith("/usr/include/linux/if.h:28:10: error: 'sys/none.h' file")


@pytest.mark.parametrize(
    ("talk", "status", "said"),
    [
        (
            f"LLVM ERROR: line {LINE_OF_SUM}: Invalid\n",
            -6,
            "drop.c:10: the compiler gave up: Invalid\n    *count += 1;",
        ),
        (
            "LLVM ERROR: Cannot select: 0x5: i32,ch = Atomic\n",
            -6,
            "drop.c: the compiler gave up: Cannot select: 0x5: i32,ch = Atomic",
        ),
        ("fatal error: error in backend: Unsupported\n", -6, "drop.c: the compiler gave up: Unsupported"),
        (
            f"error: /virtual/main.c:{LINE_OF_SUM}:2: in function drop i32 (%struct.xdp_md*): Too much\n",
            1,
            "drop.c:10: in drop(): Too much\n    *count += 1;",
        ),
        ("error: <unknown>:0:0: in function drop i32 (ptr): Too much\n", 1, "drop.c:5: in drop(): Too much"),
        ("", -9, "drop.c: the compiler was killed by signal 9"),
        ("one\nStack dump:\n #0 0x0000\ntwo\n", -11, "drop.c: the compiler was killed by signal 11\none\ntwo"),
    ],
)
def test_the_end_of_a_compiler_is_explained(talk: str, status: int, said: str) -> None:
    """An LLVM that aborts says why in one of several ways, or not at all."""
    assert said == diagnostics.crash(COMMAND + REWRITTEN + talk, SOURCE, status)


def test_a_source_that_is_gone_has_no_lines() -> None:
    """Messages can be made even when the file has vanished meanwhile."""
    source = Source.of("/nowhere/drop.c", b"")

    assert Source("/nowhere/drop.c", "/nowhere/drop.c", ()) == source
    assert (
        diagnostics.crash(REWRITTEN + "LLVM ERROR: line 4: bad\n", source, -6)
        == "/nowhere/drop.c: the compiler gave up: bad"
    )


def test_names_are_relative_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message names a file as its author would."""
    monkeypatch.chdir(tmp_path)

    assert diagnostics.shown(str(tmp_path / "bpf" / "drop.c")) == "bpf/drop.c"
    assert diagnostics.shown("/elsewhere/drop.c") == "/elsewhere/drop.c"
