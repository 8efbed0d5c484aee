"""What a program names outside its folder is found in the compiler's words."""

from pathlib import Path

import pytest

from netlab.programs.outside import reached


@pytest.mark.parametrize(
    "said",
    [
        "{own}/test.c:1:10: fatal error: '/etc/shadow' file not found",
        "/virtual/main.c:1:10: error: '../other/x.h' file not found",
        "{own}/below/deep.h:3:2: fatal error: '../../other/x.h' file not found",
        "<inline asm>:1:9: error: Could not find incbin file '/etc/passwd'",
        "error: <inline asm>:1:9: Could not find incbin file '/etc/passwd'",
        "error: <inline asm>:1:10: Could not find include file '/etc/passwd'",
        "{own}/test.c:1:10: error: 'link.h' file not found",
    ],
)
def test_a_file_outside_is_named(tmp_path: Path, said: str) -> None:
    (tmp_path / "link.h").symlink_to("../other/x.h")

    found = reached(said.format(own=tmp_path), f"{tmp_path}/test.c", [str(tmp_path)])

    assert f" is outside {tmp_path}: " in found


@pytest.mark.parametrize(
    "said",
    [
        "{own}/test.c:1:10: fatal error: 'missing.h' file not found",
        "{own}/below/deep.h:3:2: fatal error: '../missing.h' file not found",
        "{own}/test.c:1:10: error: use of undeclared identifier 'x'",
        "",
    ],
)
def test_a_missing_header_is_a_mistake_and_no_attempt(tmp_path: Path, said: str) -> None:
    assert reached(said.format(own=tmp_path), f"{tmp_path}/test.c", [str(tmp_path)]) == ""
