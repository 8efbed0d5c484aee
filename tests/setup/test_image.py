"""How an image is built without a registry, on a machine of stand-ins: who is asked for what, what is left alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from netlab import __version__
from tests.docker.image import built
from tests.setup.conftest import ALL_PACKAGES, CHECKOUT, Machine

TOOLS = ("chmod", "cut", "find", "head", "sha256sum", "sort", "tail", "tar", "timeout", "tr")
STAND_INS = {
    "docker": r"""
        echo "docker $*" >>"$MACHINE/calls"
        case "$*" in
        version*)
            [ -e "$MACHINE/engine" ] || { echo "Cannot connect to the daemon" >&2; exit 1; }
            [ "${AS_ROOT:-}$(cat "$MACHINE/uid")" != 1000 ] || { echo "permission denied" >&2; exit 1; } ;;
        "image inspect"*contents*) cat "$MACHINE/label" ;;
        "image inspect"*netlab-base-*) cat "$MACHINE/base" ;;
        "image inspect"*) exit 1 ;;
        import*) tar -C "$MACHINE/imported" -x && echo base >"$MACHINE/base" ;;
        build*) for word; do case "$word" in CONTENTS=*) echo "${word#CONTENTS=}" >"$MACHINE/label" ;; esac; done ;;
        esac""",
    "sudo": 'echo sudo >>"$MACHINE/calls"; AS_ROOT=1 exec "$@"',
    "unshare": 'shift; exec "$@"',
    "apt-config": """[ "$3" != Acquire::http::Proxy ] || echo "found='http://proxy.example:3128'" """,
    "apt-get": "echo http://mirror.example/debian; echo http://mirror.example/security",
    "debootstrap": r"""
