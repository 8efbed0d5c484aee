"""Sources of libbpf's dialect, and the compiler for them, which a machine may lack."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HELPERS = "/usr/include/bpf/bpf_helpers.h"
needed = pytest.mark.skipif(
    not shutil.which("clang") or not os.path.exists(HELPERS), reason="needs clang and libbpf-dev: make install-libbpf"
)
HEAD = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license") = "GPL";
"""


def compiled(source: str, path: Path, *flags: str) -> Path:
    """Compile a source to an object as people do it by hand, with no help of netlab's."""
    argv = ["clang", "-O2", "-g", "-target", "bpf", f"-I/usr/include/{os.uname().machine}-linux-gnu", *flags]
    text = path.with_suffix(".made.c")
    text.write_text(source)
    subprocess.run([*argv, "-c", text, "-o", path], check=True)
    return path
