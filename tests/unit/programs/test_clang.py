"""How clang is found and run."""

import stat
from pathlib import Path

import pytest

from netlab.errors import HostError
from netlab.programs import clang
from netlab.programs.build import Refused
from netlab.programs.loader import Job


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