DEF_MIRROR="http://debian.example/debian"
        echo "debootstrap $* http_proxy=${http_proxy:-} https_proxy=${https_proxy:-}" >>"$MACHINE/calls"
        [ ! -e "$MACHINE/mirror-fails" ] || { cat "$MACHINE/mirror-fails"; exit 1; }
        for root; do case "$root" in "$TMPDIR"/*) break ;; esac; done
        mkdir -p "$root/etc/apt" "$root/usr/share/doc/x" "$root/var/log" "$root/var/lib/apt/lists"
        for name in etc/resolv.conf etc/hostname var/log/bootstrap.log var/lib/apt/lists/x usr/share/doc/x/README; do
            echo mirror.example >"$root/$name"
        done
        echo mine >"$root/usr/share/doc/x/copyright"
        echo http://mirror.example/debian >"$root/etc/apt/sources.list" """,
}


@pytest.fixture
def builder(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine with an engine that answers, and the checkout's own recipe."""
    machine.has(packages=f"{ALL_PACKAGES} debootstrap debian-archive-keyring")
    for name in (".ci/image", "Dockerfile", ".dockerignore"):
        shutil.copy(CHECKOUT / name, machine.checkout / name)
    for name in ("bpf", "netlab", "roles", "topologies"):
        (machine.checkout / name).mkdir()
    (machine.checkout / "netlab/__init__.py").write_text(f'__version__ = "{__version__}"\n')
    for tool in TOOLS:
        (machine.folder / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    for tool, text in STAND_INS.items():
        path = machine.folder / "bin" / tool
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
    for name in ("imported", "scratch"):
        (machine.folder / name).mkdir()
    (machine.folder / "engine").touch()
    return machine


def image(machine: Machine, target: str = "node") -> tuple[int, str, list[str]]:
    """Build an image; return the exit code, what was said, and what was called."""
    done = machine.run("env", f"TMPDIR={machine.folder}/scratch", "sh", ".ci/image", target)
    return done.returncode, done.stdout + done.stderr, machine.calls()


def called(calls: list[str], what: str) -> list[str]:
    return [call for call in calls if call.startswith(what)]


def test_the_base_has_the_packages_of_the_dockerfile(builder: Machine) -> None:
    """Those of the node alone for it, and those of both for dev; from this machine's mirror, through its proxy."""
    _, _, node = image(builder)
    for name in ("base", "label"):
        (builder.folder / name).unlink()
    _, _, dev = image(builder, "dev")

    (first,), (second,) = called(node, "debootstrap"), called(dev, "debootstrap")
    assert "--include=python3,iproute2,iputils-ping,tcpdump bookworm" in first
    assert "--include=python3,iproute2,iputils-ping,tcpdump,python3-bpfcc,bpftool,clang," in second
    assert first.endswith(" http://mirror.example/debian http_proxy=http://proxy.example:3128 https_proxy=")


def test_nothing_of_the_machine_is_in_the_base(builder: Machine) -> None:
    image(builder)

    files = {
        str(path.relative_to(builder.folder / "imported")): path for path in Path(builder.folder, "imported").rglob("*")
    }
    texts = {name: path.read_text() for name, path in files.items() if path.is_file()}
    sources = "deb http://debian.example/debian bookworm main\n"
    assert {"etc/apt/sources.list": sources, "usr/share/doc/x/copyright": "mine\n"} == texts


def test_the_dockerfile_does_the_rest_without_a_network(builder: Machine) -> None:
    (build,) = called(image(builder)[2], "docker build")

    assert build.startswith("docker build --network none --target node --tag netlab-node:latest --build-arg BASE=")
    assert f"VERSION={__version__} " in build
    assert "proxy" not in build


def test_an_image_that_stands_is_left_alone(builder: Machine) -> None:
    """Until something that goes into it changes; then the base stands."""
    first = image(builder)
    again = image(builder)
    (builder.checkout / "roles/new.py").write_text("print()\n")
    changed = image(builder)

    assert (0, "") == again[:2]
    assert [] == called(again[2], "docker build") + called(again[2], "debootstrap")
    assert 1 == len(called(first[2], "debootstrap")) == len(called(changed[2], "docker build"))
    assert [] == called(changed[2], "debootstrap")


def test_a_user_without_the_engines_group_goes_through_sudo(builder: Machine) -> None:
    """debootstrap needs root, and so does the engine of who is not in its group."""
    builder.has(packages=f"{ALL_PACKAGES} debootstrap debian-archive-keyring", uid=1000)

    code, said, calls = image(builder)

    assert code == 0, said
    assert "sudo" == calls[calls.index(called(calls, "debootstrap")[0]) - 1]
    assert "sudo" == calls[calls.index(called(calls, "docker build")[0]) - 1]


@pytest.mark.parametrize("lacking", ["engine", "docker"])
def test_no_engine_ends_with_code_3_and_the_way_out(builder: Machine, lacking: str) -> None:
    """Nothing is built, and the message says how to get one."""
    if lacking == "engine":
        (builder.folder / "engine").unlink()
    else:
        builder.without("docker")

    code, said, calls = image(builder)

    assert code == 3
    assert ("sudo systemctl start docker" if lacking == "engine" else "apt-get install docker.io") in said
    assert [] == called(calls, "debootstrap")


@pytest.mark.parametrize(
    ("reason", "ends"), [("E: Failed getting release file DEBIAN", 4), ("E: Couldn't find these debs: pyhton3", 1)]
)
def test_a_base_that_cannot_be_made_leaves_nothing(builder: Machine, reason: str, ends: int) -> None:
    """What debootstrap said last is shown, and its folder is gone; no mirror is another matter than a mistake."""
    (builder.folder / "mirror-fails").write_text(reason)

    code, said, calls = image(builder)

    assert code == ends
    assert reason in said
    assert [] == called(calls, "docker build") + os.listdir(builder.folder / "scratch")


def test_an_unknown_image_ends_with_code_2(builder: Machine) -> None:
    assert (2, "netlab: no image is called frob: node or dev\n", []) == image(builder, "frob")


@pytest.mark.parametrize(("code", "outcome"), [(1, AssertionError), (3, AssertionError), (4, pytest.skip.Exception)])
def test_tests_go_without_an_image_only_where_no_mirror_is(
    code: int, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that cannot be built fails them, rather than skip all that is said of Docker."""
    done = subprocess.CompletedProcess(["image"], code, "", "why")
    monkeypatch.setattr("tests.docker.image.build", lambda _: done)

    with pytest.raises(outcome, match="why"):
        built("node")
