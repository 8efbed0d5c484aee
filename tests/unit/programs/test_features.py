"""What a kernel lacks is told in one line, by name; what a program does not use is not asked for."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from netlab import assets
from netlab.programs import bpf, features
from netlab.programs.features import FEATURES
from tests.checkout import ROOT

OLDER = "5.4.0-26-generic"
NEEDS_MUCH = """
BPF_XDP_REDIRECT_MAP("devmap", struct entry, doors, 2);
struct value { struct bpf_spin_lock lock; };
int much(struct xdp_md *ctx) { return bpf_xdp_load_bytes(ctx, 0, 0, 0) + BPF_F_BROADCAST; }
"""


class OldKernel:
    """A stand-in for bpf(2) of a kernel: it makes what Linux had by then, and counts how often it is asked.

    Maps and programs are descriptors of /dev/null.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **had: Any) -> None:
        self.asked = 0
        self.maps: set[int] = had.get("maps", set())
        self.takes_programs: bool = had.get("takes_programs", False)
        self.error: int = had.get("error", errno.EINVAL)
        monkeypatch.setattr(bpf, "call", self)
        about = os.uname()
        monkeypatch.setattr(os, "uname", lambda: os.uname_result((about[0], about[1], OLDER, *about[3:])))

    def __call__(self, command: int, attr: Any, what: str) -> int:
        self.asked += 1
        makes_map, makes_program = command == bpf.MAP_CREATE, command == bpf.PROG_LOAD
        if (makes_map and attr.raw[0] in self.maps) or (makes_program and self.takes_programs):
            return os.open(os.devnull, os.O_RDONLY)
        raise OSError(self.error, what)


def source(folder: Path, text: str) -> str:
    """Write a program."""
    path = folder / "mine.c"
    path.write_text(text)
    return str(path)


def test_all_that_a_program_needs_and_the_kernel_lacks_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its name, with the kernel that has it, on one line."""
    OldKernel(monkeypatch)

    assert features.lack(source(tmp_path, NEEDS_MUCH)) == (
        "needs spin locks in maps (Linux 5.1 or newer), egress programs in devmaps (Linux 5.8 or newer), "
        "broadcast by bpf_redirect_map (Linux 5.14 or newer), "
        f"bpf_xdp_load_bytes and bpf_xdp_store_bytes (Linux 5.18 or newer): this kernel, {OLDER}, has not got them"
    )


def test_what_a_program_does_not_use_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that needs nothing new is refused for reasons of its own, on an old kernel too."""
    kernel = OldKernel(monkeypatch)

    assert features.lack(source(tmp_path, "int mine(struct xdp_md *ctx) { return 2; }\n")) == ""
    assert kernel.asked == 0


def test_what_is_there_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has egress programs, and not yet what came later."""
    OldKernel(monkeypatch, maps={14}, takes_programs=True)  # devmaps
    text = NEEDS_MUCH.replace("bpf_spin_lock", "nothing").replace("bpf_xdp_load_bytes", "nothing")

    lack = features.lack(source(tmp_path, text))

    assert lack.startswith("needs broadcast by bpf_redirect_map (Linux 5.14 or newer): ")
    assert lack.endswith(" has not got it")


def test_headers_beside_the_program_are_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, even if they include each other."""
    OldKernel(monkeypatch)
    (tmp_path / "one.h").write_text('#include "two.h"\n')
    (tmp_path / "two.h").write_text('#include "one.h"\nBPF_ARRAY_OF_MAPS(many, "inner", 4);\n')

    lack = features.lack(source(tmp_path, '#include "one.h"\n'))

    assert lack.startswith("needs maps of maps (Linux 4.12 or newer): ")


@pytest.mark.parametrize("name", ["balancer", "dropper", "pass"])
def test_a_program_of_ours_on_an_old_kernel_gets_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that the kernel does not take."""
    OldKernel(monkeypatch)

    lack = features.lack(os.path.join(assets.folder("bpf"), f"{name}.c"))

    assert lack.startswith("needs ")
    assert "\n" not in lack
    assert ("spin locks" in lack) == (name == "balancer")
    assert ("Linux 6.1 or newer" in lack) == (name != "balancer")


def test_without_rights_nothing_is_reported_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rights the kernel's own words say more."""
    OldKernel(monkeypatch, error=errno.EPERM)

    assert features.lack(source(tmp_path, NEEDS_MUCH)) == ""


@pytest.mark.parametrize(
    ("release", "numbers"), [("6.1.0-57-amd64", (6, 1)), ("6.12.117+deb12-amd64", (6, 12)), ("next", (0, 0))]
)
def test_releases(release: str, numbers: tuple[int, int]) -> None:
    assert features.version(release) == numbers


@pytest.mark.root
@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("feature", FEATURES, ids=[each.name for each in FEATURES])
def test_this_kernel_has_it(feature: features.Feature) -> None:
    """Asked of the kernel itself, which all tests of labs need it of."""
    assert feature.is_there()


@pytest.mark.root
def test_on_this_kernel_nothing_is_missing(tmp_path: Path) -> None:
    assert "" == features.lack(source(tmp_path, NEEDS_MUCH)) == features.attach_lack()


def test_the_least_kernel_is_said_where_people_look() -> None:
    """In the README, in docs and beside the dependencies."""
    home = Path(ROOT)
    for name in ("README.md", "docs/kernels.md", "pyproject.toml"):
        assert "Linux {}.{} or newer".format(*features.LEAST) in (home / name).read_text(), name
