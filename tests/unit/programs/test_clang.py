"""How clang is found and run."""

import stat
from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.programs import clang
from netlab.programs.build import Refused
from netlab.programs.loader import Job
from tests.lab.clang import needed as clang_needed


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """A compiler that never ends."""
    path = tmp_path / "clang"
    path.write_text("#!/bin/sh\nwhile :; do :; done\n")
    path.chmod(stat.S_IRWXU)
    return path


def test_a_compiler_that_takes_too_long_is_reported(
    compiler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended, and the message says why; clang itself needs time to end, and may be killed."""
    monkeypatch.setattr("netlab.programs.build.talk", str)
    job = Job("lab", "node", "/x.c", "/nowhere", str(tmp_path))

    with pytest.raises(Refused, match=r"takes too long to compile: more than 0\.1 s of CPU time"):
        clang.compiled(job, b"", clang.Options(str(compiler), [], b""), 0.1)


def test_the_compiler_is_run_by_the_name_that_was_found(
    compiler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link such as ccache's would be another program by the name of its target."""
    (tmp_path / "ccache").mkdir()
    (tmp_path / "ccache" / "clang").symlink_to(compiler)
    monkeypatch.setenv("PATH", str(tmp_path / "ccache"))

    assert clang.find() == str(tmp_path / "ccache" / "clang")


@pytest.mark.parametrize(("is_installed", "expected"), [(False, HostError), (True, Refused)])
def test_headers_of_libbpf_are_missing_only_if_none_is_there(
    is_installed: bool, expected: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it is a mistake in the name, or a header of a newer libbpf."""
    monkeypatch.setattr("netlab.programs.build.talk", lambda: "fatal error: 'bpf/bpf_helper.h' file not found")
    monkeypatch.setattr(clang, "_HELPERS", str(tmp_path if is_installed else tmp_path / "none"))
    job = Job("lab", "node", "/x.c", "/nowhere", str(tmp_path))

    with pytest.raises(expected):
        clang._judge(job, 1, 300)


@clang_needed
def test_a_constant_is_a_macro_unless_the_source_has_a_variable_of_its_name(tmp_path: Path) -> None:
    """However it is declared; a source that does not compile without its macros, or not at all, is read as well."""
    names = ("plain", "far", "inside", "several", "made", "choice", "LIMIT", "unknown", "told", "local", "record")
    source = b"""
        #ifndef unknown
        #error "unknown must be told"
        #endif
        #define LIMIT 7
        #define VARIABLE(name) static volatile int name
        enum { choice = 3 };
        struct record { int told; } const volatile plain = { 1 };
        extern int several[2][3], far;
        static int inside
            __attribute__((section(".data.more")));
        VARIABLE(made);
        int f(void) { int local = LIMIT; return undeclared + local; }
    """
    job = Job("lab", "node", "/x.c", "/nowhere", str(tmp_path), define=tuple((name, 1) for name in names))
    made = clang.Options(clang.find(), ["-target", "bpf"], b"")

    assert [name for name, _ in clang.macros(job, source, made, 60)] == [
        *("choice", "LIMIT", "unknown", "told", "local", "record")
    ]
    assert clang.macros(job, b'#include "nosuch.h"', made, 60) == job.define
    assert clang.macros(job._replace(define=()), source, made._replace(compiler="/none"), 60) == ()
