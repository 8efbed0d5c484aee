"""Thirty submissions: right ones of both dialects, wrong ones, and hostile ones; each with its verdict.

`write` makes them in a folder. What they must not see has a canary in it: a file of the host that everybody may read,
and another submission.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from netlab import assets, paths
from tests.lab.lab import ROOT

STUDENTS = Path(ROOT) / "tests/lab/students"
TEMPLATES = Path(paths.TEMPLATES)
HEAD = "#include <uapi/linux/bpf.h>\n"
PASS = "int mine(struct xdp_md *ctx)\n{\n\treturn XDP_PASS;\n}\n"
MUTANTS = (
    "last_in_first_out",
    "six_requests_for_five_threads",
    "serves_twice",
    "loses_deep_ones",
    "frees_on_any_packet",
    "wrong_checksum_of_odd_lengths",
    "leaves_a_worker_idle",
    "forgets_to_send",
    "prints_what_it_does_not_do",
)
PART_A = {
    "a-right": ("", "full"),
    "a-drops-odd-ones": ("#define DROPPED(number) ((number) & 1)\n", "claims fail"),
    "a-passes-one-in-two-even-ones": ("#define DROPPED(number) (((number) & 3) == 0)\n", "claims fail"),
}
# What each file of C holds, and the verdict on it. {canary} and {other} are paths.
SOURCES = {
    "does-not-build": (f"{HEAD}int mine(struct xdp_md *ctx) {{ return nothing; }}\n", "does not build"),
    "includes-itself": (f'{HEAD}#include "includes-itself.c"\n{PASS}', "does not build"),
    "refused": (
        f"{HEAD}int mine(struct xdp_md *ctx) {{ return *(int *)(long)ctx->data; }}\n",
        "refused by the verifier",
    ),
    "includes-shadow": (f'{HEAD}#include "/etc/shadow"\n{PASS}', "tried to reach outside"),
    "includes-passwd": (f'{HEAD}#define WHERE "/etc/passwd"\n#include WHERE\n{PASS}', "tried to reach outside"),
    "includes-canary": (f'{HEAD}#include "{{canary}}"\n{PASS}', "tried to reach outside"),
    "includes-another": (f'{HEAD}#include "{{other}}"\n{PASS}', "tried to reach outside"),
    "a-gigabyte-of-macros": (
        "#define A0 int x;\n"
        + "".join(f"#define A{n} {' '.join([f'A{n - 1}'] * 8)}\n" for n in range(1, 10))
        + f"A9\n{HEAD}{PASS}",
        "hangs",
    ),
}
# What the workers of a right lab do before their work (tests/lab/hostile), and the verdict.
HOSTILE = {
    "ignores_sigterm": "full",
    "reads_others": "full",
    "forks_for_ever": "claims fail",
    "prints_for_ever": "claims fail",
    "leaves_things": "full",
    "kills_others": "full",
    "connects_to_the_host": "full",
}


def write(into: Path, canary: str, port: int) -> tuple[dict[str, str], dict[str, str]]:
    """Make all of them; return the verdicts on those of part B and of part A, by their paths."""
    outside = into / "canary.txt"
    outside.write_text(f"{canary}\n")
    outside.chmod(0o644)
    other = str(into / "b-right/balancer.h")
    b, a = {}, {}
    b[right(into / "b-right", canary)] = "full"
    b[with_topology(into / "b-with-a-topology")] = "full"
    b[in_libbpf(into / "b-in-libbpf")] = "full"
    b[own_roles(into / "b-with-roles")] = "full"
    for name in MUTANTS:
        b[mutant(into / name, name)] = "claims fail"
    for name, (text, verdict) in SOURCES.items():
        (into / f"{name}.c").write_text(text.replace("{canary}", str(outside)).replace("{other}", other))
        b[str(into / f"{name}.c")] = verdict
    b[with_a_pipe(into / "includes-a-pipe")] = "does not build"
    b[on_the_host(into / "is-the-host")] = "tried to reach outside"
    for name, verdict in HOSTILE.items():
        text = (Path(ROOT) / f"tests/lab/hostile/{name}.py").read_text()
        text = text.replace("/CANARY", str(outside)).replace("/OTHER", other).replace("PORT = 1", f"PORT = {port}")
        b[own_roles(into / name, text)] = verdict
    for name, (define, verdict) in PART_A.items():
        (into / f"{name}.c").write_text(define + (STUDENTS / "droppers/dropper.c").read_text())
        a[str(into / f"{name}.c")] = verdict
    return b, a


def right(folder: Path, canary: str) -> str:
    mutant(folder, "balancer")
    with open(folder / "balancer.h", "a", encoding="utf-8") as file:
        file.write(f"/* {canary} */\n")
    return str(folder)


def mutant(folder: Path, name: str) -> str:
    folder.mkdir()
    shutil.copy(STUDENTS / "balancer.h", folder)
    shutil.copy(STUDENTS / f"{name}.c", folder)
    return str(folder)


def with_topology(folder: Path) -> str:
    mutant(folder, "balancer")
    shutil.copy(STUDENTS / "student.yml", folder)
    return str(folder)


def in_libbpf(folder: Path) -> str:
    folder.mkdir()
    shutil.copy(f"{assets.folder('bpf')}/libbpf/fifo.c", folder)
    text = Path(f"{assets.folder('topologies')}/libbpf.yml").read_text()
    (folder / "libbpf.yml").write_text(text.replace("../bpf/libbpf/fifo.c", "./fifo.c"))
    return str(folder)


def own_roles(folder: Path, hostile: str = "") -> str:
    """Write a right balancer with the client and the worker of `netlab new partb`; the workers do something first."""
    mutant(folder, "balancer")
    for name in ("client.py", "worker.py", "partb.yml"):
        shutil.copy(TEMPLATES / name, folder)
    if hostile:
        (folder / "hostile.py").write_text(hostile)
        worker = (folder / "worker.py").read_text()
        start = "for thread in range("
        (folder / "worker.py").write_text(worker.replace(start, f"import hostile\n\n{start}"))
    return str(folder)


def with_a_pipe(folder: Path) -> str:
    folder.mkdir()
    (folder / "mine.c").write_text(f'{HEAD}#include "pipe.h"\n{PASS}')
    os.mkfifo(folder / "pipe.h")
    return str(folder)


def on_the_host(folder: Path) -> str:
    mutant(folder, "balancer")
    text = (STUDENTS / "student.yml").read_text()
    (folder / "host.yml").write_text(text.replace("nodes:\n", "nodes:\n  me: { kind: host }\n") + "  - [me, lb]\n")
    return str(folder)


def verdicts_of(paths_and_verdicts: Mapping[str, str]) -> dict[str, str]:
    """Return the verdicts by the names that `netlab grade` gives."""
    return {Path(path).name.removesuffix(".c"): verdict for path, verdict in paths_and_verdicts.items()}
